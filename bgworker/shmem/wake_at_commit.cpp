// Wakes workers at commit; see wake_at_commit.hpp.
#include "bgworker/shmem/wake_at_commit.hpp"

#include "bgworker/pg/guard.hpp"

extern "C" {
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/dbcommands.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/timestamp.h"
}

#include <algorithm>

#include "bgworker/pg/settings.hpp"
#include "bgworker/shmem/agenda.hpp"
#include "bgworker/shmem/shared_state.hpp"

namespace insync {

namespace {

// What this transaction has to wake; more servers than fit wake the whole database.
constexpr int capacity = 64;
Oid pending[capacity];
int pending_count;
bool pending_all;
// A server or user mapping was made, altered or dropped: streams that failed there are tried at once.
bool pending_servers;

object_access_hook_type next_object_access;

void on_object_access(ObjectAccessType access, Oid catalog, Oid object, int column, void* argument) {
    if (next_object_access != nullptr) next_object_access(access, catalog, object, column, argument);
    if (catalog != ForeignServerRelationId && catalog != UserMappingRelationId) return;
    if (access == OAT_POST_CREATE || access == OAT_POST_ALTER || access == OAT_DROP) pending_servers = true;
}

// Part of the C side of the wall: but for the refusal before a PREPARE, nothing here can raise an error.
void on_transaction_end(XactEvent event, void*) {
    if (event == XACT_EVENT_PRE_PREPARE && (pending_count > 0 || pending_all)) {
        pg::entry([]() -> int {
            // Whoever commits it later, in whatever session, would wake nobody. PostgreSQL refuses NOTIFY alike.
            throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED,
                            "cannot PREPARE a transaction that has triggered, changed or resumed a stream");
        });
    }
    if (event == XACT_EVENT_COMMIT) {
        TimestampTz now = GetCurrentTimestamp();
        if (pending_all || pending_servers) shared::make_due(MyDatabaseId, InvalidOid, now);
        for (int i = 0; i < pending_count && !pending_all; i++) {
            if (!shared::make_due(MyDatabaseId, pending[i], now)) shared::make_due(MyDatabaseId, InvalidOid, now);
        }
    }
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) {
        pending_count = 0;
        pending_all = pending_servers = false;
    }
}

}  // namespace

void install_wake() {
    RegisterXactCallback(on_transaction_end, nullptr);
    next_object_access = object_access_hook;
    object_access_hook = on_object_access;
}

void wake_at_commit(const std::string& server) {
    const char* name = server.c_str();
    Oid oid = pg::call([&] { return get_foreign_server_oid(name, true); });
    if (std::find(pending, pending + pending_count, oid) != pending + pending_count) return;
    // A server that was dropped has no worker; the survey of the database fails its streams' runs.
    if (!OidIsValid(oid) || pending_count == capacity) {
        pending_all = true;
    } else {
        pending[pending_count++] = oid;
    }
}

void wake_all_at_commit() {
    pending_all = true;
}

bool workers_available() {
    if (!shared::available()) return false;
    const char* database = pg::call([] { return get_database_name(MyDatabaseId); });
    auto list = settings::databases();
    return std::any_of(list.begin(), list.end(), [&](const auto& name) { return name == "*" || name == database; });
}

void require_workers() {
    if (workers_available()) return;
    if (!shared::available()) {
        throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "no workers run, because pg_insync is not preloaded",
                        "",
                        "Add pg_insync to shared_preload_libraries and restart the server, or run in this session: "
                        "CALL sync_run('...').");
    }
    throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "no workers run for this database", "",
                    "Add it to the setting insync.databases, or run in this session: CALL sync_run('...').");
}

}  // namespace insync
