// The requests that go down the pipe, for both of its ends.
//
// The worker fills these structs, to_json() writes the line, request_of() reads it, and the connector serves the
// struct. A member that a request doesn't have is as the struct has it by default.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace insync {

// Connects to a source, in place of the one before.
struct OpenRequest {
    std::string kind = "odbc";                              // odbc or rest
    nlohmann::json server = nlohmann::json::object();       // option name -> text
    nlohmann::json credentials = nlohmann::json::object();  // of the user mapping. Never to be logged
    int connect_timeout_ms = 15000;
    int query_timeout_ms = 600000;
    int lock_timeout_ms = 60000;
    std::size_t max_value_bytes = 256u << 20;

    // A credential as text; empty where there is none of that name.
    std::string credential(const char* name) const;
    std::string user() const { return credential("user"); }
    std::string password() const { return credential("password"); }

    friend bool operator==(const OpenRequest&, const OpenRequest&) = default;
};

// Connects step by step and tells how each went.
struct CheckRequest {
    OpenRequest open;
    std::string source;  // what is to be read; empty: nothing in particular

    friend bool operator==(const CheckRequest&, const CheckRequest&) = default;
};

// The tables and views whose name matches the LIKE pattern.
struct DiscoverRequest {
    std::string pattern = "%";

    friend bool operator==(const DiscoverRequest&, const DiscoverRequest&) = default;
};

// The columns, keys and watermark of a source.
struct DescribeRequest {
    std::string source;
    std::optional<std::vector<std::string>> key;
    std::optional<std::vector<std::string>> watermark;
    nlohmann::json options = nlohmann::json::object();  // of the stream that is to be

    friend bool operator==(const DescribeRequest&, const DescribeRequest&) = default;
};

// The first rows of a source.
struct PreviewRequest {
    std::string source;
    std::size_t rows = 10;  // at most

    friend bool operator==(const PreviewRequest&, const PreviewRequest&) = default;
};

// Rows from <= column < to, either bound may be missing; or those whose column is null. Bounds are written as
// YYYY-MM-DD HH:MM:SS, with a fraction or without: as the column shows them, or in UTC where the column knows zones.
struct Window {
    std::string column;
    std::optional<std::string> from;
    std::optional<std::string> to;
    bool only_null = false;

    friend bool operator==(const Window&, const Window&) = default;
};

// Rows of a source.
struct ReadRequest {
    std::string source;
    bool full = false;
    bool only_keys = false;        // of a full read: what is sent of each row is its key
    std::optional<Window> window;  // of a full read: no other rows
    // Of a full read: no other rows than those with these keys, each as the literals of its columns.
    std::optional<std::vector<std::vector<std::string>>> only;
    std::vector<std::string> key;
    std::vector<std::string> key_columns;  // what is sent of rows of which only the key is known; by default the key
    // Of a full read of a source without a key: the names of the two columns that tell its rows apart (RowIdentity).
    std::vector<std::string> row_identity;
    std::vector<std::string> watermark;  // several: the first that isn't null counts
    std::vector<std::string> version;    // the watermark's columns, of a full read as well: greater is newer
    // Columns of which rows that are the same in all are versions of one row; empty: not known.
    std::vector<std::string> version_key;
    bool key_is_unique = false;  // by the source's own key or unique index, when the stream was made
    std::string remake;          // the statements that make the stream again, for a hint
    bool is_change_log = false;  // several rows record the changes of one key, in the order of the watermark
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

    friend bool operator==(const ReadRequest&, const ReadRequest&) = default;
};

// What a read would send to the source.
struct ExplainRequest {
    ReadRequest rows;

    friend bool operator==(const ExplainRequest&, const ExplainRequest&) = default;
};

// Counts, sums and hashes of a source's rows, by groups.
struct MeasureRequest {
    ReadRequest rows;  // which ones: source, key, watermark, window
    enum class Unit { hour, day, quarter };
    struct ByTime {
        std::string column;
        Unit unit;  // a quarter of an hour, of which any zone's hours and days are made

        friend bool operator==(const ByTime&, const ByTime&) = default;
    };
    std::optional<ByTime> by_time;
    std::size_t blocks = 0;  // groups of rows by a hash of their key; 0: none
    std::vector<std::string> sums;
    std::vector<std::string> hash;                             // columns over which a row is hashed
    bool as_stored = false;                                    // cheaper: zero dates are hashed as their own text
    std::optional<std::string> unsettled_from;                 // a watermark: rows at or above it are counted apart
    std::vector<std::pair<std::string, std::string>> buckets;  // from and to, where each has to be asked for

    friend bool operator==(const MeasureRequest&, const MeasureRequest&) = default;
};

// Ends the connector.
struct CloseRequest {
    friend bool operator==(const CloseRequest&, const CloseRequest&) = default;
};

using Request = std::variant<OpenRequest, CheckRequest, DiscoverRequest, DescribeRequest, PreviewRequest, ReadRequest,
                             ExplainRequest, MeasureRequest, CloseRequest>;

// A request that can't be served. The text names the member, the verb or the unit, and no other value: those may be
// secret.
struct InvalidRequest : std::runtime_error {
    InvalidRequest(const std::string& message, std::string hint_text = {})
        : std::runtime_error(message), hint(std::move(hint_text)) {}
    std::string hint;
};

nlohmann::json to_json(const Request& request);

// Throws InvalidRequest for an unknown verb, a member that is missing or of the wrong type (null is as if it were
// missing), and a word that a member can't have; the message names the member.
Request request_of(const nlohmann::json& line);

}  // namespace insync
