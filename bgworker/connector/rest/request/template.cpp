// Renders templates; see template.hpp.
#include "bgworker/connector/rest/request/template.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/json_scanner.hpp"
#include "bgworker/connector/rest/http/url.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::rest {

namespace {

constexpr std::int64_t seconds_1970_to_2000 = 946684800;

[[noreturn]] void fail(std::string message, std::string hint) {
    throw Failure(FailureClass::config, std::move(message), "", std::move(hint));
}

// A moment as seconds since 1970, which may be before it, and nanoseconds after that.
struct Moment {
    std::int64_t seconds = 0;
    std::int32_t nanoseconds = 0;
};

std::optional<Moment> moment_of(std::string_view literal) {
    std::int64_t number = 0;
    const char* end = literal.data() + literal.size();
    const auto [stop, error] = std::from_chars(literal.data(), end, number);
    if (error == std::errc() && (stop == end || *stop == '.')) {
        // A number, perhaps with a fraction of seconds.
        constexpr std::int64_t largest_seconds = 99999999999;
        Moment moment{number, 0};
        int unit = 100000000;
        for (const char* at = stop; at < end; at++) {
            if (at == stop) continue;
            if (*at < '0' || *at > '9') return std::nullopt;
            moment.nanoseconds += (*at - '0') * unit;
            unit /= 10;
        }
        const bool is_negative = literal[0] == '-';
        if (stop != end && (end - stop == 1 || is_negative)) return std::nullopt;
        if (number > largest_seconds || number < -largest_seconds) {
            if (stop != end) return std::nullopt;
            constexpr std::int64_t largest_milliseconds = 99999999999999;
            const bool is_ms = number <= largest_milliseconds && number >= -largest_milliseconds;
            const std::int64_t unit = is_ms ? 1000 : 1000000, rest = number % unit;
            moment.seconds = number / unit - (rest < 0 ? 1 : 0);
            moment.nanoseconds = static_cast<std::int32_t>(rest < 0 ? rest + unit : rest) * (is_ms ? 1000000 : 1000);
        }
        return moment;
    }
    const std::optional<CivilTime> time = parse_civil_time(literal);
    if (!time) return std::nullopt;
    return Moment{time->seconds_from_2000() + seconds_1970_to_2000, time->nanoseconds};
}

// The moment in UTC as strftime takes it; nothing for years before 1 or after 9999.
std::optional<std::tm> broken_down(const Moment& moment) {
    constexpr std::int64_t first = -62135596800, last = 253402300799;
    if (moment.seconds < first || moment.seconds > last) return std::nullopt;
    const std::time_t seconds = moment.seconds;
    std::tm fields{};
    if (gmtime_r(&seconds, &fields) == nullptr) return std::nullopt;
    return fields;
}

std::string formatted(const std::tm& fields, std::string_view format, const Moment& moment) {
    std::string out;
    for (std::size_t i = 0; i < format.size(); i++) {
        if (format[i] != '%') {
            out += format[i];
            continue;
        }
        char buffer[64];
        const char letter = format[++i];
        if (letter == 'f') {
            std::snprintf(buffer, sizeof buffer, "%06d", static_cast<int>(moment.nanoseconds / 1000));
            out += buffer;
        } else if (letter == 's') {
            out += std::to_string(moment.seconds);  // strftime would take the fields for local time
        } else if (letter == 'Y') {
            std::snprintf(buffer, sizeof buffer, "%04d", fields.tm_year + 1900);
            out += buffer;
        } else if (letter == 'F') {
            out += formatted(fields, "%Y-%m-%d", moment);
        } else {
            const char pattern[] = {'%', letter, '\0'};
            out.append(buffer, std::strftime(buffer, sizeof buffer, pattern, &fields));
        }
    }
    return out;
}

std::string digits(std::int32_t nanoseconds, int count) {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "%09d", static_cast<int>(nanoseconds));
    return std::string(buffer, static_cast<std::size_t>(count));
}

