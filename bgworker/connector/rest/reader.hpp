// One read of a REST source: requests in, frames out, positions that hold.
//
// How changes are found depends on what the request can say (see ChangeMode). A position frame follows each batch and
// the end; it holds for all rows before it, and never moves beyond the source's clock.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/connector/output/frame_writer.hpp"
#include "bgworker/connector/output/json_of.hpp"
#include "bgworker/connector/output/source.hpp"
#include "bgworker/connector/rest/answer/columns.hpp"
#include "bgworker/connector/rest/delete_feed.hpp"
#include "bgworker/connector/rest/newest_versions.hpp"
#include "bgworker/connector/rest/page_sequence.hpp"
#include "bgworker/connector/rest/watermark_order.hpp"

namespace insync::rest {

enum class ChangeMode {
    anchored,  // ordered by watermark: each page is asked for from the last row of the one before
    window,    // filtered by watermark, in any order: the position moves when all was read
    newest,    // newest first, no filter: read until what is known
    token,     // the last answer says what the next run begins with
    compare,   // the source can't be asked what changed: everything is read
};
std::string_view name_of(ChangeMode mode);

// One name or a list of them.
std::vector<std::string> names_in(const nlohmann::json& value);

// A value in a reject's record. Numbers are texts there, so that they keep their digits.
nlohmann::json shown(const Value& value);

class Reader {
  public:
    // All are used until the reader ends.
    Reader(Session& session, const Settings& settings, const ReadRequest& request, FrameWriter& out);

    nlohmann::json run();
    nlohmann::json explain();
    // How many rows there are in each bucket of time, by the source's own totals.
    nlohmann::json measure(const MeasureRequest& request);
    // At most `rows` rows and no positions.
    nlohmann::json preview(std::size_t rows);

  private:
    void prepare();
    void add_known_columns();
    bool has_column(const std::string& name) const;
    void send_columns();
    bool has_new_fields(const Page& page) const;
    bool discover_columns(const Page& page);
    void take_new_fields(const Page& page);
    ChangeMode change_mode() const;

    void run_full();
    void read_all();
    void run_slice();
    void prepare_slice();
    void read_time_slice(const std::optional<std::string>& from, const std::optional<std::string>& to);
    std::string slice_literal(const std::string& bound) const;
    Values values_of_slice(const std::optional<std::string>& from, const std::optional<std::string>& to) const;
    void run_changes(ChangeMode mode);
    void run_column(ChangeMode mode);
    void run_each_column(ChangeMode mode);
    void use_column(std::size_t number);
    void run_anchored();
    void run_window();
    void run_newest();
    void run_token();
    void reach(const std::string& literal);

    // Rows without a watermark: reader_nulls.cpp.
    bool reads_nulls(ChangeMode mode) const;
    Query null_query();
    void begin_nulls(ChangeMode mode);
    void read_null_watermarks();
    void require_no_null_watermarks();
    void read_tail(Paging paging);
    void read_slice(const std::optional<std::string>& since, const std::optional<std::string>& until);
    Query begin(Values values);
    void finish_query(const Query& query);
    Values values_since(const std::optional<std::string>& since) const;
    std::optional<std::string> low_bound() const;
    std::string source_clock();
    bool has_caught_up(const std::optional<std::string>& literal, const std::optional<std::string>& begun_at) const;
    void end_slice(const std::string& end);
    void close_window(std::optional<std::string> highest);
    [[noreturn]] void fail_cut_off(const std::string& detail) const;

    // What tells of rows by their keys alone: reader_keys.cpp. The value of a key is asked for part by part.
    void begin_feed();
    void read_deleted();
    void send_key_columns(const char* rows);
    EncodeOptions options_for(const RestColumn& column, const Value& value) const;
    void send_key(std::string_view fault, const std::function<Value(std::size_t)>& value_of_part);
    std::string before_deletes(const std::string& literal) const;

