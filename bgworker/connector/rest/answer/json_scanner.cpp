// Reads JSON text; see json_scanner.hpp. Strings and numbers are on the hot path of every REST source.
#include "bgworker/connector/rest/answer/json_scanner.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/protocol/text.hpp"

namespace insync::rest {

namespace {

// Four hexadecimal digits, or -1.
int hex4(std::string_view text) {
    if (text.size() < 4) return -1;
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + 4, value, 16);
    return error == std::errc() && end == text.data() + 4 && text[0] != '-' ? value : -1;
}

bool is_high_surrogate(int unit) {
    return unit >= 0xD800 && unit <= 0xDBFF;
}

bool is_low_surrogate(int unit) {
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

void append_utf8(std::string& out, int code) {
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xC0 | code >> 6);
        out += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        out += static_cast<char>(0xE0 | code >> 12);
        out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
        out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
        out += static_cast<char>(0xF0 | code >> 18);
        out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
        out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
        out += static_cast<char>(0x80 | (code & 0x3F));
    }
}

char closing(char bracket) {
    return bracket == '{' ? '}' : ']';
}

bool has_member(std::string_view element, std::string_view condition) {
    const std::size_t equals = condition.find('=');
    if (equals == std::string_view::npos || element.empty() || element[0] != '{') return false;
    JsonCursor cursor(element);
    const std::optional<JsonToken> member = find_in(cursor, condition.substr(0, equals));
    if (!member) return false;
    const std::string_view wanted = condition.substr(equals + 1);
    return member->kind == JsonToken::Kind::string ? stands_for(*member, wanted) : member->text == wanted;
}

}  // namespace

std::string_view name_of(JsonToken::Kind kind) {
    switch (kind) {
        case JsonToken::Kind::null:
            return "null";
        case JsonToken::Kind::boolean:
            return "a boolean";
        case JsonToken::Kind::integer:
        case JsonToken::Kind::decimal:
            return "a number";
        case JsonToken::Kind::string:
            return "a string";
        case JsonToken::Kind::object:
            return "an object";
        case JsonToken::Kind::array:
            break;
    }
    return "an array";
}

void JsonCursor::fail(std::string what) const {
    throw JsonError{at_, std::move(what), at_ >= text_.size()};
}

void JsonCursor::fail_expected(char c) const {
    fail(std::string("\"") + c + "\" is missing");
}

