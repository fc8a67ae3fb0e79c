// One read: pages in, frames out, positions that hold.
//
// A first load notes the source's highest watermark, reads everything in key order, then reads what changed since that
// mark. Later reads start at the stored watermark less the lookback, closed (>=), in the order of watermark and key. A
// full read is pages in key order. A position frame is sent after each batch and at the end; it holds for all rows and
// rejects before it, never goes backwards, and never moves on to a time beyond the source's clock: what is written
// until then would be missed.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/connector/odbc/fetch.hpp"
#include "bgworker/connector/odbc/plan_cache.hpp"
#include "bgworker/connector/odbc/sql/checksum_statements.hpp"
#include "bgworker/connector/odbc/sql/read_plan.hpp"
#include "bgworker/connector/output/frame_writer.hpp"
#include "bgworker/connector/output/json_of.hpp"
#include "bgworker/connector/values/row_identity.hpp"

namespace insync::odbc {

// The source doesn't return its rows in the order that was asked for.
struct OutOfOrder : Failure {
    OutOfOrder();
};

// Texts that were to be followed as a watermark don't sort by what they mean.
struct UnsortedWatermark : Failure {
    UnsortedWatermark(const std::string& column, const std::string& problem);
};

// How the rows of a page have to follow one another: the value of the column by which they are ordered must not fall,
// nor stay if it is unique, as a position stands for all rows before it.
struct PageOrder {
    std::optional<std::size_t> column;  // nothing: only the source knows the order
    bool is_unique = false;
    std::optional<std::int64_t> previous;

    // Looks at the next row, or raises OutOfOrder.
    void require(const Cursor& cursor, std::size_t row);
};

// Whether the plan's watermark is compared as texts are. SQLite holds numbers in columns of any type.
bool compares_texts(Connection& connection, const ReadPlan& plan);

class Reader {
  public:
    // All three are used until the reader ends.
    Reader(Connection& connection, const ReadRequest& request, FrameWriter& out);

    // Reads and returns the members of the done frame. What it learns of the source is kept in `plans`, for polls.
    nlohmann::json run(PlanCache* plans = nullptr);

    // The same by what is known of the source: two statements, where there is little to read and the source is what it
    // was; reader_poll.cpp. Nothing where it takes more than that: a new reader's run() is to find out.
    std::optional<nlohmann::json> poll(PlanCache& plans);

    // The statements that run() would begin its phases with, and their bounds.
    nlohmann::json explain();

    // Counts, sums and hashes of groups of rows, one result frame each; returns the members of the done frame.
    nlohmann::json measure(const MeasureRequest& request);

    // At most `rows` rows and no positions.
    nlohmann::json preview(std::size_t rows);

  private:
    using PageStatement = std::function<StatementText(const std::optional<After>&)>;
    using Advance = std::function<void(const Cursor&, std::size_t first, std::size_t last)>;

    void prepare_plan();
    void note_watermark();
    void send_columns();
    void in_order(const std::function<void()>& read);
    void return_to_start();
    nlohmann::json finish();
    void set_storage_class(std::size_t column);
    void set_layout(TimeColumn& time);
    void set_charsets(Measures& measures, const Bounds& bounds);
    void read_clock();
    bool has_local_clock() const;
    std::optional<std::string> source_clock_expression() const;
    std::optional<std::string> shown_clock(std::optional<std::string> clock) const;
    std::optional<std::string> source_clock();
    std::optional<std::string> initial_watermark() const;
    void check_key();
    void check_duplicate_keys();
    bool begins_with_load(const std::string& phase) const;
    void require_no_null_watermarks();

    void read_phases(const std::string& phase);
    void read_changes(const std::string& phase);
    void run_full();
    void run_only(const Bounds& bounds);
    Keys next_keys(std::size_t first) const;
    void run_load();
    void run_changes();
    void read_null_watermarks();
    void read_null_keys(const Bounds& bounds);
    Bounds changes_bounds();
    std::optional<std::string> read_mark();
    std::optional<std::string> read_rowversion_horizon();
    void begin_snapshot();
    void end_snapshot(bool failed);