    // Sends the new rows of a page; `row_sent` is called behind each of them.
    void send_page(const Query& query, const std::function<void(std::size_t)>& row_sent);
    void send_children(const Page& parents, std::size_t row);
    void send_row(const Page& page, std::size_t row);
    void reject_row(const Page& page, std::size_t row, const std::string& sqlstate, const std::string& message,
                    const std::string& column);
    Value value_of(const Page& page, std::size_t row, const RestColumn& column);
    void expect_versions();
    bool is_superseded(const Page& page, std::size_t row);
    bool batch_is_full() const;
    void load_memory();
    static void note_memory(nlohmann::json& position, const char* name, const PageMemory& memory);
    void send_position();
    void send_progress();

    static bool is_null(const Page& page, std::size_t row, const std::vector<std::size_t>& fields);
    std::string name_of_version() const;
    std::optional<std::string> watermark_of(const Page& page, std::size_t row);
    void set_known_kind();
    bool is_number(const std::string& column) const;
    bool is_future(const std::string& literal) const;
    void require_form(const std::string& literal) const;

    Session& session_;
    const Settings& settings_;
    const ReadRequest& request_;
    FrameWriter& out_;

    Endpoint endpoint_;              // whose rows tell what changed: the parents' where there are parents
    std::optional<Endpoint> child_;  // whose rows are sent then
    Settings parent_settings_;
    Fields fields_, parent_fields_;
    std::vector<std::size_t> key_fields_, parent_key_;
    std::vector<std::string> unchanging_order_;   // in which endpoint_'s rows are read where changes don't count
    std::optional<std::size_t> watermark_field_;  // of several the one that is read by
    std::vector<std::size_t> watermark_fields_;   // the first that isn't null counts
    std::vector<std::string> watermark_names_;
    std::vector<RestColumn> declared_;  // by the option fields
    std::vector<RestColumn> columns_;
    std::vector<std::size_t> key_columns_;  // numbers of columns_: what is sent of a row that is told by its key alone
    std::vector<std::size_t> parent_columns_;  // numbers of columns_ that take a parent's value
    std::vector<std::string> parent_names_;
    std::vector<std::string> parent_values_;
    std::optional<std::size_t> other_column_;
    std::size_t known_fields_ = 0;
    std::vector<std::size_t> unset_fields_;  // without a column, as they had no value so far
    std::string scratch_;
    EncodeOptions encode_;
    std::size_t max_value_bytes_ = 256u << 20;

    PageMemory memory_, child_memory_;

    std::optional<DeleteFeed> feed_;
    bool has_slice_query_ = false;  // of a read of a window: it is asked for by the option slice_query

    std::optional<Versions> versions_;  // of the rows that were sent, where they come in any order
    std::vector<std::size_t> version_fields_;
    std::vector<std::size_t> version_key_;
    WatermarkKind version_kind_ = WatermarkKind::none;

    nlohmann::json position_;
    std::optional<std::string> watermark_;
    WatermarkOrder order_;
    std::optional<std::string> run_start_;
    std::optional<std::string> begun_at_;  // the watermark before this read
    std::optional<std::string> latest_;    // where the watermark moves to at most, beside the source's clock

    // While one of several watermark columns is read by: the watermark stays, and this is how far it was read.
    struct Held {
        std::optional<std::string> highest;
    };
    std::optional<Held> held_;

    bool has_null_query_ = false;
    std::optional<Endpoint> null_endpoint_;
    // Of a first load that can't ask for rows without a watermark and hasn't come to their end: rows read before it.
    std::optional<std::int64_t> unread_nulls_;

    std::uint64_t rows_since_position_ = 0, bytes_at_position_ = 0, rows_ = 0, pages_ = 0, requests_before_ = 0;
    std::uint64_t bytes_before_ = 0, future_rows_ = 0, null_watermarks_ = 0, superseded_rows_ = 0;
    std::uint64_t reread_rows_ = 0;
    bool unchanged_ = false;
    bool finds_gaps_ = false, has_gaps_ = false;  // of a read whose missing rows would be deleted
    std::string warning_;
};

}  // namespace insync::rest
