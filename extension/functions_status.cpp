// Live state for the views, and the grants: insync.live, sync_grant, sync_revoke.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
#include "utils/acl.h"
#include "utils/timestamp.h"
}

#include <cmath>
#include <set>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/stream.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/shmem/shared_state.hpp"

using namespace insync;

namespace {

pg::Value instant_text(TimestampTz time) {
    if (time == DT_NOBEGIN || time == DT_NOEND || time == 0) return std::nullopt;
    const char* text = pg::call([&] { return timestamptz_to_str(time); });
    return std::string(text);
}

// The streams whose state, messages of errors included, the current role may see.
std::set<int> visible_streams() {
    Oid caller = GetUserId();
    const bool sees_all = sees_all_streams();
    pg::Rows rows;
    {
        Bookkeeping bookkeeping;
        rows = pg::query(
            std::string("SELECT s.id FROM insync.stream AS s ") + join_owner +
                " WHERE $2::boolean OR CASE WHEN r.oid IS NULL THEN (SELECT c.rolsuper FROM pg_roles AS c WHERE c.oid "
                "= $1::oid)"
                " ELSE pg_has_role($1::oid, r.oid, 'USAGE') END",
            {std::to_string(caller), sees_all ? "true" : "false"});
    }
    std::set<int> ids;
    for (const auto& row : rows.rows) ids.insert(std::stoi(*row[0]));
    return ids;
}

// A role whose rights the caller may change.
Oid granted_role(const std::string& role) {
    Oid owner = extension_owner();
    if (!pg::call([&] { return has_privs_of_role(GetUserId(), owner); }))
        throw pg::Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "only the owner of pg_insync may grant its use");
    const char* name = role.c_str();
    return pg::call([&] { return get_role_oid(name, false); });
}

// Grants or revokes what a role needs for streams of its own. `to` has TO or FROM with the role.
void change_rights(const std::string& verb, const std::string& to) {
    Bookkeeping bookkeeping;
    pg::query(verb + " USAGE ON SCHEMA insync" + to);
    pg::query(verb +
              " SELECT ON insync.stream, insync.watermark, insync.run, insync.error, insync.home, insync.status, "
              "insync.progress, insync.ledger, insync.slice, insync.job, insync.difference, insync.origin, "
              "insync.gaps, "
              "insync.coverage, insync.daily" +
              to);
    pg::query(verb + " UPDATE (record), DELETE ON insync.error" + to);
    // Everything that the extension made and that an ordinary role may call.
    for (const auto& row :
         pg::query("SELECT p.oid::regprocedure::text FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid"
                   " WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND "
                   "d.deptype = 'e'"
                   " AND d.refobjid = (SELECT e.oid FROM pg_extension AS e WHERE e.extname = 'pg_insync')"
                   " AND p.proname NOT IN ('sync_grant', 'sync_revoke', 'follow_ddl', 'operate', "
                   "'insync_odbc_validator', 'insync_rest_validator')")
             .rows) {
        pg::query(verb + " EXECUTE ON ROUTINE " + *row[0] + to);
    }
}

// What pg_monitor sees, and what makes streams run or stand still.
void let_operate(const std::string& to) {
    Bookkeeping bookkeeping;
    pg::query("GRANT USAGE ON SCHEMA insync" + to);
    const std::string of_ours =
        " FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid"
        " AND d.deptype = 'e' AND e.extname = 'pg_insync' ";
    for (const auto& row :
         pg::query("SELECT c.oid::regclass::text, CASE WHEN NOT has_table_privilege('pg_monitor', c.oid, 'SELECT') THEN"
                   " (SELECT ' (' || string_agg(quote_ident(a.attname), ', ') || ')' FROM pg_attribute AS a WHERE"
                   " a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege('pg_monitor',"
                   " c.oid, a.attnum, 'SELECT')) ELSE '' END" +
                   of_ours +
                   "JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind IN ('r', "
                   "'v') WHERE has_any_column_privilege('pg_monitor', c.oid, 'SELECT')")
             .rows)
        pg::query("GRANT SELECT" + *row[1] + " ON " + *row[0] + to);
    for (const auto& row :
         pg::query("SELECT p.oid::regprocedure::text" + of_ours +
                   "JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid WHERE "
                   "has_function_privilege('pg_monitor', p.oid, 'EXECUTE') OR p.proname IN ('operate', 'sync_trigger', "
                   "'sync_wait', 'sync_cancel', 'sync_pause', 'sync_resume')")
             .rows)
        pg::query("GRANT EXECUTE ON ROUTINE " + *row[0] + to);
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(insync_live);
INSYNC_SQL_FUNCTION(sync_grant);
INSYNC_SQL_FUNCTION(sync_revoke);

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
                        instant_text(live.started_at), std::to_string(live.batches), std::to_string(live.rows_read),
                        std::to_string(live.written), std::to_string(live.bytes), std::to_string(live.polls),
                        live.polls > 0 ? instant_text(live.quiet_since) : std::nullopt, instant_text(live.last_poll),
                        instant_text(live.next_run),
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
        const std::string may = PG_NARGS() > 1 ? required_text(fcinfo, 1, "may") : "use";
        (void)granted_role(role);
        const std::string to = " TO " + pg::quote_identifier(role);
        if (may == "use") {
            change_rights("GRANT", to);
        } else if (may == "operate") {
            let_operate(to);
        } else {
            throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "invalid right " + quote_for_message(may), "",
                            "Valid rights are use and operate.");
        }
        return Datum(0);
    });
}

Datum sync_revoke(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_revoke()");
        std::string role = required_text(fcinfo, 0, "role");
        Oid oid = granted_role(role);
        if (oid == extension_owner())
            throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                            "role \"" + role + "\" owns pg_insync, so its rights cannot be revoked");
        change_rights("REVOKE", " FROM " + pg::quote_identifier(role));
        pg::Rows rows;
        {
            Bookkeeping bookkeeping;
            pg::query("REVOKE EXECUTE ON FUNCTION insync.operate() FROM " + pg::quote_identifier(role));
        }
        {
            Bookkeeping bookkeeping;
            rows = pg::query(
                "SELECT count(*), string_agg(s.name, ', ' ORDER BY s.name) FROM insync.stream AS s WHERE s.owner_id = "
                "$1::oid",
                {std::to_string(oid)});
        }
        if (rows.first()[0] == "0") return Datum(0);
        std::string text = "role \"" + role + "\" still owns streams, which go on: " + *rows.first()[1];
        const char* message = text.c_str();
        pg::call([&] {
            ereport(NOTICE, (errmsg_internal("%s", message),
                             errhint("sync_drop() drops one; sync_alter() with \"owner\" gives it to another role.")));
        });
        return Datum(0);
    });
}
}
