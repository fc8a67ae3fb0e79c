// One read: pages in, frames out, positions that hold.
//
// A first load notes the source's highest watermark, reads everything in key order, then reads what changed since that
// mark. Later reads start at the stored watermark less the lookback, closed (>=), in the order of watermark and key. A
// full read is pages in key order. A position frame is sent after each batch and at the end; it holds for all rows and
// rejects before it, never goes backwards, and never moves on to a time beyond the source's clock.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bgworker/connector/frame_writer.hpp"
#include "bgworker/connector/odbc/fetch.hpp"
#include "bgworker/connector/odbc/measures.hpp"
#include "bgworker/connector/odbc/plan_cache.hpp"
#include "bgworker/connector/odbc/read_plan.hpp"

namespace insync::odbc {

// The source doesn't return its rows in the order that was asked for.
struct OutOfOrder : Failure {
    OutOfOrder();
};

class Reader {
  public:
    // All are used until the reader ends. `plans`: what earlier reads of the session have learned.
    Reader(Connection& connection, const ReadRequest& request, FrameWriter& out, PlanCache* plans = nullptr);

    // Reads and returns the members of the done frame.
    nlohmann::json run();

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
    void load_plan();
    void send_columns();
    void read_or_start_over(const std::string& phase);
    bool can_poll(const std::string& phase) const;
    void check_shape(Cursor& cursor);
    void set_storage_class(std::size_t column);
    void set_layout(TimeColumn& time);
    void set_charsets(Measures& measures, const Bounds& bounds);
    void read_clock();
    void read_clock_and_mark();
    void check_duplicate_keys();
    bool begins_with_load(const std::string& phase) const;
    void require_no_null_watermarks();

    void read_in_order(const std::string& phase);
    void read_phases(const std::string& phase);
    bool poll();
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
    // False: `only_first` was asked for, and behind the first page there may be more.
    bool read_pages(const PageStatement& page, std::optional<After> after, std::optional<std::size_t> ordered_by,
                    const Advance& advance, bool only_first = false);
    std::optional<std::size_t> first_key() const;
    void send_row(const Cursor& cursor, std::size_t row);
    void reject_row(const Cursor& cursor, std::size_t row, const std::string& sqlstate, const std::string& message,
                    const std::string& column);
    bool batch_is_full() const;
    void send_position();
    void send_progress();
    After after_row(const Cursor& cursor, std::size_t row) const;
    void advance_watermark(const Cursor& cursor, std::size_t first, std::size_t last);
    bool is_future(const std::string& literal) const;
    bool is_zoned() const;

    Connection& connection_;
    const ReadRequest& request_;
    FrameWriter& out_;
    PlanCache* plans_;
    KnownSource* known_ = nullptr;  // the entry of this read in plans_
    bool is_warm_ = false;          // the plan is from memory
    bool shape_checked_ = false;
    bool is_polling_ = false;
    std::multiset<std::string> polled_rejects_;  // sent by a poll, so that a read that starts over doesn't repeat them
    ReadPlan plan_;
    std::optional<FetchState> fetch_;
    EncodeOptions encode_;

    nlohmann::json position_;                 // what the next position frame says
    nlohmann::json start_;                    // where the present phase began
    std::optional<std::string> watermark_;    // of position_ in the phase "changes"
    bool moved_ = false;                      // watermark_ was set by this read
    std::optional<std::string> horizon_;      // rowversions at or above it may still be uncommitted
    std::optional<std::string> clock_;        // the source's, if it has one
    std::optional<std::string> future_from_;  // times above this don't move the position

    std::uint64_t rows_since_position_ = 0;
    std::uint64_t bytes_at_position_ = 0;
    std::uint64_t rows_ = 0;
    std::uint64_t pages_ = 0;
    std::uint64_t statements_before_ = 0;
    std::uint64_t bytes_before_ = 0;
    std::uint64_t future_rows_ = 0;
    std::uint64_t null_watermarks_ = 0;
    bool rejects_null_watermarks_ = false;
    bool has_snapshot_ = false;
};

}  // namespace insync::odbc