// Passes over the rest of a string and its closing quote.
void JsonCursor::string_end(bool& has_escapes) {
    const char* text = text_.data();
    const std::size_t size = text_.size();
    std::size_t at = at_;
    for (;;) {
        // Eight bytes at a time while none of them is a quote or a backslash.
        while (size - at >= 8) {
            constexpr std::uint64_t ones = 0x0101010101010101u;
            std::uint64_t word;
            std::memcpy(&word, text + at, 8);
            const std::uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
            if ((((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & (ones * 0x80)) break;
            at += 8;
        }
        while (at < size && text[at] != '"' && text[at] != '\\') at++;
        if (at < size && text[at] == '"') {
            at_ = at + 1;
            return;
        }
        at_ = at;
        if (size - at < 2) {
            at_ = size;
            fail("a string has no end");
        }
        has_escapes = true;
        const char escape = text[at + 1];
        if (escape == 'u') {
            if (hex4(text_.substr(at + 2)) < 0) {
                if (size - at < 6) at_ = size;
                fail("a string has an invalid \\u escape");
            }
            at += 6;
        } else if (std::strchr("\"\\/bfnrt", escape) != nullptr && escape != '\0') {
            at += 2;
        } else {
            fail("a string has an invalid escape");
        }
    }
}

JsonToken JsonCursor::string() {
    if (peek() != '"') fail("a string is missing");
    JsonToken token;
    token.kind = JsonToken::Kind::string;
    const std::size_t begin = ++at_;
    string_end(token.has_escapes);
    token.text = text_.substr(begin, at_ - 1 - begin);
    return token;
}

JsonToken JsonCursor::scalar() {
    const char first = peek();
    if (first == '"') return string();
    JsonToken token;
    const std::size_t begin = at_;
    if (first == '-' || is_digit(first)) {
        token.kind = JsonToken::Kind::integer;
        auto digits = [&] {
            const std::size_t from = at_;
            while (at_ < text_.size() && is_digit(text_[at_])) at_++;
            if (at_ == from) fail("a number is cut short");
        };
        auto comes = [&](char c) { return at_ < text_.size() && text_[at_] == c; };
        if (first == '-') at_++;
        if (comes('0')) {
            at_++;
            if (at_ < text_.size() && is_digit(text_[at_])) fail("a number begins with 0");
        } else {
            digits();
        }
        if (comes('.')) {
            token.kind = JsonToken::Kind::decimal;
            at_++;
            digits();
        }
        if (comes('e') || comes('E')) {
            token.kind = JsonToken::Kind::decimal;
            at_++;
            if (comes('+') || comes('-')) at_++;
            digits();
        }
        token.text = text_.substr(begin, at_ - begin);
        return token;
    }
    for (std::string_view word : {"null", "true", "false"}) {
        const std::string_view rest = text_.substr(at_, word.size());
        if (rest.empty() || rest != word.substr(0, rest.size())) continue;
        if (rest.size() < word.size()) {
            at_ = text_.size();
            fail("a word is cut short");
        }
        at_ += word.size();
        token.kind = first == 'n' ? JsonToken::Kind::null : JsonToken::Kind::boolean;
        token.text = rest;
        return token;
    }
    fail("a value is missing");
}

JsonToken JsonCursor::value() {
    const char first = peek();
    if (at_ == known_begin_) {
        JsonToken token;
        token.kind = JsonToken::Kind::array;
        token.text = text_.substr(known_begin_, known_end_ - known_begin_);
        at_ = known_end_;
        return token;
    }
    if (first != '{' && first != '[') return scalar();

    JsonToken token;
    token.kind = first == '{' ? JsonToken::Kind::object : JsonToken::Kind::array;
    const std::size_t begin = at_;
    auto pass_key = [&] {
        bool ignored = false;
        if (!take('"')) fail("the name of a member is missing");
        string_end(ignored);
        expect(':');
    };
    open_.clear();
    do {
        // A value begins here.
        const char c = peek();
        if (c == '{' || c == '[') {
            at_++;
            open_ += c;
            token.depth = std::max(token.depth, static_cast<std::uint32_t>(open_.size()));
            if (!take(closing(c))) {
                if (c == '{') pass_key();
                continue;
            }
            open_.pop_back();
        } else if (at_ == known_begin_) {
            at_ = known_end_;
        } else {
            scalar();
        }
        // After it a comma comes, or the ends of what is open.
        while (!open_.empty() && !next_or_close(closing(open_.back()))) open_.pop_back();
        if (!open_.empty() && open_.back() == '{') pass_key();
    } while (!open_.empty());
    token.text = text_.substr(begin, at_ - begin);
    return token;
}

int escaped_code_point(std::string_view text, std::size_t& length) {
    const int unit = hex4(text.substr(2));
    length = 6;
    if (!is_high_surrogate(unit) || text.substr(6, 2) != "\\u") return unit;
    const int low = hex4(text.substr(8));
    if (!is_low_surrogate(low)) return unit;
    length = 12;
    return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

void append_decoded(std::string& out, std::string_view text) {
    while (!text.empty()) {
        const std::size_t plain = std::min(text.find('\\'), text.size());
        out += text.substr(0, plain);
        text.remove_prefix(plain);
        if (text.empty()) return;
        std::size_t length = 2;
        switch (text[1]) {
            case 'b':
                out += '\b';
                break;
            case 'f':
                out += '\f';
                break;
            case 'n':
                out += '\n';
                break;
            case 'r':
                out += '\r';
                break;
            case 't':
                out += '\t';
                break;
            case 'u':
                append_utf8(out, escaped_code_point(text, length));
                break;
            default:
                out += text[1];
        }
        text.remove_prefix(length);
    }
}

std::string decoded(const JsonToken& string) {
    std::string out;
    append_decoded(out, string.text);
    return out;
}

bool stands_for(const JsonToken& string, std::string_view characters) {
    return string.has_escapes ? decoded(string) == characters : string.text == characters;
}

void append_escaped(std::string& out, std::string_view characters) {
    for (char c : characters) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
            out += escape;
        } else {
            out += c;
        }
    }
}

std::vector<std::string> pointer_tokens(std::string_view pointer) {
    std::vector<std::string> tokens;
    if (!pointer.empty() && pointer[0] != '/') {
        throw Failure(FailureClass::config, "\"" + std::string(pointer) + "\" is not a JSON pointer", "",
                      "A JSON pointer begins with a slash, as /items or /data/orders.");
    }
    for (std::size_t i = 0; i < pointer.size(); i++) {
        if (pointer[i] == '/') {
            tokens.emplace_back();
        } else if (pointer[i] == '~' && i + 1 < pointer.size() && (pointer[i + 1] == '0' || pointer[i + 1] == '1')) {
            tokens.back() += pointer[++i] == '0' ? '~' : '/';
        } else {
            tokens.back() += pointer[i];
        }
    }
    return tokens;
}

std::optional<JsonToken> find_in(JsonCursor& cursor, std::string_view token, bool* twice) {
    std::optional<JsonToken> found;
    if (cursor.take('{')) {
        if (cursor.take('}')) return found;
        do {
            const JsonToken name = cursor.string();
            cursor.expect(':');
            const JsonToken value = cursor.value();
            if (!stands_for(name, token)) continue;
            if (found && twice != nullptr) *twice = true;
            found = value;
        } while (cursor.next_or_close('}'));
    } else if (cursor.take('[')) {
        std::size_t wanted = 0;
        const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), wanted);
        const bool is_number = error == std::errc() && end == token.data() + token.size();
        const bool is_last = token == "-1";
        if ((!is_number && !is_last && token.find('=') == std::string_view::npos) || cursor.take(']')) return found;
        std::size_t number = 0;
        do {
            const JsonToken value = cursor.value();
            if (is_last) {
                found = value;
                continue;
            }
            if (is_number ? number++ == wanted : has_member(value.text, token)) return value;
        } while (cursor.next_or_close(']'));
    }
    return found;
}

}  // namespace insync::rest