std::string order_list(const std::vector<std::string>& order, std::string_view format) {
    std::string out;
    for (const std::string& field : order) {
        if (!out.empty()) out += ",";
        if (format == "json") {
            out += "\"";
            append_escaped(out, replaced_utf8(field));
            out += "\":\"ASC\"";
        } else {
            out += field + (format == "asc" ? ".asc" : format == "colon" ? ":asc" : "");
        }
    }
    return format == "json" ? "{" + out + "}" : out;
}

bool is_json_number(std::string_view text) {
    try {
        JsonCursor cursor(text);
        const JsonToken token = cursor.value();
        return token.text.size() == text.size() &&
               (token.kind == JsonToken::Kind::integer || token.kind == JsonToken::Kind::decimal);
    } catch (const JsonError&) {
        return false;
    }
}

// Follows JSON as it is written: whether the next character stands in a string literal.
class JsonPlace {
  public:
    void pass(std::string_view literal) {
        for (char c : literal) {
            if (after_backslash_) {
                after_backslash_ = false;
            } else if (in_string_ && c == '\\') {
                after_backslash_ = true;
            } else if (c == '"') {
                in_string_ = !in_string_;
            }
        }
    }
    bool in_string() const { return in_string_; }
    bool after_backslash() const { return after_backslash_; }

  private:
    bool in_string_ = false, after_backslash_ = false;
};

void check_path(const std::string& path) {
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min({path.find('/', begin), path.find('?', begin), path.size()});
        const std::string_view segment = std::string_view(path).substr(begin, end - begin);
        if (segment == "." || segment == "..")
            fail("a request's path would have the segment \"" + std::string(segment) + "\"", "");
        if (end < path.size() && path[end] == '?') return;
        begin = end + 1;
    }
}

}  // namespace

Template::Template(std::string_view text, bool in_slice) {
    TemplateText parsed = parse_template(text, in_slice);
    if (!parsed.problem.empty()) fail(std::move(parsed.problem), std::move(parsed.hint));
    parts_ = std::move(parsed.parts);
    if (parts_.empty() || parts_[0].is_placeholder) return;
    const std::size_t first = parts_[0].text.find_first_not_of(" \t\r\n");
    is_json_ = first != std::string::npos && (parts_[0].text[first] == '{' || parts_[0].text[first] == '[');
}

bool Template::uses(std::string_view name) const {
    return std::any_of(parts_.begin(), parts_.end(),
                       [&](const TemplatePart& part) { return part.is_placeholder && part.text == name; });
}

bool Template::needs(std::string_view name) const {
    return std::any_of(parts_.begin(), parts_.end(), [&](const TemplatePart& part) {
        return part.is_placeholder && part.optional == 0 && part.text == name;
    });
}

std::vector<std::string> Template::parent_fields() const {
    std::vector<std::string> fields;
    for (const TemplatePart& part : parts_) {
        if (!part.is_placeholder || !part.text.starts_with(parent_prefix)) continue;
        std::string field = part.text.substr(parent_prefix.size());
        if (std::find(fields.begin(), fields.end(), field) == fields.end()) fields.push_back(std::move(field));
    }
    return fields;
}

bool Template::has_guard(std::string_view placeholder, std::string_view format) const {
    return std::any_of(parts_.begin(), parts_.end(), [&](const TemplatePart& part) {
        return part.is_placeholder && part.text == placeholder && part.format == format;
    });
}

std::optional<std::string> Template::formatted_value(const TemplatePart& part, const std::string& value,
                                                     const Values& values) const {
    const bool is_watermark = part.text == "since" || part.text == "until";
    const bool is_number = values.counts && is_watermark && is_json_number(value);
    const std::optional<CivilTime> civil = is_number ? std::nullopt : parse_civil_time(value);
    const bool is_day = civil && !civil->has_time;
    if (part.format == number_format) return is_number ? std::optional(value) : std::nullopt;
    if (part.format == day_format) return is_day ? std::optional(value) : std::nullopt;
    if (is_number) return has_guard(part.text, number_format) ? std::nullopt : std::optional(value);
    if (is_day && has_guard(part.text, day_format)) return std::nullopt;
    std::optional<std::string> time = format_time(value, part.format);
    if (!time) {
        fail("the value of {" + part.text + ":" + part.format + "} is not a time: \"" +
                 replaced_utf8(utf8_prefix(value, 60)) + "\"",
             "");
    }
    return time;
}

