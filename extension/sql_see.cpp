// Live state for the views, and the grants: insync.live, sync_grant.
#include "extension/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
#include "utils/acl.h"
#include "utils/timestamp.h"
}

#include <cmath>
#include <set>

#include "bgworker/bookkeeping.hpp"
#include "bgworker/installation.hpp"
#include "bgworker/shared_state.hpp"
#include "bgworker/stream.hpp"
#include "extension/result_set.hpp"

using namespace insync;

namespace {

pg::Value time_text(TimestampTz time) {
    if (time == DT_NOBEGIN || time == DT_NOEND || time == 0) return std::nullopt;
    const char* text = pg::call([&] { return timestamptz_to_str(time); });
    return std::string(text);
}

// The streams whose state, messages of errors included, the current role may see.
std::set<int> visible_streams() {
    Oid caller = GetUserId();
    pg::Rows rows;
    {
        Bookkeeping bookkeeping;
        rows = pg::query(
            std::string("SELECT s.id FROM insync.stream AS s ") + join_owner +
                " WHERE CASE WHEN r.oid IS NULL THEN (SELECT c.rolsuper FROM pg_roles AS c WHERE c.oid = $1::oid)"
                " ELSE pg_has_role($1::oid, r.oid, 'USAGE') END",
            {std::to_string(caller)});
    }
    std::set<int> ids;
    for (const auto& row : rows.rows) ids.insert(std::stoi(*row[0]));
    return ids;
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(insync_live);
INSYNC_SQL_FUNCTION(sync_grant);

Datum insync_live(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        ResultSet result(fcinfo);
        auto visible = visible_streams();
        for (const auto& live : shared::all_live()) {
            if (!visible.contains(live.stream_id)) continue;
            std::string message = live.message;
            result.add({std::to_string(live.stream_id), live_state_name(live.state),
                        live.pid != 0 ? pg::Value(std::to_string(live.pid)) : std::nullopt,
                        live.run_id != 0 ? pg::Value(std::to_string(live.run_id)) : std::nullopt,
                        time_text(live.started_at), std::to_string(live.batches), std::to_string(live.rows_read),
                        std::to_string(live.written), std::to_string(live.bytes), std::to_string(live.polls),
                        live.polls > 0 ? time_text(live.quiet_since) : std::nullopt, time_text(live.last_poll),
                        time_text(live.next_run),
                        std::isnan(live.lag_seconds) ? std::nullopt : pg::Value(std::to_string(live.lag_seconds)),
                        message.empty() ? pg::Value() : pg::Value(message)});
        }
        return Datum(0);
    });
}

Datum sync_grant(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_grant()");
        std::string role = required_text(fcinfo, 0, "role");
        Oid owner = extension_owner();
        if (!pg::call([&] { return has_privs_of_role(GetUserId(), owner); })) {
            throw pg::Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "only the owner of pg_insync may grant its use");
        }
        const char* name = role.c_str();
        pg::call([&] { (void)get_role_oid(name, false); });
        std::string to = " TO " + pg::quote_identifier(role);
        Bookkeeping bookkeeping;
        pg::query("GRANT USAGE ON SCHEMA insync" + to);
        pg::query(
            "GRANT SELECT ON insync.stream, insync.watermark, insync.run, insync.error, insync.home, insync.status, "
            "insync.progress, insync.ledger, insync.slice, insync.job, insync.difference, insync.origin, insync.gaps, "
            "insync.coverage, "
            "insync.daily" +
            to);
        pg::query("GRANT UPDATE (record), DELETE ON insync.error" + to);
        // Everything that the extension made and that an ordinary role may call.
        for (const auto& row :
             pg::query("SELECT p.oid::regprocedure::text FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid"
                       " WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND "
                       "d.deptype = 'e'"
                       " AND d.refobjid = (SELECT e.oid FROM pg_extension AS e WHERE e.extname = 'pg_insync')"
                       " AND p.proname NOT IN ('sync_grant', 'insync_odbc_validator', 'insync_rest_validator')")
                 .rows) {
            pg::query("GRANT EXECUTE ON ROUTINE " + *row[0] + to);
        }
        return Datum(0);
    });
}
}
