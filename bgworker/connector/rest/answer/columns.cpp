// Types of JSON values, and their way into frames; see columns.hpp.
#include "bgworker/connector/rest/answer/columns.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/values/decimal.hpp"
#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/options/near_miss.hpp"
#include "bgworker/protocol/text.hpp"

namespace insync::rest {

namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

// The forms that a value can have, one bit each.
enum Form : unsigned {
    form_boolean = 1,
    form_integer = 2,
    form_large = 4,  // an integer beyond bigint
    form_decimal = 8,
    form_text = 16,
    form_date = 32,
    form_time = 64,
    form_timestamp = 128,
    form_timestamptz = 256,
    form_uuid = 512,
    form_json = 1024,
};
constexpr unsigned all_numbers = form_integer | form_large | form_decimal;
constexpr unsigned all_strings = form_text | form_date | form_time | form_timestamp | form_timestamptz | form_uuid;

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); i++) {
        const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        const char lower = static_cast<char>(text[i] | 0x20);
        if (is_dash ? text[i] != '-' : !is_digit(text[i]) && (lower < 'a' || lower > 'f')) return false;
    }
    return true;
}

// ISO 8601 in its extended form only: 20240131 and 2024/01/31 may mean something else.
Form form_of_string(std::string_view text) {
    if (is_uuid(text)) return form_uuid;
    if (text.size() < 8 || text.size() > 40 || !is_digit(text[0])) return form_text;
    if (text[2] == ':' && text[5] == ':') return parse_time_of_day(text) ? form_time : form_text;
    const std::optional<CivilTime> time = parse_civil_time(text);
    if (!time || time->date_separator != '-' || time->fraction_mark != '.') return form_text;
    if (!time->has_time) return form_date;
    return time->offset_seconds ? form_timestamptz : form_timestamp;
}

bool fits_int8(std::string_view digits) {
    std::int64_t value = 0;
    return std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc();
}

// What all forms together can be stored as.
Transport widened(unsigned forms) {
    if (forms & form_json) return Transport::jsonb;
    switch (forms) {
        case form_boolean:
            return Transport::boolean;
        case form_integer:
            return Transport::int8;
        case form_date:
            return Transport::date;
        case form_time:
            return Transport::time;
        case form_timestamp:
            return Transport::timestamp;
        case form_timestamptz:
            return Transport::timestamptz;
        case form_uuid:
            return Transport::uuid;
        default:
            return forms != 0 && (forms & ~all_numbers) == 0 ? Transport::numeric : Transport::text;
    }
}

Fault append_jsonb(FrameWriter& out, std::string_view json) {
    char* at = out.grow(5 + json.size());
    wire::put_int32(at, static_cast<std::int32_t>(1 + json.size()));
    at[4] = 1;
    std::copy(json.begin(), json.end(), at + 5);
    return Fault::none;
}

Fault encode_jsonb(FrameWriter& out, std::string_view json, bool replace) {
    switch (hindrance_of(json)) {
        case Hindrance::none:
            return append_jsonb(out, json);
        case Hindrance::characters:
            return replace ? append_jsonb(out, storable_json(json)) : Fault::encoding;
        case Hindrance::number:
        case Hindrance::depth:
            break;
    }
    return Fault::json;
}

Fault encode_string(FrameWriter& out, Transport type, std::string_view text, const EncodeOptions& options) {
    if (type != Transport::jsonb) return encode_text(out, type, text, options);
    if (!options.replace_text && !is_valid_utf8(text)) return Fault::encoding;
    std::string json = "\"";
    append_escaped(json, replaced_utf8(text));
    json += '"';
    return append_jsonb(out, json);
}

Fault encode_number(FrameWriter& out, Transport type, std::string_view number, const EncodeOptions& options) {
    switch (type) {
        case Transport::boolean:
            if (number != "0" && number != "1") return Fault::syntax;
            break;
        case Transport::int2:
        case Transport::int4:
        case Transport::int8:
            break;
        case Transport::numeric:
            return append_numeric(out, number) ? Fault::none : Fault::range;
        case Transport::date:
        case Transport::time:
        case Transport::timestamp:
        case Transport::timestamptz:
            return Fault::datetime;
        case Transport::uuid:
            return Fault::syntax;
        case Transport::jsonb:
            return encode_jsonb(out, number, options.replace_text);
        default:
            break;
    }
    return encode_text(out, type, number_in(type, number), options);
}

