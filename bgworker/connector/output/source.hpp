// What a kind of source has to offer. The request loop knows only this, so that another kind comes beside ODBC without
// a change there.
//
// Every function may raise Failure; the connector then answers with an error frame and waits for the next request.
// Functions that read send their frames through the writer they were given and return the members of the done frame.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bgworker/connector/output/frame_writer.hpp"
#include "bgworker/connector/output/rate_permits.hpp"

namespace insync {

// The members of an open or check request.
struct OpenRequest {
    nlohmann::json server = nlohmann::json::object();       // option name -> text
    nlohmann::json credentials = nlohmann::json::object();  // the user mapping's options, these two included
    std::string user;
    std::string password;
    std::string source;  // of a check: what is to be read; empty: nothing in particular
    int connect_timeout_ms = 15000;
    int query_timeout_ms = 600000;
    int lock_timeout_ms = 60000;
    std::size_t max_value_bytes = 256u << 20;
};

// Rows from <= column < to, either bound may be missing; or those whose column is null. Bounds are written as
// YYYY-MM-DD HH:MM:SS, with a fraction or without: as the column shows them, or in UTC where the column knows zones.
struct Window {
    std::string column;
    std::optional<std::string> from;
    std::optional<std::string> to;
    bool only_null = false;
};

// The members of a read or explain request.
struct ReadRequest {
    std::string source;
    bool full = false;
    bool only_keys = false;        // of a full read: what is sent of each row is its key
    std::optional<Window> window;  // of a full read: no other rows
    // Of a full read: no other rows than those with these keys, each as the literals of its columns.
    std::optional<std::vector<std::vector<std::string>>> only;
    std::vector<std::string> key;
    std::vector<std::string> key_columns;  // what is sent of rows that are told by their keys alone
    // Of a full read of a source without a key: the names of the two columns that tell its rows apart (RowIdentity).
    std::vector<std::string> row_identity;
    std::vector<std::string> watermark;  // several: the first that isn't null counts
    std::vector<std::string> version;    // the watermark's columns, of a full read as well: greater is newer
    // Columns of which rows that are the same in all are versions of one row; empty: it can't be told.
    std::vector<std::string> version_key;
    bool key_is_unique = false;  // by the source's own key or unique index, when the stream was made
    std::string remake;          // the statements that make the stream again, for a hint
    bool is_change_log = false;  // several rows tell the changes of one key, in the order of the watermark
    std::string lookback;        // seconds or a count
    std::optional<std::string> initial_watermark;
    // What the clock of the source's times without a zone is ahead of UTC, in seconds, where the stream says so.
    std::optional<std::int64_t> zone_offset_s;
    nlohmann::json position;  // null or what an earlier position frame said
    std::size_t batch_rows = 10000;
    std::size_t batch_bytes = 16u << 20;
    std::size_t page_rows = 50000;
    enum class NullWatermark { include, reject, fail } null_watermark = NullWatermark::include;
    bool replace_text = true;
    bool null_zero_dates = true;
    std::optional<std::vector<std::string>> columns;         // nothing: all
    nlohmann::json options = nlohmann::json::object();       // the stream's, as set
    nlohmann::json known_columns = nlohmann::json::array();  // of the source as last seen, as in a columns frame
};

// The members of a measure request: what one grouped query tells of a source's rows.
struct MeasureRequest {
    ReadRequest rows;  // which ones: source, key, watermark, window
    enum class Unit { hour, day, quarter };
    struct ByTime {
        std::string column;
        Unit unit;  // a quarter of an hour, of which any zone's hours and days are made
    };
    std::optional<ByTime> by_time;
    std::size_t blocks = 0;  // groups of rows by a hash of their key; 0: none
    std::vector<std::string> sums;
    std::vector<std::string> hash;                             // columns over which a row is hashed
    bool as_stored = false;                                    // cheaper: zero dates are hashed as their own text
    std::optional<std::string> unsettled_from;                 // a watermark: rows at or above it are counted apart
    std::vector<std::pair<std::string, std::string>> buckets;  // from and to, where each has to be asked for
};

struct DescribeRequest {
    std::string source;
    std::optional<std::vector<std::string>> key;
    std::optional<std::vector<std::string>> watermark;
    nlohmann::json options = nlohmann::json::object();  // of the stream that is to be
};

class Source {
  public:
    virtual ~Source() = default;

    // Connects; what the source says of itself (dbms, version, driver, database, source_now).
    virtual nlohmann::json open(const OpenRequest& request) = 0;

    // Connects step by step and reports each step as a result frame, up to the first that fails; further frames may
    // come of what is read.
    virtual void check(const OpenRequest& request, FrameWriter& out) = 0;

    // One result frame for each table and view whose name matches the LIKE pattern.
    virtual void discover(const std::string& pattern, FrameWriter& out) = 0;

    virtual nlohmann::json describe(const DescribeRequest& request) = 0;

    // Columns and at most `rows` rows.
    virtual nlohmann::json preview(const std::string& source, std::size_t rows, FrameWriter& out) = 0;

    // Columns, then rows, rejects and positions.
    virtual nlohmann::json read(const ReadRequest& request, FrameWriter& out) = 0;

    // The statements that read() would send, and their bounds.
    virtual nlohmann::json explain(const ReadRequest& request, FrameWriter& out) = 0;

    // One result frame for each group of rows: how many they are, and what else was asked for. The done frame names the
    // formats (bgworker/canonical_text.hpp) of what was hashed.
    virtual nlohmann::json measure(const MeasureRequest& request, FrameWriter& out) = 0;

    // True once the connection was found dead; open() again then.
    virtual bool is_disconnected() = 0;
};

// The source of the given kind ("odbc", "rest"), which asks `permits` before its requests and logs to `out`; raises
// Failure (config) for any other word.
std::unique_ptr<Source> make_source(const std::string& kind, Permits& permits, FrameWriter& out);

}  // namespace insync
