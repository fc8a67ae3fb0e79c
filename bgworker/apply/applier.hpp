// Applies batches to the target: one statement for a good batch (COPY, where a first load has nothing to compute),
// halving where rows are bad.
//
// Runs inside the batch's transaction, as the stream's owner, security-restricted. What it writes is idempotent: the
// same batch twice leaves the same table. Rejected rows are handed to `rejects`, in the same transaction.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bgworker/apply/delete_guard.hpp"
#include "bgworker/apply/difference.hpp"
#include "bgworker/apply/key_set.hpp"
#include "bgworker/apply/rejects.hpp"
#include "bgworker/apply/row_isolator.hpp"
#include "bgworker/apply/slice_counting.hpp"
#include "bgworker/apply/unseen_rows.hpp"
#include "bgworker/batch/batch_relation.hpp"
#include "bgworker/catalog/runs.hpp"
#include "bgworker/catalog/stream.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/pg/trigger_settings.hpp"
#include "bgworker/protocol/batch.hpp"
#include "bgworker/target/key_origins.hpp"
#include "bgworker/target/statement.hpp"
#include "bgworker/target/target.hpp"

namespace insync {

// More rows were rejected than option max_rejects allows; of the batch nothing was kept.
struct TooManyRejects : pg::Error {
    explicit TooManyRejects(pg::Error error) : pg::Error(std::move(error)) {}
};

class Applier {
  public:
    // As use(), for the first batch.
    Applier(const Stream& stream, std::vector<SourceColumn> columns, bool has_errors, RowKind kind = RowKind::full);
    ~Applier();

    // Builds the statements for the columns that the source sends from here on. Needs a transaction. Adds new source
    // columns to the target if the stream's policy says so. What was counted and seen of earlier batches stays. Throws
    // pg::Error where stream, source and target don't fit together. Rows of another kind than `whole` have the columns
    // of the source's key alone.
    void use(std::vector<SourceColumn> columns, RowKind kind = RowKind::full);

    // Rows can come in any order from here on: of two versions of a row, the one with the higher watermark stays, where
    // the target has it as a time or a number.
    void keep_newest_versions();

    // Checks the statements by planning them, without running them; for sync_create, sync_alter and sync_explain.
    // Whoever stands behind the planner may refuse them there.
    void check();
    // The apply statement, for sync_explain.
    std::string statement() const { return merge_statement(shape_); }

    // The columns of the target's key that can change while the row at the source stays the same; empty: none.
    std::string moving_columns() const;
    // Has the target an index that finds rows by what identifies them at the source?
    bool finds_moved() const { return finds_moved_; }
    // Keeps with the stream which columns it fills; apply() does so, too.
    void save_names();

    // The keys of every batch are collected from now on, for delete_vanished(). What a read of everything doesn't meet
    // any more is no reject, either; a part says nothing of the rest.
    enum class Covers { everything, part };
    void collect_keys(Covers covers = Covers::everything);

    // Applies a batch and stores its rejects; `run_id` is asked for their run if there are any. Throws pg::Error for
    // what isn't a row's fault: the transaction must then be rolled back, and may be tried again if the error is
    // transient.
    RunCounts apply(const Batch& batch, const std::function<std::int64_t()>& run_id);

    // After TooManyRejects, in a transaction of its own: keeps the first rejects of the batch, or of the rows that
    // vanished, all the same, so that it can be seen what was wrong. Returns how many rows of insync.error are new or
    // changed.
    std::int64_t keep_rejects(const Batch& batch, const std::function<std::int64_t()>& run_id);
    std::int64_t keep_refused(const std::function<std::int64_t()>& run_id);

    // The transaction of the last apply() has committed.
    void committed();

