// Encodes values; see row_encoder.hpp.
#include "bgworker/connector/values/row_encoder.hpp"

#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/values/decimal.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync {

namespace {

constexpr std::int64_t microseconds_a_day = std::int64_t{86400} * 1000000;

// PostgreSQL's timestamp range: 4713-11-24 BC to 294276-12-31.
constexpr std::int64_t min_timestamp = -211813488000000000;
constexpr std::int64_t end_timestamp = 9223371331200000000;

void append_fixed16(FrameWriter& out, std::int16_t value) {
    char* at = out.grow(6);
    wire::put_int32(at, 2);
    wire::put_int16(at + 4, value);
}

void append_fixed32(FrameWriter& out, std::int32_t value) {
    char* at = out.grow(8);
    wire::put_int32(at, 4);
    wire::put_int32(at + 4, value);
}

void append_fixed64(FrameWriter& out, std::int64_t value) {
    char* at = out.grow(12);
    wire::put_int32(at, 8);
    wire::put_int64(at + 4, value);
}

void append_bool(FrameWriter& out, bool value) {
    char* at = out.grow(5);
    wire::put_int32(at, 1);
    at[4] = value ? 1 : 0;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
    if (text.size() != lower.size()) return false;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
        if (c != lower[i]) return false;
    }
    return true;
}

Fault encode_boolean_text(FrameWriter& out, std::string_view text) {
    for (std::string_view word : {"1", "t", "true", "y", "yes", "on"}) {
        if (equals_ignoring_case(text, word)) return append_bool(out, true), Fault::none;
    }
    for (std::string_view word : {"0", "f", "false", "n", "no", "off"}) {
        if (equals_ignoring_case(text, word)) return append_bool(out, false), Fault::none;
    }
    return Fault::syntax;
}

// std::from_chars knows no plus, and would take the minus of "+-5".
std::string_view without_plus(std::string_view text) {
    return text.size() > 1 && text[0] == '+' && text[1] != '-' ? text.substr(1) : text;
}

Fault encode_integer_text(FrameWriter& out, Transport type, std::string_view text) {
    text = without_plus(text);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range) return Fault::range;
    if (error != std::errc() || end != text.data() + text.size()) return Fault::syntax;
    return encode_integer(out, type, value);
}

Fault encode_double_text(FrameWriter& out, Transport type, std::string_view text) {
    text = without_plus(text);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range) return Fault::range;
    if (error != std::errc() || end != text.data() + text.size()) return Fault::syntax;
    return encode_double(out, type, value);
}

// MySQL's dates with a zero month or day, which no calendar has.
bool is_zero_date(std::string_view text) {
    if (text.size() < 10 || text[4] != '-' || text[7] != '-') return false;
    return text.substr(0, 4) == "0000" || text.substr(5, 2) == "00" || text.substr(8, 2) == "00";
}

// PostgreSQL's own texts that the ordinary layouts don't cover: infinity, years before Christ and beyond 9999.
bool parse_postgresql_time(std::string_view text, Transport type, std::int64_t& microseconds) {
    if (text == "infinity" || text == "-infinity") {
        microseconds =
            text[0] == '-' ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
        return true;
    }
    const bool before_christ = text.size() > 3 && text.substr(text.size() - 3) == " BC";
    if (before_christ) text.remove_suffix(3);
    int year = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), year);
    // PostgreSQL writes four digits or more: a shorter year is somebody else's, and of an unknown century. The last
    // year is timestamp's; counting the days of one much later would overflow.
    if (error != std::errc() || year < 1 || year > 294276 || end - text.data() < 4 ||
        end == text.data() + text.size() || *end != '-') {
        return false;
    }
    // Read with a leap year of four digits in place of the real year, then moved to it.
    const std::string stand_in = "2000" + std::string(end, text.data() + text.size());
    const std::optional<CivilTime> time = parse_civil_time(stand_in);
    const int real_year = before_christ ? 1 - year : year;
    if (!time || !is_date(real_year, time->month, time->day)) return false;
    const std::int64_t moved_days =
        days_from_2000(real_year, time->month, time->day) - days_from_2000(2000, time->month, time->day);
    if (type != Transport::date && moved_days < -2500000) return false;
    if (type == Transport::date && time->has_time) return false;
    if (type == Transport::date && (moved_days > 106000000 || moved_days < -106000000)) return false;
    microseconds = time->microseconds_from_2000() + moved_days * microseconds_a_day;
    return true;
}

