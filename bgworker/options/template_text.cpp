// Parses templates; see template_text.hpp.
#include "bgworker/options/template_text.hpp"

#include <algorithm>
#include <array>

#include "bgworker/options/near_miss.hpp"

namespace insync {

namespace {

constexpr std::array<std::string_view, 15> placeholders{"since",  "until",     "run_start", "asof",       "last_key",
                                                        "offset", "page",      "limit",     "page_token", "source",
                                                        "select", "watermark", "key",       "keys",       "order"};
constexpr std::array<std::string_view, 7> time_formats{"iso",   "iso_ms",   "iso_us",  "date",
                                                       "epoch", "epoch_ms", "epoch_us"};
constexpr std::array<std::string_view, 4> order_formats{"comma", "asc", "colon", "json"};
constexpr std::string_view strftime_letters = "YmdHMSfyjesFTDRzZbBaApIuVGgCUWnt%kl";

template <std::size_t size>
bool is_one_of(std::string_view word, const std::array<std::string_view, size>& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_placeholder(std::string_view name) {
    return is_one_of(name, placeholders) || (name.size() > parent_prefix.size() && name.starts_with(parent_prefix));
}

// One insertion, removal, replacement or swap of neighbours away, or in another case. The wider notion of nearness that
// serves options would take {name}, which GraphQL is full of, for {page}.
bool is_misspelled(std::string_view word, std::string_view known) {
    std::string lower;
    for (char c : word) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (lower == known) return true;
    if (known.size() < 4 || lower.size() < 4) return false;
    const std::size_t shorter = std::min(lower.size(), known.size());
    std::size_t front = 0, back = 0;
    while (front < shorter && lower[front] == known[front]) front++;
    while (back < shorter - front && lower[lower.size() - 1 - back] == known[known.size() - 1 - back]) back++;
    const std::size_t left = lower.size() - front - back, right = known.size() - front - back;
    if (left <= 1 && right <= 1) return true;
    return left == 2 && right == 2 && lower[front] == known[front + 1] && lower[front + 1] == known[front];
}

bool is_name_character(char c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The placeholder that `name` was probably meant to be; empty if it is something else.
std::string meant_by(std::string_view name) {
    const std::size_t dot = name.find('.');
    if (dot != std::string_view::npos && dot + 1 < name.size()) {
        const bool is_near = is_misspelled(name.substr(0, dot), parent_prefix.substr(0, parent_prefix.size() - 1));
        return is_near ? std::string(parent_prefix).append(name.substr(dot + 1)) : "";
    }
    if (!std::all_of(name.begin(), name.end(), [](char c) { return is_name_character(c) || c == ' '; })) return "";
    for (std::string_view known : placeholders) {
        if (is_misspelled(name, known)) return std::string(known);
    }
    return "";
}

class Parser {
  public:
    explicit Parser(bool in_slice) : in_slice_(in_slice) {}

    TemplateText parse(std::string_view text) {
        int optional = 0;
        while (!text.empty() && !failed()) {
            const std::size_t begin = text.find("[[");
            has_close_behind_ = begin != std::string_view::npos && text.find('}', begin) != std::string_view::npos;
            parse_part(text.substr(0, begin), 0);
            if (begin == std::string_view::npos) break;
            const std::size_t end = optional_end(text, begin + 2);
            if (end == std::string_view::npos) {
                fail("an optional part begins with [[ and has no ]]",
                     "Write two brackets that are meant as such with a space between them.");
                break;
            }
            const std::size_t before = result_.parts.size();
            parse_part(text.substr(begin + 2, end - begin - 2), ++optional);
            const bool has_placeholder =
                std::any_of(result_.parts.begin() + static_cast<std::ptrdiff_t>(before), result_.parts.end(),
                            [](const TemplatePart& part) { return part.is_placeholder; });
            if (!has_placeholder) {
                result_.parts.resize(before);
                result_.parts.push_back({std::string(text.substr(begin, end + 2 - begin)), "", false, 0});
            }
            text.remove_prefix(end + 2);
        }
        if (failed()) result_.parts.clear();
        return std::move(result_);
    }

  private:
    bool failed() const { return !result_.problem.empty(); }

    // The first problem counts.
    void fail(std::string problem, std::string hint) {
        if (failed()) return;
        result_.problem = std::move(problem);
        result_.hint = std::move(hint);
    }

    // The end of the optional part that begins before `at`: its "]]", or the last such where several brackets close.
    static std::size_t optional_end(std::string_view text, std::size_t at) {
        std::size_t end = text.find("]]", at);
        while (end != std::string_view::npos && text.substr(end + 2, 1) == "]") end++;
        return end;
    }

    void parse_part(std::string_view text, int optional) {
        std::string literal;
        auto end_literal = [&] {
            if (!literal.empty()) result_.parts.push_back({std::move(literal), "", false, optional});
            literal.clear();
        };
        while (!text.empty() && !failed()) {
            const std::size_t open = std::min(text.find('{'), text.size());
            literal += text.substr(0, open);
            text.remove_prefix(open);
            if (text.empty()) break;
            const std::size_t close = text.find('}');
            check_closed(text, close != std::string_view::npos || has_close_behind_);
            const std::string_view inside = close == std::string_view::npos ? "" : text.substr(1, close - 1);
            const std::size_t colon = std::min(inside.find(':'), inside.size());
            const std::string_view name = inside.substr(0, colon);
            const bool is_of_slice =
                in_slice_ && std::find(std::begin(slice_placeholders), std::end(slice_placeholders), name) !=
                                 std::end(slice_placeholders);
            if (is_placeholder(name) || is_of_slice) {
                const std::string_view format = inside.substr(std::min(colon + 1, inside.size()));
                if (colon < inside.size()) check_format(name, format);
                end_literal();
                result_.parts.push_back({std::string(name), std::string(format), true, optional});
                text.remove_prefix(close + 1);
                continue;
            }
            if (const std::string meant = meant_by(name); !meant.empty()) {
                fail("placeholder {" + std::string(name) + "} is not known", "Perhaps you meant {" + meant + "}.");
            }
            literal += '{';
            text.remove_prefix(1);
        }
        end_literal();
    }

    // Whether the word behind the bracket at which `text` begins has lost its end; `has_close` says whether any bracket
    // closes. What stands behind a field's name in GraphQL or JavaScript makes it none of ours: {page {…}}, {limit,
    // key}.
    void check_closed(std::string_view text, bool has_close) {
        std::size_t end = 1;
        while (end < text.size() && is_name_character(text[end])) end++;
        if (end == 1) return;
        std::string word(text.substr(1, end - 1));
        const bool is_parents = text.substr(1).starts_with(parent_prefix);
        if (is_parents) {
            end = std::min(text.find_first_of("}\"", end), text.size());
            word = text.substr(1, end - 1);
        }
        const std::string meant = is_placeholder(word) ? word : meant_by(word);
        const std::string_view ends = is_parents ? "\"" : "\"'&/?]);=<>|";
        const bool is_ended = end < text.size() && ends.find(text[end]) != std::string_view::npos;
        if (!has_close || (!meant.empty() && is_ended)) {
            fail("placeholder {" + word + " has no }",
                 meant.empty() ? "Placeholders are written as {source}." : "Perhaps you meant {" + meant + "}.");
        }
    }

    void check_format(std::string_view name, std::string_view format) {
        const std::string shown = "placeholder {" + std::string(name) + ":" + std::string(format) + "} ";
        if (name == "order") {
            if (!is_one_of(format, order_formats))
                fail(shown + "has an unknown format", "Formats of {order} are comma, asc, colon and json.");
            return;
        }
        if (name == "page_token") {
            if (format != "json") fail(shown + "has an unknown format", "The only format of {page_token} is json.");
            return;
        }
        if (format.find('%') == std::string_view::npos) {
            if (is_named_time_format(format) || format == day_format || format == number_format) return;
            const std::string meant = closest(format, time_formats);
            return fail(shown + "has an unknown format",
                        meant.empty()
                            ? "Formats are iso, iso_ms, iso_us, date, epoch, epoch_ms, epoch_us, day, number, or one "
                              "of strftime such as %Y-%m-%d."
                            : "Perhaps you meant {" + std::string(name) + ":" + meant + "}.");
        }
        for (std::size_t i = 0; i < format.size(); i++) {
            if (format[i] != '%') continue;
            i++;
            if (i == format.size() || strftime_letters.find(format[i]) == std::string_view::npos)
                return fail(shown + "has an unknown format", "Use the letters of strftime, as %Y-%m-%dT%H:%M:%S.");
        }
    }

    TemplateText result_;
    bool in_slice_;
    bool has_close_behind_ = false;  // behind the next [[
};

}  // namespace

TemplateText parse_template(std::string_view text, bool in_slice) {
    return Parser(in_slice).parse(text);
}

bool is_named_time_format(std::string_view format) {
    return is_one_of(format, time_formats);
}

}  // namespace insync
