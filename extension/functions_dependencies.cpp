// The event triggers that keep streams and the objects they depend on together: insync.follow_ddl().
//
// Renames are followed. A server that streams read from can't be dropped without CASCADE, which drops the streams, too.
// A target can be dropped, as it is its owner's: its streams fail from then on and say so. DROP OWNED leaves the
// streams of its roles: it comes after REASSIGN OWNED, which no event tells of, and what that keeps must not be lost.
// Nothing here may stand in the way of statements that have nothing to do with streams: where the library can't work
// with the installed version, events pass.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
}

#include "bgworker/catalog/dependencies.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/definition/define_stream.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/shmem/wake_at_commit.hpp"
#include "extension/drop.hpp"
#include "extension/notices.hpp"

using namespace insync;

namespace {

bool cascades(const Node* statement) {
    if (statement == nullptr) return false;
    if (IsA(statement, DropStmt)) return reinterpret_cast<const DropStmt*>(statement)->behavior == DROP_CASCADE;
    if (IsA(statement, DropOwnedStmt))
        return reinterpret_cast<const DropOwnedStmt*>(statement)->behavior == DROP_CASCADE;
    return false;
}

// Streams of others are not named.
std::string shown(const DependentStream& stream) {
    const auto found = load_stream(stream.id);
    return found && is_owner(*found) ? "stream \"" + stream.name + "\"" : "a stream of another role";
}

[[noreturn]] void refuse_drop(const std::vector<DependentStream>& streams) {
    std::string detail;
    for (const auto& stream : streams) {
        if (stream.server != streams.front().server) continue;
        detail += (detail.empty() ? "" : "\n") + (shown(stream) + " depends on server " + stream.server);
    }
    throw pg::Error(
        ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
        "cannot drop server " + streams.front().server + " because other objects depend on it", detail,
        "Use DROP ... CASCADE to drop the dependent streams too, or give them another server: SELECT sync_alter('...', "
        "'{\"server\": \"...\"}');");
}

void follow_drops(const Node* statement) {
    const auto streams = streams_of_dropped_servers();
    if (!streams.empty() && !cascades(statement)) refuse_drop(streams);
    for (const auto& stream : streams) {
        notice("drop cascades to " + shown(stream));
        Streams::forget(stream.id);
    }
    for (const auto& stream : record_dropped_targets()) {
        if (is_dropping(stream.id)) continue;
        notice("the runs of " + shown(stream) + " will fail, as its target was dropped",
               "sync_drop() drops the stream, too.");
    }
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(insync_follow_ddl);

Datum insync_follow_ddl(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
            throw pg::Error(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED,
                            "insync.follow_ddl() can only be called as an event trigger");
        if (creating_extension) return Datum(0);
        try {
            (void)usable_extension();
        } catch (const UnusableExtension&) {  // it is our own, not PostgreSQL's: nothing is broken by it
            return Datum(0);
        }
        const auto& event = *reinterpret_cast<const EventTriggerData*>(fcinfo->context);
        if (strcmp(event.event, "sql_drop") == 0) {
            follow_drops(event.parsetree);
        } else if (follow_renames()) {
            wake_all_at_commit();
        }
        return Datum(0);
    });
}
}
