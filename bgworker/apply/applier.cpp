// Applies batches and isolates bad rows; see applier.hpp.
#include "bgworker/apply/applier.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <set>

extern "C" {
#include "miscadmin.h"
#include "utils/timestamp.h"
}

#include "bgworker/apply/applier.hpp"
#include "bgworker/apply/copy_batch.hpp"
#include "bgworker/apply/merge_counter.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/shmem/shared_state.hpp"
#include "bgworker/target/column_names.hpp"
#include "bgworker/target/key_moves.hpp"
#include "bgworker/target/shape.hpp"

namespace insync {

namespace {

// How often a batch is tried again when somebody else inserts the same key at the same moment.
constexpr int unique_violation_attempts = 3;
// A share of rejects is judged from this many on: a poll that finds one row, a bad one, is no flood.
constexpr std::int64_t rejects_floor = 2;
// Rejected rows of a batch that are kept though the run fails for their number.
constexpr std::ptrdiff_t kept_rejects = 100;

}  // namespace

Applier::Applier(const Stream& stream, bool has_errors)
    : stream_(stream), rejects_(stream, has_errors), context_(nullptr), descriptor_(nullptr) {
    context_ = pg::call([] { return AllocSetContextCreate(TopMemoryContext, "insync apply", ALLOCSET_DEFAULT_SIZES); });
}

Applier::Applier(const Stream& stream, std::vector<SourceColumn> columns, bool has_errors, RowKind kind)
    : Applier(stream, has_errors) {
    use(std::move(columns), kind);
}

void Applier::use(std::vector<SourceColumn> columns, RowKind kind) {
    require_owner(stream_);
    const pg::OwnerScope scope(stream_.owner_oid, pg::Plans::key_lookups);
    auto target = describe_target(stream_.target_schema, stream_.target_table);
    if (!target) {
        throw pg::Error(
            ERRCODE_UNDEFINED_TABLE,
            "target " + pg::quote_identifier(stream_.target_schema) + "." + pg::quote_identifier(stream_.target_table) +
                " does not exist",
            "", "Create it again, or drop the stream: SELECT sync_drop(" + pg::quote_literal(stream_.name) + ").");
    }
    bool first = columns_.empty();
    columns_ = std::move(columns);
    columns_changed_ = false;
    kind_ = kind;
    auto known = whole_columns_.empty() ? stream_.source_columns : std::move(whole_columns_);
    const auto filled = known_filled_columns(stream_.id);
    require_names(stream_, kind == RowKind::full ? columns_ : known, *target, filled);
    whole_columns_ = kind == RowKind::full ? follow_columns(*target, known) : known;
    rejects_.use(columns_, kind == RowKind::deleted_key ? "delete" : "upsert");
    target_oid_ = target->oid;
    target_kind_ = target->kind;
    shape_ = build_shape(stream_, kind == RowKind::full ? columns_ : known, *target);
    require_own_rows();
    finds_moved_ = !has_moves(shape_) || insync::finds_moved(*target, shape_);
    filled_columns_ = filled_columns(*target, shape_);
    if (filled_columns_ == filled) filled_columns_ = nullptr;
    slices_.use(*target);
    // Plain INSERT knows no deletes: with an operation column, a later batch may delete what an earlier one inserted.
    if (first) {
        const bool is_empty = *pg::query("SELECT NOT EXISTS (SELECT FROM " + shape_.target + ")").first()[0] == "t";
        was_empty_ = is_empty;
        target_is_empty_ = is_empty && shape_.delete_condition.empty();
    }
    if (kind != RowKind::full) keep_keys();
    find_key_fields();
    may_copy_ = !slices_.counts_source();
    forget_writes();
    keys_.reset(), misfits_.reset(), origin_rows_.reset(), held_rows_.reset(), filtered_.reset();
    isolator_.forget_plans();
    MemoryContext outer = MemoryContextSwitchTo(context_);
    try {
        descriptor_ = BatchRelation::descriptor(columns_);
    } catch (...) {
        MemoryContextSwitchTo(outer);
        throw;
    }
    MemoryContextSwitchTo(outer);
    if (!seen_ && kind == RowKind::full) return;
    BatchRelation relation(descriptor_);
    if (kind != RowKind::full) check_keys();
    plan(keys_, keys_statement(shape_));
}

void Applier::keep_newest_versions() {
    constexpr std::array<std::string_view, 6> ordered = {
        "timestamp with time zone", "timestamp without time zone", "date", "bigint", "integer", "numeric"};
    if (stream_.watermark.size() != 1) return;
    const std::string name = fold_name(stream_.watermark.front());
    const std::string quoted = pg::quote_identifier(name);
    for (const auto& column : shape_.columns) {
        const bool has_order = std::find(ordered.begin(), ordered.end(), column.base_type) != ordered.end();
        if (column.name == quoted && has_order && find_field(columns_, name) != nullptr) shape_.version = quoted;
    }
    forget_writes();
}

void Applier::forget_writes() {
    guard_.forget_plan();
    for (auto* plans : {&merge_, &insert_}) (*plans)[0].reset(), (*plans)[1].reset();
    moves_.reset(), withdrawals_.reset();
    has_planned_ = false;
}

void Applier::save_names() {
    if (!filled_columns_.is_null()) Streams::save_target_columns(stream_.id, filled_columns_);
    filled_columns_ = nullptr;
}

void Applier::find_key_fields() {
    key_fields_.clear();
    for (const std::string& name : stream_.key) {
        auto column = std::find_if(shape_.columns.begin(), shape_.columns.end(), [&](const MappedColumn& item) {
            return item.name == pg::quote_identifier(name) && item.keeps_apart && !item.moves;
        });
        if (column == shape_.columns.end()) continue;
        auto field = std::find_if(columns_.begin(), columns_.end(),
                                  [&](const SourceColumn& item) { return item.field == column->field; });
        if (field != columns_.end()) key_fields_.push_back(static_cast<std::size_t>(field - columns_.begin()));
    }
}

Applier::~Applier() {
    insync_free_error(
        insync_try([](void* context) noexcept { MemoryContextDelete(static_cast<MemoryContext>(context)); }, context_));
}

pg::Plan& Applier::plan(std::unique_ptr<pg::Plan>& slot, const std::string& sql) {
    if (!slot) slot = std::make_unique<pg::Plan>(sql);
    return *slot;
}

void Applier::check() {
    const pg::OwnerScope scope(stream_.owner_oid, pg::Plans::key_lookups);
    BatchRelation relation(descriptor_);
    check_casts();  // before the whole statement, whose error would show no column
    agree_with_planner();
    (void)plan(insert_[0], insert_statement(shape_)).writes_plainly();
    if (auto misfits = misfit_statement(shape_); !misfits.empty()) plan(misfits_, misfits);
    if (!shape_.source_key.empty()) plan(origin_rows_, origins_statement(shape_));
    if (stream_.mode == "full" && stream_.options.deletes != DeleteMode::ignore) (void)delete_scope();
}

// Into an empty target, where nothing has to be computed: true if that did it, false if nothing was written.
bool Applier::copy(const Batch& batch, RunCounts& counts) {
    if (batch.rows() == 0 || !may_copy_ || has_screens() || slices_.compares() || !target_is_empty_ ||
        order_ != RowOrder::by_key || seen_ || rejects_.has_errors() || !batch.rejects.empty())
        return false;
    if (!has_planned_) {
        // COPY asks no planner, and no other hook.
        BatchRelation relation(descriptor_);
        pg::Subtransaction planning;
        try {
            agree_with_planner();
            const auto slot = static_cast<std::size_t>(order_);
            may_copy_ = plan(insert_[slot], insert_statement(shape_, order_)).writes_plainly();
            planning.commit();
        } catch (const pg::Error& error) {
            if (!error.is_data_fault()) throw;
            planning.rollback();
            may_copy_ = false;
        }
        if (!may_copy_) return false;
    }
    pg::Subtransaction subtransaction;
    try {
        TriggersAsOwner triggers(owner_settings());
        pg::query(pg::nothing_deferred);
        auto copied = copy_batch(batch, columns_, shape_, stream_);
        subtransaction.commit();
        may_copy_ = copied.has_value();
        counts.inserted += copied.value_or(0);
        if (may_copy_) slices_.count_copied(batch);
        return may_copy_;
    } catch (const pg::Error& error) {
        if (error.is_interrupt() || error.is_transient()) throw;
        // A bad row, which the statement is going to isolate; or a table that takes nothing but INSERT. If that fails
        // as well, it says why.
        subtransaction.rollback();
        may_copy_ = false;
        return false;
    }
}

void Applier::write(RunCounts& counts) {
    pg::query(pg::nothing_deferred);
    agree_with_planner();
    const auto slot = static_cast<std::size_t>(order_);
    if (target_is_empty_) {
        auto& insert = plan(insert_[slot], insert_statement(shape_, order_));
        counts.inserted += static_cast<std::int64_t>(insert.execute());
    } else {
        move_rows(counts);
        auto& merge = plan(merge_[slot], merge_statement(shape_, order_));
        arm_merge_counter();
        const auto processed = static_cast<std::int64_t>(merge.execute());
        MergeCounts merged = take_merge_counts();
        if (!merged.known) merged.updated = processed;
        counts.inserted += merged.inserted;
        counts.updated += merged.updated;
        counts.deleted += merged.deleted;
    }
    if (const std::string statement = filtered_statement(shape_); !statement.empty()) {
        counts.filtered += std::stoll(*plan(filtered_, statement).fetch().first()[0]);
    }
}

std::optional<pg::Error> Applier::try_write(RunCounts& counts) {
    RunCounts written;
    SliceCounting::Counts before = slices_.counts();
    const std::int64_t leaving_before = guard_.leaving();
    pg::Subtransaction subtransaction;
    try {
        guard_.count_leaving();
        TriggersAsOwner triggers(owner_settings());
        slices_.begin();
        write(written);
        slices_.end();
        slices_.count_source();
        subtransaction.commit();
    } catch (const pg::Error& error) {
        slices_.go_back(std::move(before));
        guard_.go_back(leaving_before);
        if (error.is_interrupt()) throw;
        subtransaction.rollback();
        return error;
    }
    counts.add(written);
    return std::nullopt;
}

RunCounts Applier::apply(const Batch& batch, const std::function<std::int64_t()>& run_id) {
    const pg::OwnerScope scope(stream_.owner_oid, pg::Plans::key_lookups);
    require_bound_target();
    if (kind_ == RowKind::live_key) return collect_batch_keys(batch);
    RunCounts counts;
    counts.batches = 1;
    counts.rows_read = static_cast<std::int64_t>(batch.rows() + batch.rejects.size());
    counts.bytes = static_cast<std::int64_t>(batch.bytes());
    new_origins_.clear();
    guard_.begin_batch();
    slices_.begin_batch(batch.rows());
    std::vector<std::size_t> rows(batch.rows());
    std::iota(rows.begin(), rows.end(), 0);
    std::vector<RowReject> rejects;
    std::vector<DecodeFault> faults;
    std::optional<pg::Error> failure;
    bool is_screened = false;  // some row doesn't fit
    order_ = batch.ascends(key_fields_, columns_) ? RowOrder::by_key : RowOrder::any;
    if (target_is_empty_ && has_moves(shape_) && !goes_on_ascending(batch)) target_is_empty_ = false;
    if (!copy(batch, counts)) {
        BatchRelation relation(batch, columns_, descriptor_, rows, &faults);
        is_screened = faults.empty() && !rows.empty() && has_misfits();
        if (faults.empty() && !rows.empty() && !is_screened) {
            for (int attempt = 0; attempt < unique_violation_attempts; attempt++) {
                failure = try_write(counts);
                if (!failure) break;
                target_is_empty_ = false;  // from here on with MERGE
                if (failure->sqlstate != ERRCODE_UNIQUE_VIOLATION) break;
            }
        }
        if (failure && !failure->is_data_fault()) throw *failure;
        if (!failure && faults.empty() && !is_screened) {
            if (seen_ && !rows.empty()) seen_->add(*keys_);
            counts.rejected = rejects_.settle({}, batch.rejects, run_id, batch.watermark);
        }
    }
    if (failure || !faults.empty() || is_screened) {
        target_is_empty_ = false;  // with INSERT, good rows that a first load reads again would be taken for bad ones
        for (auto& fault : faults) {
            const auto& field = columns_[fault.column].field;
            if (!rejects.empty() && rejects.back().row == fault.row) {
                rejects.back().patch[field] = fault.value;
            } else {
                rejects.push_back({fault.row, fault.error, "conversion", field, {{field, fault.value}}});
                std::erase(rows, fault.row);
            }
        }
        isolate(batch, rows, counts, rejects);
        rows.resize(batch.rows());
        std::iota(rows.begin(), rows.end(), 0);
        name_operations(batch, rejects);
        BatchRelation relation(batch, columns_, descriptor_, rows, &faults);
        counts.rejected = rejects_.settle(rejects, batch.rejects, run_id, batch.watermark);
    }
    std::set<std::size_t> rejected;
    for (const auto& reject : rejects) rejected.insert(reject.row);
    std::erase_if(new_origins_, [&](const KeyOrigin& origin) { return rejected.contains(origin.row); });
    save_origins(stream_.id, new_origins_);
    guard_.check_leaving();
    check_visible(counts.inserted);
    save_names();
    slices_.save(batch.watermark, counts.deleted);
    batch_ = {counts.rows_read, static_cast<std::int64_t>(rejects.size() + batch.rejects.size()),
              stream_.compares_whole_rows() ? 0 : static_cast<std::int64_t>(batch.rejects.size()), counts.inserted,
              counts.updated};
    keep_unreadable(batch.rejects);
    const std::string first = !rejects.empty()         ? rejects.front().error.message
                              : !batch.rejects.empty() ? batch.rejects.front().message
                                                       : "";
    try {
        check_limit(total_.rejects + batch_.rejects, total_.rows + batch_.rows, first);
    } catch (const TooManyRejects&) {
        if (std::ssize(rejects) > kept_rejects) rejects.erase(rejects.begin() + kept_rejects, rejects.end());
        too_many_ = std::move(rejects);
        throw;
    }
    return counts;
}

void Applier::check_limit(std::int64_t rejects, std::int64_t rows, const std::string& first) const {
    const auto limit = stream_.options.max_rejects.value;
    if (!limit || !limit->exceeded_by(rejects, rows) || (limit->share && rejects < rejects_floor)) return;
    pg::Error error(ERRCODE_DATA_EXCEPTION,
                    std::to_string(rejects) + " of " + std::to_string(rows) +
                        " rows were rejected, more than option max_rejects allows (" +
                        stream_.options.max_rejects.text + ")",
                    first.empty() ? "" : "The last batch's first reject: " + first + ".",
                    "See insync.error; mend the source or the target, or raise max_rejects.");
    error.error_class = pg::ErrorClass::source;
    throw TooManyRejects(error);
}

std::int64_t Applier::keep_rejects(const Batch& batch, const std::function<std::int64_t()>& run_id) {
    const pg::OwnerScope scope(stream_.owner_oid, pg::Plans::key_lookups);
    std::vector<std::size_t> rows(batch.rows());
    std::iota(rows.begin(), rows.end(), 0);
    std::vector<DecodeFault> faults;
    BatchRelation relation(batch, columns_, descriptor_, rows, &faults);
    auto from_source = batch.rejects;
    const auto room = static_cast<std::size_t>(kept_rejects) - too_many_.size();
    if (from_source.size() > room) from_source.resize(room);
    return rejects_.keep(too_many_, from_source, run_id, batch.watermark);
}

void Applier::committed() {
    slices_.committed();
    was_empty_ = was_empty_ && !is_visible_;
    last_order_ = std::move(next_order_);
    total_.rows += batch_.rows;
    total_.rejects += batch_.rejects;
    total_.unreadable += batch_.unreadable;
    total_.inserted += batch_.inserted;
    total_.updated += batch_.updated;
    guard_.committed();
    batch_ = {};
}

}  // namespace insync
