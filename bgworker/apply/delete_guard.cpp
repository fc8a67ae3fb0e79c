// Counts deletes against their limit; see delete_guard.hpp.
#include "bgworker/apply/delete_guard.hpp"

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/target/owned_rows.hpp"

namespace insync {

namespace {

// A share of deletes is judged from this many on: of three rows, one is a third.
constexpr std::int64_t guard_floor = 10;

}  // namespace

void DeleteGuard::check_vanished(std::int64_t vanished, std::int64_t total, std::int64_t seen, bool is_part) const {
    const ShareOrCount& limit = stream_.options.max_deletes;
    if (!limit.exceeded_by(vanished, total)) return;
    if (limit.share && vanished <= guard_floor && seen > 0) return;
    pg::Error error(ERRCODE_DATA_EXCEPTION,
                    std::to_string(vanished) + " of " + std::to_string(total) + " rows of " + shape_.target +
                        " would be deleted, more than option max_deletes allows (" + stream_.options.max_deletes.text +
                        ")",
                    "The source was read in full" + std::string(is_part ? " for these slices" : "") + " and had " +
                        std::to_string(seen) + " rows. Nothing was deleted.",
                    "If the rows are really gone, SELECT sync_alter(" + pg::quote_literal(stream_.name) +
                        ", '{\"max_deletes\": \"100%\"}'), run it, and set it back.");
    error.error_class = pg::ErrorClass::config;
    throw DeletesRefused(error, vanished);
}

// Before the batch is written: which of its rows are there and go, as they no longer pass the filter.
void DeleteGuard::count_leaving() {
    if (shape_.leave_condition.empty()) return;
    if (!plan_) plan_ = std::make_unique<pg::Plan>(count_leaving_statement(shape_));
    leaving_ += std::stoll(*plan_->fetch().first()[0]);
}

// After it. What runs that failed have deleted counts, too: else each would delete what the guard allows to one.
void DeleteGuard::check_leaving() {
    if (leaving_ == 0) return;
    if (!rows_before_leaving_) {
        std::int64_t held =
            std::stoll(*pg::query(count_scope_statement(shape_, stream_scope(shape_, source_columns_))).first()[0]);
        Bookkeeping bookkeeping;
        left_ = std::stoll(
            *pg::query("SELECT coalesce(sum(r.deleted), 0)::bigint FROM insync.run AS r WHERE r.stream_id = $1::integer"
                       " AND r.status IN ('failed', 'cancelled') AND r.id > coalesce((SELECT max(o.id) FROM insync.run "
                       "AS o WHERE o.stream_id = $1::integer AND o.status = 'succeeded'), 0)",
                       {std::to_string(stream_.id)})
                 .first()[0]);
        rows_before_leaving_ = held + leaving_ + left_;
    }
    const std::int64_t going = left_ + leaving_;
    const ShareOrCount& limit = stream_.options.max_deletes;
    if (!limit.exceeded_by(going, *rows_before_leaving_) || (limit.share && going <= guard_floor)) return;
    pg::Error error(ERRCODE_DATA_EXCEPTION,
                    std::to_string(going) + " of " + std::to_string(*rows_before_leaving_) + " rows of " +
                        shape_.target + " no longer pass the filter, more than option max_deletes allows (" +
                        stream_.options.max_deletes.text + ")",
                    "Nothing of this batch was deleted or applied.",
                    "If the rows are to go, SELECT sync_alter(" + pg::quote_literal(stream_.name) +
                        ", '{\"max_deletes\": \"100%\"}'), run it, and set it back.");
    error.error_class = pg::ErrorClass::config;
    throw DeletesRefused(error, going);
}

void DeleteGuard::committed() {
    left_ += leaving_;
    leaving_ = 0;
}

}  // namespace insync
