// The syntax of templates of requests: paths, parameters, headers and bodies with placeholders. Pure; the connector
// fills them (bgworker/connector/rest/template.hpp), and options that hold one are checked when they are set.
//
// `{name}` or `{name:format}` stands for a value; a name that isn't one of the known placeholders is left as it stands,
// so that JSON and GraphQL need no quoting, unless it is a near miss of one, or its `}` is missing. `[[…]]` is an
// optional part: it is left out where a placeholder in it has no value; without a placeholder in it, it is left as it
// stands. JSON's arrays of arrays with placeholders in them are written with a space, `[ [`. Formats of times: iso
// (seconds, as 2026-01-31T10:00:00Z), iso_ms, iso_us, date, epoch, epoch_ms, epoch_us, or a strftime format (with a %
// in it; %f are microseconds), always of UTC; without one the value stands as the source wrote it. Two formats have a
// value only where the watermark is of that kind: day, a date without a time, and number, one that is no time; beside
// them in the same text, other formats of the placeholder have none then. {order:…} is the list of fields to sort by:
// comma (a,b), asc (a.asc,b.asc), colon (a:asc,b:asc), json ({"a":"ASC","b":"ASC"}). {page_token:json} stands for a
// token that isn't a text, as it came.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace insync {

struct TemplatePart {
    std::string text;    // literal text, or the placeholder's name
    std::string format;  // of a placeholder
    bool is_placeholder = false;
    int optional = 0;  // number of the optional part that it belongs to; 0: none
};

struct TemplateText {
    std::vector<TemplatePart> parts;
    // Why the text is no template, in PostgreSQL's message style, and what to do; empty if it is one.
    std::string problem, hint;
};

// The parts of `text`; none where there is a problem. `in_slice`: it may have the placeholders of slices, too.
TemplateText parse_template(std::string_view text, bool in_slice = false);

inline constexpr std::string_view parent_prefix = "parent.";

// Placeholders of the option slice_query alone, as other templates may hold such words in braces.
inline constexpr std::string_view slice_placeholders[] = {"from", "to", "slice_column"};

// True for the formats of times that have a name, such as iso_ms.
bool is_named_time_format(std::string_view format);

// Formats that are a condition as well: the value as it is, where it is of that kind.
inline constexpr std::string_view day_format = "day", number_format = "number";

}  // namespace insync