    // Reads pages from `after` on; `advance` moves the position over the rows of a block that have been sent. The pages
    // are ordered first by the column `ordered_by`.
    void read_pages(const PageStatement& page, std::optional<After> after, std::optional<std::size_t> ordered_by,
                    const Advance& advance);
    PageOrder order_by(std::optional<std::size_t> column) const;
    void send_rows(const Cursor& cursor, std::size_t count, PageOrder& order, const Advance& advance);
    bool has_place(const Cursor& cursor, std::size_t row) const;
    std::optional<std::size_t> first_key() const;
    std::optional<After> stopped_after(const char* phase) const;
    nlohmann::json key_position(const char* phase, const std::optional<After>& after) const;
    void send_row(const Cursor& cursor, std::size_t row);
    void identify(const Cursor& cursor, std::size_t row);
    void reject_row(const Cursor& cursor, std::size_t row, const std::string& sqlstate, const std::string& message,
                    const std::string& column);
    bool batch_is_full() const;
    void send_position();
    void send_progress();
    After after_row(const Cursor& cursor, std::size_t row) const;
    void advance_watermark(const Cursor& cursor, std::size_t first, std::size_t last);

    // Polls: reader_poll.cpp.
    std::optional<std::string> read_definition_mark(PlanCache& plans);
    void keep_for_polls(PlanCache& plans, KnownSource known);
    bool read_clock_and_mark(const KnownSource& known);
    bool poll_changes(const KnownSource& known);
    bool poll_rows(const Bounds& bounds, const KnownSource& known);
    bool is_for_polls(const Cursor& cursor) const;

    // What is read again of what was read before: reader_overlap.cpp.
    void set_text_bounds(Bounds& bounds) const;
    void leave_out_settled(Bounds& bounds);
    bool has_settled() const;
    void note_overlap(const std::string& low, bool was_left_out);
    void count_row(const Cursor& cursor, std::size_t row);
    void require_form(const std::string& literal) const;
    std::string clock_for(const std::string& literal) const;
    bool watermark_type_changed();
    bool is_below_overlap();
    void begin_again();
    bool is_future(const std::string& literal) const;
    bool is_zoned() const;

    Connection& connection_;
    const ReadRequest& request_;
    FrameWriter& out_;
    ReadPlan plan_;
    std::optional<FetchState> fetch_;
    std::optional<RowIdentity> identity_;  // of rows without a key
    bool key_is_unique_ = false;           // by the source's own key or unique index, as they are now
    bool lost_key_ = false;                // when the stream was made, it was
    EncodeOptions encode_;
    bool describes_results_ = false;  // the first of them, for polls
    std::string shape_;               // of it

    nlohmann::json position_;               // what the next position frame says
    nlohmann::json start_;                  // where the present phase began
    std::optional<std::string> watermark_;  // of position_ in the phase "changes"
    bool moved_ = false;                    // watermark_ was set by this read
    std::optional<std::string> horizon_;    // rowversions at or above it may still be uncommitted
    // The source's, if it has one, as the watermark's column would show it. Times above it don't move the position.
    std::optional<std::string> clock_;
    nlohmann::json from_;        // the position from which this read goes on
    bool begins_again_ = false;  // in spite of it, from the beginning
    bool counts_overlap_ = false;
    bool follows_texts_ = false;               // the watermark's values are compared as texts
    std::optional<std::string> overlap_end_;   // of a read of changes: what was read before ends here
    bool met_overlap_end_ = false;             // a row with that watermark, or a later one, is still there
    std::optional<std::string> overlap_rows_;  // how many rows the source counts in an overlap that is settled
    std::string warning_;                      // told with the run

    std::uint64_t rows_since_position_ = 0;
    std::uint64_t bytes_at_position_ = 0;
    std::uint64_t rows_ = 0;
    std::uint64_t pages_ = 0;
    std::uint64_t statements_before_ = 0;
    std::uint64_t bytes_before_ = 0;
    std::uint64_t future_rows_ = 0;
    std::uint64_t reread_rows_ = 0;
    std::uint64_t null_watermarks_ = 0;
    bool rejects_null_watermarks_ = false;
    bool has_snapshot_ = false;
};

}  // namespace insync::odbc