    // Deletes (or marks) the target's rows that no batch of this full read had. Rows that the target refuses to delete
    // are rejects; `run_id` is asked for their run. Throws DeletesRefused where more would vanish than option
    // max_deletes allows, TooManyRejects as apply(). Returns how many vanished and how many are rejected.
    RunCounts delete_vanished(const std::function<std::int64_t()>& run_id);
    // After a read of keys: takes the mark of a soft delete from the target's rows whose key was there again. Returns
    // their number.
    std::int64_t undelete_present();
    // Deletes (or marks) the target's rows that have these keys (a JSON array of objects by the target's names), as
    // delete_vanished() has rejected them where nothing tells their key at the source.
    RunCounts delete_by_key(const std::string& records, const std::function<std::int64_t()>& run_id);
    // The rows that vanished, and stay as the target refuses to delete them.
    std::int64_t refused_deletes() const { return refused_deletes_; }
    // The rows of each batch are counted by slice from now on, as the source has them: for a read of whole slices.
    void count_source_slices() {
        slices_.count_source_slices();
        may_copy_ = false;
    }
    // Their counts in the batches that have committed; of rejected rows nobody knows the slice.
    const SliceChanges& source_slices() const { return slices_.source_slices(); }
    // The stream's living rows in the target by slice, of those that the condition (SQL over t) selects; nothing where
    // they can't be told from others'.
    std::optional<SliceChanges> held_slices(const std::string& condition) const { return slices_.held(condition); }
    // Only target rows in this stretch of slices can vanish; SQL over t.
    void limit_deletes(std::string condition) { delete_window_ = std::move(condition); }
    // The source's keys, in the order of the stream's, of the target rows that no batch had; nothing where the target's
    // columns don't tell them.
    std::optional<std::vector<std::vector<std::string>>> vanished_keys();

    // For a verification, which writes nothing: what the batch has otherwise than the target, but for rows that change
    // at the moment; their keys are collected. With `only_keys` a row is right if its key is there.
    std::vector<Difference> compare(const Batch& batch, bool only_keys);
    // Rows whose watermark (literals of the source, in this type of PostgreSQL) is at least this one are changing.
    void ignore_unsettled(const std::string& from, const std::string& type);
    // The target's rows that compare() met in no batch: how many there are of each slice, and `most` of them.
    struct Vanished {
        SliceChanges slices;
        std::vector<Difference> rows;
        bool is_cut = false;  // there are more
    };
    Vanished list_vanished(std::size_t most);
    // The keys of a batch, and of each whether its row changes at the moment.
    std::vector<std::pair<std::string, bool>> list_keys(const Batch& batch);

    // Rows that the connector could not read, so that their keys in the target are unknown: with any, nothing is
    // deleted.
    std::int64_t unreadable_rows() const { return total_.unreadable; }

    // Rows that were refused, those included that are in insync.error already.
    std::int64_t rejected_rows() const { return total_.rejects; }

    // New columns of the source that the last use() added to the target, as a list.
    const std::string& added_columns() const { return added_columns_; }

    // Has the stream recorded other columns of the source than these, or knows less of them?
    bool columns_changed() const { return columns_changed_; }
    const std::vector<SourceColumn>& columns() const { return whole_columns_; }
    // Could the target not be altered, as somebody else holds a lock on it? To be tried again by another use().
    bool is_locked_out() const { return kind_ == RowKind::full && !locked_out_.empty(); }

    // What there is to say of the source's columns and the target's, and of marks that stay, for the run's message;
    // empty: nothing. And has the target been altered?
    std::string notes() const;
    bool has_altered_target() const { return has_altered_target_; }

