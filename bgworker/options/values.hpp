// How the values of options and settings are written: durations, sizes, shares and the like.
//
// Pure text to value and back; which option takes what is said by table.hpp. Every parser takes the whole text,
// ignores white space around it, and refuses what it doesn't understand: embedded zero bytes, overflow and negative
// numbers included. None of them throws, other than for lack of memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace insync {

// A value, or why there is none: `error` is one sentence fit for DETAIL, which quotes only the offending part, clipped.
template <typename Value>
struct Parsed {
    std::optional<Value> value;
    std::string error;

    explicit operator bool() const { return value.has_value(); }
    const Value& operator*() const { return *value; }
    const Value* operator->() const { return &*value; }
};

// No duration may be longer (100 years), so that sums of a few, in microseconds, never overflow.
inline constexpr std::chrono::milliseconds longest_duration = std::chrono::hours(24 * 36525);

// '10 seconds', '1 min', '500ms', '2 hours 30 minutes', '1.5 h', '00:05:00' (h:m or h:m:s), '1 day 02:00:00', '90'
// (seconds). Units: ms, s, min, h, d, w and their long forms. Months and years have no fixed length and are refused.
// What is finer than a millisecond is cut off.
Parsed<std::chrono::milliseconds> parse_duration(std::string_view text);

// '16MB', '512 kB', '1.5GB', or bytes without a unit; units are powers of 1024, in any case. The result is in bytes.
Parsed<std::int64_t> parse_size(std::string_view text);

// true, t, yes, y, on, 1 and false, f, no, n, off, 0, in any case.
Parsed<bool> parse_boolean(std::string_view text);

// Digits with an optional sign.
Parsed<std::int64_t> parse_integer(std::string_view text);

// A limit on a part of something: a share of the whole, or a number.
struct ShareOrCount {
    std::optional<double> share;  // 0 to 1; if absent, `count` holds
    std::int64_t count = 0;

    // True if `part` of `whole` is over the limit.
    bool exceeded_by(std::int64_t part, std::int64_t whole) const;

    friend bool operator==(const ShareOrCount&, const ShareOrCount&) = default;
};

// '5%', '0.5 %' (0 to 100) or '1000' (0 or more).
Parsed<ShareOrCount> parse_share_or_count(std::string_view text);

// How far behind the watermark each read starts: a time, or a distance for integer watermarks. Digits alone are the
// latter; where the watermark is a time, the caller takes them for seconds.
using Lookback = std::variant<std::chrono::milliseconds, std::int64_t>;
Parsed<Lookback> parse_lookback(std::string_view text);

// The shortest exact text, which the parsers read back: '90 seconds', '10 minutes', '7 days'; '64 kB', '1 GB'.
std::string format_duration(std::chrono::milliseconds duration);
// What a message says: rounded, in the units in which people say it, such as '10 minutes 5 seconds' or '24 hours'.
std::string rounded_duration(std::chrono::milliseconds duration);
std::string format_size(std::int64_t bytes);

// `text` in double quotes for a message: at most 60 bytes of it, whole UTF-8 characters, control characters as '?'.
std::string quote_for_message(std::string_view text);

// `text` without white space around it, and with ASCII letters in lower case.
std::string_view trim(std::string_view text);
std::string to_lower(std::string_view text);

}  // namespace insync
