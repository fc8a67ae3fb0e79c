// Asks the catalogs what a target is; see target_kind.hpp.
#include "bgworker/target/target_kind.hpp"

#include "bgworker/pg/spi.hpp"

extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "utils/snapmgr.h"
}

namespace insync {

namespace {

// The table, its partitions, and tables that inherit from it, as WITH RECURSIVE part (oid).
constexpr const char* parts =
    "WITH RECURSIVE part (oid) AS (SELECT $1::pg_catalog.oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i"
    " JOIN part AS p ON i.inhparent = p.oid) ";

const char* name_of_kind(char relkind) {
    switch (relkind) {
        case 'v':
            return "It is a view. Name the table beneath it.";
        case 'm':
            return "It is a materialized view, which only REFRESH MATERIALIZED VIEW fills.";
        case 'f':
            return "It is a foreign table: its rows are in another database, which does not commit together with the "
                   "stream's position.";
        case 'S':
            return "It is a sequence.";
        case 'c':
            return "It is a composite type.";
        default:
            return "";
    }
}

// What stands in the way of a target, in one look: is Citus there, is TimescaleDB, a rule, a foreign part. Another's
// table of that name is none of TimescaleDB's: what it does when it is read would be done with the owner's rights.
constexpr const char* obstacles = R"(
SELECT pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL,
       EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                 JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                  AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
                 JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
                WHERE n.nspname = '_timescaledb_catalog' AND c.relname = 'hypertable' AND e.extname = 'timescaledb'),
       (SELECT r.rulename FROM pg_catalog.pg_rewrite AS r
         WHERE r.ev_class = $1::pg_catalog.oid AND r.ev_type <> '1' AND r.ev_enabled <> 'D' ORDER BY r.rulename LIMIT 1),
       (SELECT c.oid::pg_catalog.regclass FROM part AS p JOIN pg_catalog.pg_class AS c ON c.oid = p.oid
         WHERE c.relkind = 'f' ORDER BY c.oid LIMIT 1))";

// Citus leads statements to shards; a COPY or MERGE of ours it would leave in a shell table that no query reads, or
// refuse in the middle of a run.
void refuse_citus(const std::string& oid, const std::string& table) {
    const auto found =
        pg::query(std::string(parts) +
                      "SELECT d.partmethod, d.repmodel FROM pg_catalog.pg_dist_partition AS d JOIN part AS p ON "
                      "d.logicalrelid::pg_catalog.oid = p.oid LIMIT 1",
                  {oid});
    if (found.empty()) return;
    const std::string method = found.first()[0].value_or(""), replication = found.first()[1].value_or("");
    const char* kind = method != "n"        ? "a distributed table of Citus"
                       : replication == "t" ? "a reference table of Citus"
                                            : "a local table that Citus manages";
    throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, "target " + table + " is " + kind,
                    "Citus keeps its rows in shards, where streams cannot write yet.",
                    "Name an ordinary table as target, or make it one: SELECT undistribute_table(" +
                        pg::quote_literal(table) + ").");
}

void refuse_rule(const std::string& rule, const std::string& table) {
    const std::string name = pg::quote_identifier(rule);
    throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, "target " + table + " has the rule " + name,
                    "A rule may redirect rows, and MERGE does not support relations with rules.",
                    "Make it a trigger, and DROP RULE " + name + " ON " + table + ";");
}

// MERGE writes to no foreign table, which it would find out in the middle of a run.
void refuse_foreign_part(const std::string& part, const std::string& table) {
    throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, "target " + table + " has the foreign table " + part + " as a part",
                    "MERGE cannot write to foreign tables, and their rows do not commit together with the stream's "
                    "position.",
                    "Detach that part, or name a table without foreign parts as target.");
}

// Does the table itself hold rows, whatever a planner makes of a query for them?
bool holds_rows(Oid oid) {
    return pg::call([&] {
        Relation relation = table_open(oid, AccessShareLock);
        Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
        TupleTableSlot* slot = table_slot_create(relation, nullptr);
        TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
        const bool found = table_scan_getnextslot(scan, ForwardScanDirection, slot);
        table_endscan(scan);
        ExecDropSingleTupleTableSlot(slot);
        UnregisterSnapshot(snapshot);
        table_close(relation, NoLock);
        return found;
    });
}

// Rows in the root were left there by a COPY that TimescaleDB knew nothing of. No query finds them; MERGE does.
void refuse_hidden_rows(Oid oid, const std::string& table) {
    if (!holds_rows(oid)) return;
    throw pg::Error(ERRCODE_WRONG_OBJECT_TYPE, "hypertable " + table + " holds rows that no query finds",
                    "They lie in the hypertable itself and in none of its chunks.",
                    "As a superuser: BEGIN; SET LOCAL timescaledb.restoring = on; DELETE FROM ONLY " + table +
                        "; COMMIT; then have all rows read again with sync_reset().");
}

bool is_hypertable(const std::string& oid) {
    return !pg::query(
                "SELECT FROM _timescaledb_catalog.hypertable AS h JOIN pg_catalog.pg_namespace AS n ON n.nspname = "
                "h.schema_name JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = h.table_name"
                " WHERE c.oid = $1::pg_catalog.oid",
                {oid})
                .empty();
}

}  // namespace

bool has_after_insert_triggers(Oid oid) {
    // By the bits of tgtype: neither BEFORE (2) nor INSTEAD OF (64), on INSERT (4).
    return !pg::query(std::string(parts) +
                          "SELECT FROM pg_catalog.pg_trigger AS g JOIN part AS p ON g.tgrelid = p.oid WHERE NOT "
                          "g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 66 = 0 AND g.tgtype & 4 <> 0 LIMIT 1",
                      {std::to_string(oid)})
                .empty();
}

TargetKind require_fillable(Oid oid, char relkind, const std::string& table) {
    if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE) {
        throw pg::Error(ERRCODE_WRONG_OBJECT_TYPE, table + " is not a table", name_of_kind(relkind),
                        "A target is an ordinary or partitioned table.");
    }
    const std::string number = std::to_string(oid);
    const auto found = pg::query(std::string(parts) + obstacles, {number}).first();
    if (*found[0] == "t") refuse_citus(number, table);
    if (found[2]) refuse_rule(*found[2], table);
    if (found[3]) refuse_foreign_part(*found[3], table);
    if (*found[1] != "t" || !is_hypertable(number)) return TargetKind::table;
    refuse_hidden_rows(oid, table);
    return TargetKind::hypertable;
}

}  // namespace insync
