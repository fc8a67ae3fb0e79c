// JSON as text: read from front to back without making anything of it, so that numbers keep their digits and depth
// costs no stack.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace insync::rest {

// Where the text is no JSON, and why.
struct JsonError {
    std::size_t at;
    std::string what;
    bool is_end;  // the text stops too early
};

// What a value is, with its text: what stands between a string's quotes, the text as it stands of everything else.
struct JsonToken {
    enum class Kind : unsigned char { null, boolean, integer, decimal, string, object, array };
    Kind kind = Kind::null;
    bool has_escapes = false;  // a string with a backslash in it
    std::uint32_t depth = 0;   // of objects and arrays in each other; 0: neither of them
    std::string_view text;
};

// "an object", "a string"…
std::string_view name_of(JsonToken::Kind kind);

// Reads one text. It accepts what RFC 8259 does, and in strings any bytes: invalid UTF-8 and control characters are the
// business of whoever takes the string. Raises JsonError.
class JsonCursor {
  public:
    explicit JsonCursor(std::string_view text, std::size_t at = 0) : text_(text), at_(at) {}

    std::size_t at() const { return at_; }

    // The next character that is no space; NUL at the end.
    char peek() {
        while (at_ < text_.size() && is_space(text_[at_])) at_++;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    // Passes over `c` if it comes next.
    bool take(char c) {
        if (peek() != c || at_ == text_.size()) return false;
        at_++;
        return true;
    }
    void expect(char c) {
        if (!take(c)) fail_expected(c);
    }
    // Passes over a comma (true) or the bracket that closes.
    bool next_or_close(char close) {
        if (take(',')) return true;
        if (!take(close)) fail_expected(close);
        return false;
    }

    JsonToken string();
    JsonToken value();

    // The value between these places was read before: it is passed over in one step, as an array.
    void remember(std::size_t begin, std::size_t end) {
        known_begin_ = begin;
        known_end_ = end;
    }

    [[noreturn]] void fail(std::string what) const;

  private:
    static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
    [[noreturn]] void fail_expected(char c) const;
    void string_end(bool& has_escapes);
    JsonToken scalar();

    std::string_view text_;
    std::size_t at_;
    std::size_t known_begin_ = std::string_view::npos, known_end_ = 0;
    std::string open_;  // the brackets around the place that is read
};

// Appends the characters that a string token stands for. Half a surrogate pair becomes bytes that are no valid UTF-8.
void append_decoded(std::string& out, std::string_view string_text);
std::string decoded(const JsonToken& string);

// True if a string token stands for `characters`.
bool stands_for(const JsonToken& string, std::string_view characters);

// The code point of the \u escape at the front of `string_text`, whose length is put in `length`: two escapes for a
// surrogate pair. Half a pair is its own value.
int escaped_code_point(std::string_view string_text, std::size_t& length);

// Appends `characters` escaped as the contents of a JSON string.
void append_escaped(std::string& out, std::string_view characters);

// The tokens of a JSON pointer (RFC 6901). Raises Failure (config) where it doesn't begin with a slash.
std::vector<std::string> pointer_tokens(std::string_view pointer);

// The member or element `token` of the value that begins at the cursor, which must have been read before; nothing where
// there is none. Of two such members it is the last, as it is for jsonb; `twice` becomes true then. In an array, a
// token that isn't a number but name=value is the first element with that member: /links/rel=next/href; -1 is the last
// element.
std::optional<JsonToken> find_in(JsonCursor& cursor, std::string_view token, bool* twice = nullptr);

}  // namespace insync::rest
