// Templates of requests: paths, parameters, headers and bodies with placeholders.
//
// `{name}` or `{name:format}` stands for a value; a name that isn't one of the known placeholders is left as it stands,
// so that JSON and GraphQL need no quoting, unless it is a near miss of one. `[[…]]` is an optional part: it is left
// out where a placeholder in it has no value; without a placeholder in it, it is left as it stands. JSON's arrays of
// arrays with placeholders in them are written with a space, `[ [`. Formats of times: iso (seconds, as
// 2026-01-31T10:00:00Z), iso_ms, iso_us, date, epoch, epoch_ms, or a strftime format (with a % in it; %f are
// microseconds), always of UTC; without one the value stands as the source wrote it. {order:…} is the list of fields to
// sort by: comma (a,b), asc (a.asc,b.asc), json ({"a":"ASC","b":"ASC"}).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace insync::rest {

// Where the rendered text will stand, which says how values are escaped: not at all (a query parameter, which is
// encoded as a whole later, or a header, whose values may hold no control characters), as a segment of a path, or as
// JSON: inside a string literal its contents, outside of one a whole JSON value: a number or {order:json} as it is, all
// else and any {page_token} a string (null where there is none).
enum class Place { plain, path, json };

// What the placeholders of one request stand for.
struct Values {
    // By name: since, until, run_start, asof, last_key, offset, page, limit, page_token, source, select, watermark,
    // key, keys, parent.x.
    std::map<std::string, std::string, std::less<>> texts;
    std::vector<std::string> order;  // fields to sort by, for {order:…}
};

class Template {
  public:
    Template() = default;
    // Raises Failure (config) for an unknown format, a near miss of a placeholder or an optional part without an end.
    explicit Template(std::string_view text);

    // True if the placeholder `name` occurs, in an optional part or not.
    bool uses(std::string_view name) const;
    // True if the text is JSON: it begins as an object or array.
    bool is_json() const { return is_json_; }
    // The names x of the {parent.x} in it.
    std::vector<std::string> parent_fields() const;

    // The text with values in it; nothing where a placeholder outside of optional parts has no value (in JSON outside
    // of a string literal it becomes null). Raises Failure (config) where a value isn't a time that its format needs,
    // or would lead out of its place in a path ("..").
    std::optional<std::string> render(const Values& values, Place place) const;

  private:
    struct Part {
        std::string text;    // literal text, or the placeholder's name
        std::string format;  // of a placeholder
        bool is_placeholder = false;
        int optional = 0;  // number of the optional part that it belongs to; 0: none
    };
    void parse(std::string_view text, int optional);

    std::vector<Part> parts_;
    bool is_json_ = false;
};

// A time in one of the formats above; nothing where `literal` is no time. Text without a zone is taken for UTC; digits
// alone for seconds, or milliseconds where they are that many (12 digits or more).
std::optional<std::string> format_time(std::string_view literal, std::string_view format);

}  // namespace insync::rest
