// Checks and mends JSON for jsonb; see jsonb_text.hpp. The text is JSON already, so that looking for quotes, numbers
// and brackets is enough.
#include "bgworker/connector/rest/answer/jsonb_text.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "bgworker/connector/rest/answer/json_scanner.hpp"
#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/protocol/text.hpp"

namespace insync::rest {

namespace {

// True if numeric can hold the JSON number, with room to spare; its exponent may be of any length.
bool fits_numeric(std::string_view number) {
    const std::size_t mark = number.find_first_of("eE");
    if (mark == std::string_view::npos) return number.size() < 16000;
    int exponent = 0;
    std::string_view digits = number.substr(mark + 1);
    if (digits[0] == '+') digits.remove_prefix(1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    return error == std::errc() && exponent > -10000 && exponent < 100000 && mark < 5000;
}

// The pieces of a valid JSON text that may have to change for jsonb: the contents of strings, and numbers. What is
// between them is handed to `other`.
template <typename Text, typename Number, typename Other>
void for_each_piece(std::string_view json, const Text& text, const Number& number, const Other& other) {
    std::size_t at = 0, done = 0;
    while (at < json.size()) {
        const char c = json[at];
        if (c == '"') {
            const std::size_t begin = ++at;
            while (json[at] != '"') at += json[at] == '\\' ? 2 : 1;
            other(json.substr(done, begin - done));
            text(json.substr(begin, at - begin));
            done = at++;
        } else if (c == '-' || is_digit(c)) {
            const std::size_t begin = at;
            while (at < json.size() && (is_digit(json[at]) || std::strchr("+-.eE", json[at]) != nullptr)) at++;
            other(json.substr(done, begin - done));
            number(json.substr(begin, at - begin));
            done = at;
        } else {
            at++;
        }
    }
    other(json.substr(done));
}

// Appends the contents of a string as jsonb takes them.
void append_storable_text(std::string& out, std::string_view text) {
    std::string whole;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t length = 1;
        if (text[at] == '\\') {
            length = 2;
            const int code = text[at + 1] == 'u' ? escaped_code_point(text.substr(at), length) : 1;
            if (code == 0 || (code >= 0xD800 && code <= 0xDFFF)) {
                whole += "\\ufffd";
            } else {
                whole += text.substr(at, length);
            }
        } else if (static_cast<unsigned char>(text[at]) < 0x20 && text[at] != '\0') {
            append_escaped(whole, text.substr(at, 1));
        } else {
            whole += text[at];
        }
        at += length;
    }
    append_replaced_utf8(out, whole);
}

bool is_storable_text(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        std::size_t length = 1;
        if (static_cast<unsigned char>(text[at]) < 0x20) return false;
        if (text[at] == '\\') {
            length = 2;
            const int code = text[at + 1] == 'u' ? escaped_code_point(text.substr(at), length) : 1;
            if (code == 0 || (code >= 0xD800 && code <= 0xDFFF)) return false;
        }
        at += length;
    }
    return is_valid_utf8(text);
}

// Counts how deep objects and arrays stand in each other, over the pieces between strings.
class Depth {
  public:
    void operator()(std::string_view between) {
        for (char c : between) {
            if (c == '[' || c == '{') deepest = std::max(deepest, ++depth_);
            if (c == ']' || c == '}') depth_--;
        }
    }
    std::uint32_t deepest = 0;

  private:
    std::uint32_t depth_ = 0;
};

}  // namespace

Hindrance hindrance_of(std::string_view json) {
    Hindrance worst = Hindrance::none;
    Depth depth;
    for_each_piece(
        json,
        [&](std::string_view text) {
            if (worst < Hindrance::characters && !is_storable_text(text)) worst = Hindrance::characters;
        },
        [&](std::string_view number) {
            if (worst < Hindrance::number && !fits_numeric(number)) worst = Hindrance::number;
        },
        [&](std::string_view between) { depth(between); });
    return depth.deepest > max_json_depth ? Hindrance::depth : worst;
}

std::string storable_json(std::string_view json) {
    constexpr std::size_t beginning = 1000;
    std::string out;
    Depth depth;
    for_each_piece(
        json, [&](std::string_view text) { append_storable_text(out, text); },
        [&](std::string_view number) {
            const bool fits = fits_numeric(number);
            if (!fits) out += '"';
            out += number;
            if (!fits) out += '"';
        },
        [&](std::string_view between) {
            depth(between);
            out += between;
        });
    if (depth.deepest <= max_json_depth) return out;
    std::string text = "\"";
    append_escaped(text, utf8_prefix(out, beginning));
    return text + "...\"";
}

}  // namespace insync::rest