std::optional<std::string> Template::render(const Values& values, Place place) const {
    auto value_of = [&](const TemplatePart& part) -> std::optional<std::string> {
        if (part.text == "order") {
            if (values.order.empty()) return std::nullopt;
            return order_list(values.order, part.format);
        }
        const auto found = values.texts.find(part.text);
        if (found == values.texts.end()) return std::nullopt;
        return part.format.empty() || part.text == "page_token" ? found->second
                                                                : formatted_value(part, found->second, values);
    };
    std::vector<int> left_out;
    for (const TemplatePart& part : parts_) {
        if (part.is_placeholder && part.optional != 0 && !value_of(part)) left_out.push_back(part.optional);
    }
    std::string out;
    JsonPlace json;
    for (const TemplatePart& part : parts_) {
        if (part.optional != 0 && std::find(left_out.begin(), left_out.end(), part.optional) != left_out.end())
            continue;
        if (!part.is_placeholder) {
            out += part.text;
            if (place == Place::json) json.pass(part.text);
            continue;
        }
        const std::optional<std::string> value = value_of(part);
        if (place == Place::json && !json.in_string()) {
            const bool as_it_is =
                value && (part.format == "json" ||
                          (part.text != "order" && part.text != "page_token" && is_json_number(*value)));
            if (!value) {
                out += "null";
            } else if (as_it_is) {
                out += *value;
            } else {
                out += '"';
                append_escaped(out, replaced_utf8(*value));
                out += '"';
            }
            continue;
        }
        if (!value) return std::nullopt;
        switch (place) {
            case Place::plain:
                out += *value;
                break;
            case Place::path:
                out += percent_encode(*value);
                break;
            case Place::json:
                if (json.after_backslash()) fail("a backslash stands before placeholder {" + part.text + "}", "");
                append_escaped(out, replaced_utf8(*value));
        }
    }
    const bool has_placeholder =
        std::any_of(parts_.begin(), parts_.end(), [](const TemplatePart& part) { return part.is_placeholder; });
    if (place == Place::path && has_placeholder) check_path(out);
    return out;
}

std::optional<std::string> format_time(std::string_view literal, std::string_view format) {
    const std::optional<Moment> moment = moment_of(literal);
    if (!moment) return std::nullopt;
    if (format == "epoch") return std::to_string(moment->seconds);
    const std::optional<std::tm> fields = broken_down(*moment);
    if (!fields) return std::nullopt;
    if (format == "epoch_ms") return std::to_string(moment->seconds * 1000 + moment->nanoseconds / 1000000);
    if (format == "epoch_us") return std::to_string(moment->seconds * 1000000 + moment->nanoseconds / 1000);
    if (format == "date") return formatted(*fields, "%F", *moment);
    if (!is_named_time_format(format)) return formatted(*fields, format, *moment);
    std::string out = formatted(*fields, "%FT%T", *moment);
    if (format == "iso_ms") out += "." + digits(moment->nanoseconds, 3);
    if (format == "iso_us") out += "." + digits(moment->nanoseconds, 6);
    return out + "Z";
}

std::string in_unit_of(std::string_view epoch, const std::string& seconds) {
    return seconds + (epoch == "epoch_ms" ? "000" : epoch == "epoch_us" ? "000000" : "");
}

std::int64_t unit_us(std::string_view epoch) {
    return epoch == "epoch_us" ? 1 : epoch == "epoch_ms" ? 1000 : 1000000;
}

}  // namespace insync::rest
