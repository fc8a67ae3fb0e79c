// Counts a target's rows by slices; see recount.hpp.
#include "bgworker/completeness/recount.hpp"

extern "C" {
#include "pgstat.h"
}

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/stream_lock.hpp"
#include "bgworker/ledger/ledger.hpp"
#include "bgworker/ledger/ledger_choice.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/owned_rows.hpp"

namespace insync {

namespace {

Ledger require_ledger(const Stream& stream) {
    if (auto ledger = load_ledger(stream.id)) return *ledger;
    pg::Error error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "stream \"" + stream.name + "\" has no column by which its rows could be counted into slices", "",
                    "Name a date or time of the target: SELECT sync_alter(" + pg::quote_literal(stream.name) +
                        ", '{\"slice_column\": \"...\"}').");
    error.error_class = pg::ErrorClass::config;
    throw error;
}

// Counts by bucket of the stream's rows in the target, as the stream's owner sees them. Sets the ledger's rule, as the
// target may have changed since it was chosen.
std::string count_statement(const Stream& stream, Ledger& ledger) {
    const bool is_shared = target_is_shared(stream);
    const pg::OwnerScope owner_scope(stream.owner_oid);
    const auto target = describe_target(stream.target_schema, stream.target_table);
    const TargetColumn* column = target ? target->find(ledger.column) : nullptr;
    if (column == nullptr)
        throw pg::Error(ERRCODE_UNDEFINED_COLUMN,
                        "the target has no column \"" + ledger.column + "\" any more, by which its rows are counted",
                        "", "Name another one with option slice_column of sync_alter().");
    const auto shape = build_shape(stream, stream.source_columns, *target);
    std::string scope = stream_scope(shape, stream.source_columns);
    if (scope.empty() && is_shared) {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                        "the rows of stream \"" + stream.name + "\" can't be counted, as other streams write to " +
                            shape.target + ", too, and nothing tells them apart",
                        "",
                        "Give the key a constant column of this stream, for example columns {\"shop\": \"'T01'\"} and "
                        "key 'shop,id'.");
    }
    ledger.rule = counting_rule(ledger, *target, shape, stream.source_columns);
    const std::string bucket = bucket_expression(ledger, column->base_type, "t." + pg::quote_identifier(column->name));
    return count_slices_statement(shape, bucket, bucket_number, scope);
}

}  // namespace

std::int64_t profile_target(const Stream& stream, const Job& job, Transactions& transactions) {
    StreamLock lock(stream.id);
    if (!lock.held()) throw pg::Error(ERRCODE_LOCK_NOT_AVAILABLE, "stream \"" + stream.name + "\" is running");
    Ledger ledger;
    std::string statement;
    transactions.run([&] {
        require_owner(stream);
        ledger = require_ledger(stream);
        statement = count_statement(stream, ledger);
        const std::string id = std::to_string(stream.id);
        distrust_ledger(stream.id);
        set_ledger_rule(stream.id, ledger.rule);
        Bookkeeping bookkeeping;
        pg::query("UPDATE insync.slice AS s SET rows = 0 WHERE s.stream_id = $1::integer AND s.rows <> 0", {id});
    });
    SliceChanges counted;
    std::int64_t rows = 0;
    transactions.run([&] {
        lock.release();  // the snapshot is taken: what comes from here on isn't in it
        const pg::OwnerScope owner_scope(stream.owner_oid);
        for (const auto& row : pg::query(statement, {}, pg::Sees::pushed_snapshot).rows) {
            counted[std::stoll(*row[0])] = std::stoll(*row[1]);
            rows += std::stoll(*row[1]);
        }
    });
    transactions.run([&] {
        const std::string id = std::to_string(stream.id);
        Bookkeeping bookkeeping;
        auto same =
            pg::query("UPDATE insync.ledger AS l SET complete = true WHERE l.stream_id = $1::integer AND l.rule = $2",
                      {id, ledger.rule});
        if (same.processed == 0)
            throw pg::Error(ERRCODE_T_R_SERIALIZATION_FAILURE,
                            "the stream's slices were defined anew while its target was counted");
        (void)add_to_ledger(stream.id, ledger, counted, "");
        pg::query(
            "DELETE FROM insync.slice AS s WHERE s.stream_id = $1::integer AND s.rows = 0 AND s.verified_at IS NULL",
            {id});
        judge_ledger(stream, true);
        RunCounts counts;
        counts.rows_read = rows;
        add_progress(job, counts);
        finish_job(job, rows, std::to_string(rows) + " rows in " + std::to_string(counted.size()) + " slices");
    });
    return rows;
}

}  // namespace insync
