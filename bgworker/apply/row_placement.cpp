// Sees to it that rows are written where they are found; see applier.hpp and target_kind.hpp.
extern "C" {
#include "postgres.h"

#include "catalog/namespace.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
}

#include "bgworker/apply/applier.hpp"
#include "bgworker/pg/owner_scope.hpp"

namespace insync {

// A first load inserts, and later runs merge: if that is refused, it is refused before the first row is written.
void Applier::agree_with_planner() {
    if (has_planned_) return;
    const auto slot = static_cast<std::size_t>(order_);
    const bool is_plain = plan(merge_[slot], merge_statement(shape_, order_)).writes_plainly();
    if (is_plain && target_kind_ == TargetKind::hypertable) {
        throw pg::Error(ERRCODE_WRONG_OBJECT_TYPE,
                        "target " + shape_.target + " is a hypertable, but TimescaleDB does not plan its statements",
                        "Rows would be written to the hypertable itself, where queries do not find them.",
                        "Add timescaledb to shared_preload_libraries, and restart the server.");
    }
    has_planned_ = true;
}

void Applier::require_bound_target() const {
    const char *schema = stream_.target_schema.c_str(), *table = stream_.target_table.c_str();
    const Oid oid = target_oid_;
    const Oid found = pg::call([&] {
        LockRelationOid(oid, RowExclusiveLock);
        const Oid space = get_namespace_oid(schema, true);
        return OidIsValid(space) ? get_relname_relid(table, space) : InvalidOid;
    });
    if (found == oid) return;
    const bool is_gone = !OidIsValid(found);
    pg::Error error(
        is_gone ? ERRCODE_UNDEFINED_TABLE : ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "target " + shape_.target + (is_gone ? " no longer exists" : " was replaced by another table during the run"),
        "", "If it was renamed, the next run follows it.");
    error.error_class = pg::ErrorClass::transient;
    throw error;
}

// What a first load has written must be there for a query: whoever planned or wrote it may have had another place in
// mind. Rows that a trigger of the table takes away afterwards are its owner's wish.
void Applier::check_visible(std::int64_t written) {
    if (!was_empty_ || written == 0) return;
    is_visible_ = true;
    const auto seen = std::stoll(*pg::query("SELECT count(*) FROM (SELECT FROM " + shape_.target + " LIMIT " +
                                            std::to_string(written) + ") AS x")
                                      .first()[0]);
    if (seen >= written || has_after_insert_triggers(target_oid_)) return;
    pg::Error error(ERRCODE_WRONG_OBJECT_TYPE, "rows written to " + shape_.target + " are not found there",
                    "It was empty, " + std::to_string(written) + " rows were inserted, and a query finds " +
                        std::to_string(seen) + ". Nothing was committed.",
                    "An extension or a policy of row-level security may redirect rows or hide them. Name an "
                    "ordinary table as target.");
    error.error_class = pg::ErrorClass::config;
    throw error;
}

}  // namespace insync