  private:
    Applier(const Stream& stream, bool has_errors);
    std::vector<SourceColumn> follow_columns(Target& target, const std::vector<SourceColumn>& known_columns);
    bool alter_target(const SourceColumn& column, const std::string& statement);
    void take_new_column(const Target& target, SourceColumn& column);
    void widen_column(const Target& target, const SourceColumn& column);
    std::string mapping_advice(const SourceColumn& column) const;
    void check_casts();
    // A row whose key in the target is that of another row of the source, and that one's key at the source.
    struct Intruder {
        std::size_t row;
        std::string key, owner;
    };
    std::vector<KeyOrigin> read_origins();
    std::vector<Intruder> find_intruders();
    pg::Error explain(const Intruder& intruder) const;
    bool has_screens() const;
    bool has_misfits();
    void screen_rows(const Batch& batch, std::vector<std::size_t>& good, std::vector<RowReject>& rejects);
    void reject_misfits(const Batch& batch, const std::vector<std::size_t>& rows, std::vector<RowReject>& rejects);
    void keep_keys();
    void check_keys();
    RunCounts collect_batch_keys(const Batch& batch);
    void add_keys(const Batch& batch, const std::vector<std::size_t>& rows);
    bool copy(const Batch& batch, RunCounts& counts);
    void agree_with_planner();
    void check_visible(std::int64_t written);
    void require_own_rows() const;
    bool goes_on_ascending(const Batch& batch);
    void move_rows(RunCounts& counts);
    std::int64_t count_buckets(const pg::Rows& rows);
    void write(RunCounts& counts);
    std::optional<pg::Error> try_write(RunCounts& counts);
    void isolate(const Batch& batch, std::vector<std::size_t> rows, RunCounts& counts, std::vector<RowReject>& rejects);
    void retry_conflicts(const Batch& batch, RunCounts& counts, std::vector<RowReject>& rejects);
    void advise_deferrable(std::vector<RowReject>& rejects) const;
    const TriggerSettings& owner_settings();
    void find_key_fields();
    void forget_writes();
    pg::Plan& plan(std::unique_ptr<pg::Plan>& slot, const std::string& sql);
    std::int64_t replacing_rows() const;
    void keep_unreadable(const std::vector<SourceReject>& rejects);
    std::string not_unreadable() const;
    // Names are looked up again with each statement, and somebody may have put another table in the place of the one
    // that this run has begun with. Who renames it waits from here on. Throws pg::Error (transient).
    void require_bound_target() const;
    std::string delete_scope() const;
    std::vector<std::size_t> convertible_rows(const Batch& batch);
    void check_limit(std::int64_t rejects, std::int64_t rows, const std::string& first) const;
    void name_operations(const Batch& batch, std::vector<RowReject>& rejects);
    std::int64_t known_refusals() const;
    std::int64_t reject_deletes(const UnseenRows::Refusals& refused, const std::function<std::int64_t()>& run_id);

    const Stream& stream_;
    std::vector<SourceColumn> columns_;        // of the batch
    std::vector<SourceColumn> whole_columns_;  // of the source, as last seen
    RowKind kind_ = RowKind::full;
    ApplyShape shape_;
    DeleteGuard guard_{stream_, shape_, whole_columns_};
    SliceCounting slices_{stream_, shape_, columns_, whole_columns_};
    UnseenRows unseen_{stream_, shape_, whole_columns_, slices_,
                       [this]() -> const TriggerSettings& { return owner_settings(); }};
    Rejects rejects_;
    std::vector<RowReject> too_many_;
    std::vector<SourceReject> too_many_deletes_;
    std::int64_t refused_deletes_ = 0;
    MemoryContext context_;
    TupleDesc descriptor_;
    RowIsolator isolator_{shape_, columns_, descriptor_};
    bool columns_changed_ = false, has_altered_target_ = false;
    std::vector<std::string> column_notes_;
    std::string marks_note_;
    std::set<std::string> locked_out_;  // fields whose column in the target waits for a lock
    Oid target_oid_ = InvalidOid;
    TargetKind target_kind_ = TargetKind::table;
    bool has_planned_ = false;  // the planner has nothing against what is going to be written
    bool was_empty_ = false;    // the target, when the run began, and no batch with rows has committed since
    bool is_visible_ = false;   // rows were written, and seen
    bool target_is_empty_ = false;
    bool may_copy_ = true;                            // as long as nothing has been found that COPY doesn't do
    std::vector<std::size_t> key_fields_;             // of the batch, that the target's key takes as they are
    RowOrder order_ = RowOrder::any;                  // of the present batch
    std::unique_ptr<pg::Plan> merge_[2], insert_[2];  // by RowOrder
    std::unique_ptr<pg::Plan> keys_, misfits_, origin_rows_, held_rows_, filtered_;
    std::vector<KeyOrigin> new_origins_;  // of the present batch
    std::unique_ptr<TriggerSettings> owner_settings_;
    bool finds_moved_ = true;
    std::unique_ptr<pg::Plan> moves_, withdrawals_;     // where rows can move
    std::vector<std::string> last_order_, next_order_;  // of the last row that has committed, and of the present batch
    nlohmann::json filled_columns_;                     // to be kept with the stream; null: they are known
    std::unique_ptr<SeenKeys> seen_;
    Covers covers_ = Covers::everything;
    std::string delete_window_;
    // Of rows that can't be read, where whole rows are compared: what tells them apart, as two SQL arrays without
    // braces.
    std::string unreadable_hashes_, unreadable_copies_;
    std::string added_columns_;
    // What counts for the limits of the whole run: batches that committed, and the present one.
    struct Seen {
        std::int64_t rows = 0, rejects = 0, unreadable = 0, inserted = 0, updated = 0;
    } total_, batch_;
};

}  // namespace insync