Fault encode_datetime_text(FrameWriter& out, Transport type, std::string_view text, const EncodeOptions& options) {
    if (const std::optional<CivilTime> time = parse_civil_time(text)) {
        if (type == Transport::date && time->has_time &&
            (time->hour != 0 || time->minute != 0 || time->second != 0 || time->nanoseconds != 0)) {
            return Fault::datetime;  // cutting the time off would be a silent change
        }
        if (type == Transport::date) {
            append_fixed32(out, days_from_2000(time->year, time->month, time->day));
            return Fault::none;
        }
        return encode_microseconds(out, type, time->microseconds_from_2000());
    }
    if (options.source_has_zero_dates && is_zero_date(text)) {
        if (!options.null_zero_dates) return Fault::zero_date;
        out.append_null();
        return Fault::none;
    }
    std::int64_t microseconds = 0;
    if (!parse_postgresql_time(text, type, microseconds)) return Fault::datetime;
    return encode_microseconds(out, type, microseconds);
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = static_cast<char>(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

Fault encode_uuid_text(FrameWriter& out, std::string_view text) {
    if (text.size() >= 2 && text.front() == '{' && text.back() == '}') text = text.substr(1, text.size() - 2);
    char bytes[16] = {};
    std::size_t digits = 0;
    for (char c : text) {
        if (c == '-') continue;
        const int value = hex_digit(c);
        if (value < 0 || digits == 32) return Fault::syntax;
        bytes[digits / 2] = static_cast<char>(bytes[digits / 2] << 4 | value);
        digits++;
    }
    if (digits != 32) return Fault::syntax;
    char* at = out.grow(20);
    wire::put_int32(at, 16);
    std::memcpy(at + 4, bytes, 16);
    return Fault::none;
}

Fault encode_plain_text(FrameWriter& out, std::string_view text, bool replace) {
    if (is_valid_utf8(text)) return encode_bytes(out, text);
    if (!replace) return Fault::encoding;
    return encode_bytes(out, replaced_utf8(text));
}

Fault encode_json_text(FrameWriter& out, std::string_view text) {
    if (!is_storable_json(text)) return Fault::json;
    char* at = out.grow(5 + text.size());
    wire::put_int32(at, static_cast<std::int32_t>(1 + text.size()));
    at[4] = 1;
    std::memcpy(at + 5, text.data(), text.size());
    return Fault::none;
}

}  // namespace

const char* sqlstate_of(Fault fault) {
    switch (fault) {
        case Fault::range:
            return "22003";
        case Fault::datetime:
        case Fault::zero_date:
            return "22007";
        case Fault::encoding:
            return "22021";
        case Fault::too_long:
            return "54000";
        case Fault::null_key:
            return "23502";
        default:
            return "22P02";
    }
}

std::string describe_fault(Fault fault, const Column& column) {
    const std::string subject = "value of column \"" + column.name + "\" ";
    const std::string type(name_of(column.type));
    switch (fault) {
        case Fault::range:
            return subject + "is out of range for type " + type;
        case Fault::zero_date:
            return subject + "is a zero date";
        case Fault::encoding:
            return subject + "is not valid UTF-8 text or holds a zero byte";
        case Fault::json:
            return subject + "is not JSON that jsonb can hold";
        case Fault::too_long:
            return subject + "is longer than the limit";
        case Fault::null_key:
            return "key column \"" + column.name + "\" is null";
        default:
            return subject + "is not a valid " + type;
    }
}

Fault encode_integer(FrameWriter& out, Transport type, std::int64_t value) {
    switch (type) {
        case Transport::boolean:
            if (value != 0 && value != 1) return Fault::range;
            append_bool(out, value != 0);
            return Fault::none;
        case Transport::int2:
            if (value != static_cast<std::int16_t>(value)) return Fault::range;
            append_fixed16(out, static_cast<std::int16_t>(value));
            return Fault::none;
        case Transport::int4:
            if (value != static_cast<std::int32_t>(value)) return Fault::range;
            append_fixed32(out, static_cast<std::int32_t>(value));
            return Fault::none;
        case Transport::int8:
            append_fixed64(out, value);
            return Fault::none;
        case Transport::float4:
        case Transport::float8:
            return encode_double(out, type, static_cast<double>(value));
        default:
            return Fault::syntax;
    }
}

Fault encode_double(FrameWriter& out, Transport type, double value) {
    if (type == Transport::float8) {
        append_fixed64(out, std::bit_cast<std::int64_t>(value));
        return Fault::none;
    }
    const float narrow = static_cast<float>(value);
    if (type != Transport::float4) return Fault::syntax;
    if (narrow - narrow != 0 && value - value == 0) return Fault::range;  // became infinite on the way
    append_fixed32(out, std::bit_cast<std::int32_t>(narrow));
    return Fault::none;
}

Fault encode_bytes(FrameWriter& out, std::string_view bytes) {
    char* at = out.grow(4 + bytes.size());
    wire::put_int32(at, static_cast<std::int32_t>(bytes.size()));
    std::memcpy(at + 4, bytes.data(), bytes.size());
    return Fault::none;
}

Fault encode_microseconds(FrameWriter& out, Transport type, std::int64_t microseconds) {
    const bool infinite = microseconds == std::numeric_limits<std::int64_t>::max() ||
                          microseconds == std::numeric_limits<std::int64_t>::min();
    if (type == Transport::date) {
        if (infinite) {
            append_fixed32(out, microseconds > 0 ? std::numeric_limits<std::int32_t>::max()
                                                 : std::numeric_limits<std::int32_t>::min());
            return Fault::none;
        }
        std::int64_t days = microseconds / microseconds_a_day;
        if (microseconds % microseconds_a_day < 0) days--;
        append_fixed32(out, static_cast<std::int32_t>(days));
        return Fault::none;
    }
    if (type == Transport::time) {
        if (microseconds < 0 || microseconds > microseconds_a_day) return Fault::datetime;
    } else if (!infinite && (microseconds < min_timestamp || microseconds >= end_timestamp)) {
        return Fault::range;
    }
    append_fixed64(out, microseconds);
    return Fault::none;
}

Fault encode_text(FrameWriter& out, Transport type, std::string_view text, const EncodeOptions& options) {
    switch (type) {
        case Transport::text:
            return encode_plain_text(out, text, options.replace_text);
        case Transport::bytea:
            return encode_bytes(out, text);
        case Transport::jsonb:
            return encode_json_text(out, text);
        case Transport::boolean:
            return encode_boolean_text(out, trimmed(text));
        case Transport::int2:
        case Transport::int4:
        case Transport::int8:
            return encode_integer_text(out, type, trimmed(text));
        case Transport::float4:
        case Transport::float8:
            return encode_double_text(out, type, trimmed(text));
        case Transport::numeric:
            return append_numeric(out, text) ? Fault::none : Fault::syntax;
        case Transport::uuid:
            return encode_uuid_text(out, trimmed(text));
        case Transport::time: {
            const std::optional<std::int64_t> time = parse_time_of_day(trimmed(text));
            if (!time) return Fault::datetime;
            return encode_microseconds(out, type, *time);
        }
        case Transport::date:
        case Transport::timestamp:
        case Transport::timestamptz:
            return encode_datetime_text(out, type, trimmed(text), options);
    }
    return Fault::syntax;
}

bool is_storable_json(std::string_view text) {
    // jsonb_recv fails on \u0000 and on very deep nesting, where the worker could not isolate the row any more.
    constexpr int max_depth = 1000;
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') {
                if (text.substr(i, 6) == "\\u0000") return false;
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max_depth) return false;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return is_valid_utf8(text) && nlohmann::json::accept(text);
}

}  // namespace insync
