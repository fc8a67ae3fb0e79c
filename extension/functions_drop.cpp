// Dropping streams, and targets with them: sync_drop; see drop.hpp.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
}

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/dependencies.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/owned_rows.hpp"
#include "extension/drop.hpp"

namespace insync {

namespace {

int dropping = 0;  // the stream whose target sync_drop() is dropping

struct Dropping {
    explicit Dropping(int stream_id) { dropping = stream_id; }
    ~Dropping() { dropping = 0; }
    Dropping(const Dropping&) = delete;
    Dropping& operator=(const Dropping&) = delete;
};

bool target_exists(const Stream& stream) {
    Bookkeeping bookkeeping;
    return !pg::query(
                "SELECT FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace WHERE n.nspname = $1 AND "
                "t.relname = $2",
                {stream.target_schema, stream.target_table})
                .empty();
}

// Only what the stream has made, and nobody else has filled. What refers to the table keeps it from being dropped.
void drop_target(const Stream& stream) {
    if (!target_exists(stream)) return;
    const std::string table =
        pg::quote_identifier(stream.target_schema) + "." + pg::quote_identifier(stream.target_table);
    const bool is_shared = target_is_shared(stream);
    if (is_shared || !owns_target(stream)) {
        throw pg::Error(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                        "cannot drop table " + table + " with stream \"" + stream.name + "\"",
                        is_shared ? "Another stream fills the table, too."
                                  : "The stream did not create the table, or other streams have filled it, too.",
                        "SELECT sync_drop(" + pg::quote_literal(stream.name) + "); drops the stream alone" +
                            (is_shared ? "." : ", and then DROP TABLE " + table + "; the table."));
    }
    Dropping now(stream.id);
    const pg::OwnerScope scope(OidIsValid(stream.owner_oid) ? stream.owner_oid : GetUserId(), pg::Plans::any, false);
    pg::query("DROP TABLE " + table);
}

}  // namespace

bool is_dropping(int stream_id) {
    return dropping == stream_id;
}

}  // namespace insync

using namespace insync;

extern "C" {
INSYNC_SQL_FUNCTION(sync_drop);

Datum sync_drop(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_drop()");
        Stream stream = load_stream(required_text(fcinfo, 0, "name"));
        if (PG_GETARG_BOOL(1)) drop_target(stream);
        Streams::forget(stream.id);
        return Datum(0);
    });
}
}
