// Templates of requests: paths, parameters, headers and bodies with placeholders.
//
// Their syntax is told in extension/template_text.hpp.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bgworker/options/template_text.hpp"

namespace insync::rest {

// Where the rendered text will stand, which says how values are escaped: not at all (a query parameter, which is
// encoded as a whole later, or a header, whose values may hold no control characters), as a segment of a path, or as
// JSON: inside a string literal its contents, outside of one a whole JSON value: a number or {order:json} as it is, all
// else and any {page_token} a string (null where there is none).
enum class Place { plain, path, json };

// What the placeholders of one request stand for.
struct Values {
    // By name: since, until, run_start, asof, last_key, offset, page, limit, page_token, source, select, watermark,
    // key, keys, parent.x; of a slice also from, to, slice_column.
    std::map<std::string, std::string, std::less<>> texts;
    std::vector<std::string> order;  // fields to sort by, for {order:…}
    // The watermark is a number that is no time: no format makes one of it.
    bool counts = false;
};

class Template {
  public:
    Template() = default;
    // Raises Failure (config) for an unknown format, a near miss of a placeholder, or one or an optional part without
    // an end.
    explicit Template(std::string_view text, bool in_slice = false);

    // True if the placeholder `name` occurs, in an optional part or not.
    bool uses(std::string_view name) const;
    // True if it occurs outside of optional parts.
    bool needs(std::string_view name) const;
    // True if the text is JSON: it begins as an object or array.
    bool is_json() const { return is_json_; }
    // The names x of the {parent.x} in it.
    std::vector<std::string> parent_fields() const;

    // The text with values in it; nothing where a placeholder outside of optional parts has no value (in JSON outside
    // of a string literal it becomes null). Raises Failure (config) where a value isn't a time that its format needs,
    // or would lead out of its place in a path ("..").
    std::optional<std::string> render(const Values& values, Place place) const;

  private:
    bool has_guard(std::string_view placeholder, std::string_view format) const;
    std::optional<std::string> formatted_value(const TemplatePart& part, const std::string& value,
                                               const Values& values) const;

    std::vector<TemplatePart> parts_;
    bool is_json_ = false;
};

// A time in one of the formats above; nothing where `literal` is no time. Text without a zone is taken for UTC; digits
// alone for seconds, or milliseconds or microseconds where they are that many (12 and 15
// digits or more).
std::optional<std::string> format_time(std::string_view literal, std::string_view format);

// Seconds, as digits, in the unit of an epoch: epoch, epoch_ms or epoch_us.
std::string in_unit_of(std::string_view epoch, const std::string& seconds);
// How many microseconds that unit has.
std::int64_t unit_us(std::string_view epoch);

}  // namespace insync::rest
