// Counts a target's rows by slices; see recount.hpp.
#include "bgworker/completeness/recount.hpp"

extern "C" {
#include "pgstat.h"
}

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/stream_lock.hpp"
#include "bgworker/ledger/ledger.hpp"
#include "bgworker/ledger/ledger_choice.hpp"
#include "bgworker/ledger/ledgers.hpp"
#include "bgworker/ledger/slices.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/owned_rows.hpp"
#include "bgworker/target/shape.hpp"

namespace insync {

namespace {

Ledger require_ledger(const Stream& stream) {
    if (auto ledger = Ledgers::load(stream.id)) return *ledger;
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
                        "cannot count the rows of stream \"" + stream.name + "\": target " + shape.target +
                            " is shared, and the key of the stream has no constant column",
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
        Ledgers::mark_incomplete(stream.id);
        Ledgers::set_rule(stream.id, ledger.rule);
        Slices::set_empty(stream.id);
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
        Bookkeeping bookkeeping;
        if (!Ledgers::set_complete(stream.id, ledger.rule))
            throw pg::Error(ERRCODE_T_R_SERIALIZATION_FAILURE,
                            "the slices of the stream were redefined while its target was counted");
        (void)Slices::add(stream.id, ledger, counted, "");
        Slices::forget_empty(stream.id);
        judge_ledger(stream, true);
        RunCounts counts;
        counts.rows_read = rows;
        add_progress(job, counts);
        finish_job(job, rows, std::to_string(rows) + " rows in " + std::to_string(counted.size()) + " slices");
    });
    return rows;
}

}  // namespace insync