Fault encode_boolean(FrameWriter& out, Transport type, std::string_view word, const EncodeOptions& options) {
    switch (type) {
        case Transport::boolean:
        case Transport::int2:
        case Transport::int4:
        case Transport::int8:
            return encode_integer(out, type, word[0] == 't' ? 1 : 0);
        case Transport::text:
            return encode_text(out, type, word, options);
        case Transport::jsonb:
            return append_jsonb(out, word);
        default:
            return type >= Transport::date && type <= Transport::timestamptz ? Fault::datetime : Fault::syntax;
    }
}

}  // namespace

std::string_view number_in(Transport type, std::string_view number) {
    if (type != Transport::int2 && type != Transport::int4 && type != Transport::int8) return number;
    const std::size_t point = number.find('.');
    if (point == std::string_view::npos || number.find_first_not_of('0', point + 1) != std::string_view::npos) {
        return number;
    }
    return number.substr(0, point);
}

RestColumn declared_column(const std::string& name, const std::string& declaration, Fields& fields) {
    const std::size_t slash = std::min(declaration.find('/'), declaration.size());
    const std::string_view type = trimmed(std::string_view(declaration).substr(0, slash));
    const std::string_view pointer = trimmed(std::string_view(declaration).substr(slash));
    RestColumn column;
    column.name = name;
    column.is_declared = true;
    if (!type.empty()) {
        column.type = declared_type(name, type);
        column.pg_type = type;
        column.is_typed = true;
    }
    column.field = pointer.empty() ? fields.add(name) : fields.add_pointer(name, pointer);
    return column;
}

void TypeGuess::add(const Value& value) {
    switch (value.kind) {
        case Value::Kind::absent:
        case Value::Kind::null:
            has_null_ = true;
            return;
        case Value::Kind::boolean:
            forms_ |= form_boolean;
            return;
        case Value::Kind::integer:
            forms_ |= fits_int8(value.text) ? form_integer : form_large;
            return;
        case Value::Kind::decimal:
            forms_ |= form_decimal;
            return;
        case Value::Kind::string:
            // Once two forms have met it is text whatever comes.
            forms_ |= forms_ & form_text ? form_text : form_of_string(value.text);
            return;
        case Value::Kind::json:
            forms_ |= form_json;
            return;
    }
}

Transport TypeGuess::transport() const {
    return widened(forms_);
}

std::string TypeGuess::pg_type() const {
    switch (transport()) {
        case Transport::boolean:
            return "boolean";
        case Transport::int8:
            return "bigint";
        default:
            return std::string(name_of(transport()));
    }
}

std::string TypeGuess::source_type() const {
    std::string kinds;
    auto add = [&](unsigned forms, const char* kind) {
        if (forms_ & forms) kinds += (kinds.empty() ? "" : ", ") + std::string(kind);
    };
    add(form_boolean, "boolean");
    add(all_numbers, "number");
    add(all_strings, "string");
    add(form_json, "object or array");
    return kinds.empty() ? "null" : kinds;
}

void take_guess(RestColumn& column, const TypeGuess& guess) {
    column.type = guess.transport();
    column.pg_type = guess.pg_type();
    column.source_type = guess.source_type();
}

Fault encode_value(FrameWriter& out, const RestColumn& column, const Value& value, const EncodeOptions& options,
                   std::size_t max_value_bytes) {
    if (value.text.size() > max_value_bytes) return Fault::too_long;
    switch (value.kind) {
        case Value::Kind::absent:
        case Value::Kind::null:
            out.append_null();
            return Fault::none;
        case Value::Kind::boolean:
            return encode_boolean(out, column.type, value.text, options);
        case Value::Kind::integer:
        case Value::Kind::decimal:
            return encode_number(out, column.type, value.text, options);
        case Value::Kind::string:
            return encode_string(out, column.type, value.text, options);
        case Value::Kind::json:
            if (column.type == Transport::jsonb) return encode_jsonb(out, value.text, options.replace_text);
            if (column.type == Transport::text) return encode_text(out, column.type, value.text, options);
            return Fault::syntax;
    }
    return Fault::syntax;
}

}  // namespace insync::rest
