// The engines' lexical rules; see sql_tokens.hpp.
#include "bgworker/connector/odbc/sql/sql_tokens.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::odbc {

namespace {

struct Rules {
    bool backslashes = false;  // a backslash takes the character behind it into a text
    bool text_in_double_quotes = false;
    bool backticks = false;
    bool brackets = false;          // [name]
    bool doubled_brackets = false;  // ]] is a bracket in it
    bool nested_comments = false;
    bool hash_comments = false;
    bool blank_behind_dashes = false;  // without it -- is no comment
    bool code_in_comments = false;     // /*! … */ is run
    bool dollar_quotes = false;        // $tag$ … $tag$, and E'…' with backslashes
    bool q_quotes = false;             // q'[…]'
};

Rules rules_of(Dialect dialect) {
    switch (dialect) {
        case Dialect::sqlite:
            return {.backticks = true, .brackets = true};
        case Dialect::mysql:
            return {.backslashes = true,
                    .text_in_double_quotes = true,
                    .backticks = true,
                    .hash_comments = true,
                    .blank_behind_dashes = true,
                    .code_in_comments = true};
        case Dialect::postgresql:
            return {.nested_comments = true, .dollar_quotes = true};
        case Dialect::sqlserver:
            return {.brackets = true, .doubled_brackets = true, .nested_comments = true};
        case Dialect::oracle:
            return {.q_quotes = true};
        case Dialect::generic:
            break;
    }
    return {};
}

bool is_blank(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}

bool is_word_start(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

bool is_word_character(char c) {
    return is_word_start(c) || std::isdigit(static_cast<unsigned char>(c)) || c == '$' || c == '#';
}

bool equal_words(std::string_view word, std::string_view lower) {
    return std::equal(word.begin(), word.end(), lower.begin(), lower.end(),
                      [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

class Scanner {
  public:
    Scanner(Dialect dialect, std::string_view sql) : rules_(rules_of(dialect)), sql_(sql) {}

    std::vector<SqlToken> scan() {
        if (sql_.find('\0') != std::string_view::npos) fail("the source contains a zero byte", 0);
        while (at_ < sql_.size()) step();
        if (!open_.empty())
            fail(std::string("the source has a \"") + open_.back().symbol + "\" that is not closed", open_.back().at);
        return std::move(tokens_);
    }

  private:
    struct Open {
        char symbol;
        std::size_t at;
    };

    char here(std::size_t ahead = 0) const { return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0'; }

    [[noreturn]] void fail(const std::string& message, std::size_t at) const {
        const std::string rest = replaced_utf8(utf8_prefix(std::string(sql_.substr(at)), 40));
        throw Failure(FailureClass::config, message,
                      "It stands at byte " + std::to_string(at + 1) + ", at the beginning of: " + rest,
                      "Write the source as one SELECT statement of the source's own SQL.");
    }

    void add(TokenKind kind, std::size_t end) {
        tokens_.push_back({kind, sql_.substr(at_, end - at_), static_cast<int>(open_.size())});
        at_ = end;
    }

    void step() {
        const char c = here();
        if (is_blank(c)) {
            at_++;
        } else if (c == '-' && here(1) == '-' && (!rules_.blank_behind_dashes || ends_dashes(here(2)))) {
            skip_line();
        } else if (c == '#' && rules_.hash_comments) {
            skip_line();
        } else if (c == '/' && here(1) == '*') {
            skip_comment();
        } else if (c == '\'') {
            add_quote(TokenKind::text, c, rules_.backslashes);
        } else if (c == '"') {
            add_quote(rules_.text_in_double_quotes ? TokenKind::text : TokenKind::name, c,
                      rules_.text_in_double_quotes && rules_.backslashes);
        } else if (c == '`' && rules_.backticks) {
            add_quote(TokenKind::name, c, false);
        } else if (c == '[' && rules_.brackets) {
            add_bracketed();
        } else if (c == '$' && rules_.dollar_quotes) {
            add_dollar_quote();
        } else if (is_word_start(c)) {
            add_word();
        } else if (std::isdigit(static_cast<unsigned char>(c))) {
            add_number();
        } else {
            add_symbol(c);
        }
    }

    bool ends_dashes(char c) const { return at_ + 2 >= sql_.size() || static_cast<unsigned char>(c) <= ' '; }

    void skip_line() { at_ = std::min(sql_.find('\n', at_), sql_.size()); }

    void skip_comment() {
        const std::size_t begin = at_;
        if (rules_.code_in_comments && (here(2) == '!' || (here(2) == 'M' && here(3) == '!'))) {
            fail("the source has a comment that the server would run", begin);
        }
        const bool hint = here(2) == '+';
        std::size_t end = begin + 2;
        int depth = 1;
        while (depth > 0) {
            if (end + 1 >= sql_.size()) fail("the source has a comment that is not closed", begin);
            if (sql_[end] == '*' && sql_[end + 1] == '/') {
                depth--;
                end += 2;
            } else if (sql_[end] == '/' && sql_[end + 1] == '*') {
                // A hint is sent on as it is, so nobody may take it for longer or shorter.
                if (hint) fail("the source has a comment inside a hint", begin);
                if (rules_.nested_comments) depth++;
                end += rules_.nested_comments ? 2 : 1;
            } else {
                end++;
            }
        }
        if (hint) return add(TokenKind::hint, end);
        at_ = end;
    }

    // `begin`: how far behind at_ the quote opens.
    std::size_t end_of_quote(std::size_t begin, char quote, bool backslashes) const {
        for (std::size_t i = at_ + begin + 1; i < sql_.size(); i++) {
            if (sql_[i] == '\\' && backslashes) {
                i++;
            } else if (sql_[i] == quote) {
                if (i + 1 >= sql_.size() || sql_[i + 1] != quote) return i + 1;
                i++;
            }
        }
        fail("the source has a quote that is not closed", at_);
    }

    void add_quote(TokenKind kind, char quote, bool backslashes) {
        // PostgreSQL goes on with a text behind a line break, by the rules of its first part.
        if (after_escape_text_ && quote == '\'' && tokens_.back().kind == TokenKind::text) {
            fail("the source has a text in two parts", at_);
        }
        after_escape_text_ = false;
        const std::size_t end = end_of_quote(0, quote, backslashes);
        // A function that the query calls could change how the next statement's backslashes are read.
        if (rules_.dollar_quotes && kind == TokenKind::text &&
            sql_.substr(at_, end - at_).find("\\'") != std::string_view::npos) {
            fail("the source has a backslash in front of a quote", at_);
        }
        add(kind, end);
    }

    void add_bracketed() {
        for (std::size_t i = at_ + 1; i < sql_.size(); i++) {
            if (sql_[i] != ']') continue;
            if (!rules_.doubled_brackets || i + 1 >= sql_.size() || sql_[i + 1] != ']')
                return add(TokenKind::name, i + 1);
            i++;
        }
        fail("the source has a quote that is not closed", at_);
    }

    void add_dollar_quote() {
        if (std::isdigit(static_cast<unsigned char>(here(1)))) fail("the source has a parameter", at_);
        std::size_t end = at_ + 1;
        while (end < sql_.size() && sql_[end] != '$' && sql_[end] != '#' && is_word_character(sql_[end])) end++;
        if (end >= sql_.size() || sql_[end] != '$') return add_symbol('$');
        const std::string_view tag = sql_.substr(at_, end + 1 - at_);
        const std::size_t close = sql_.find(tag, end + 1);
        if (close == std::string_view::npos) fail("the source has a quote that is not closed", at_);
        add(TokenKind::text, close + tag.size());
    }

    void add_word() {
        std::size_t end = at_;
        // A # begins a comment in MySQL, and an operator in PostgreSQL.
        const bool hash = !rules_.hash_comments && !rules_.dollar_quotes;
        while (end < sql_.size() && is_word_character(sql_[end]) && (hash || sql_[end] != '#')) end++;
        const std::string_view word = sql_.substr(at_, end - at_);
        if (here(word.size()) == '\'' && rules_.dollar_quotes && equal_words(word, "e")) {
            add(TokenKind::text, end_of_quote(1, '\'', true));
            after_escape_text_ = true;
            return;
        }
        if (here(word.size()) == '\'' && rules_.q_quotes && (equal_words(word, "q") || equal_words(word, "nq"))) {
            return add_q_quote(word.size());
        }
        add(TokenKind::word, end);
    }

    void add_q_quote(std::size_t prefix) {
        const std::size_t begin = at_ + prefix + 1;
        const char open = begin < sql_.size() ? sql_[begin] : '\0';
        if (begin >= sql_.size() || is_blank(open) || static_cast<unsigned char>(open) >= 0x80) {
            fail("the source has a quote that is not closed", at_);
        }
        constexpr std::string_view opening = "[({<", closing = "])}>";
        const std::size_t pair = opening.find(open);
        const char mark[] = {pair == std::string_view::npos ? open : closing[pair], '\''};
        const std::size_t end = sql_.find(std::string_view(mark, 2), begin + 1);
        if (end == std::string_view::npos) fail("the source has a quote that is not closed", at_);
        add(TokenKind::text, end + 2);
    }

    void add_number() {
        std::size_t end = at_;
        auto goes_on = [&](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' ||
                   static_cast<unsigned char>(c) >= 0x80;
        };
        while (end < sql_.size() && goes_on(sql_[end])) end++;
        // 1E'…' is a number and a text, or a number and a text with backslashes.
        if (end < sql_.size() && std::string_view("'\"$`").find(sql_[end]) != std::string_view::npos) {
            fail("the source has a quote right behind a number", at_);
        }
        add(TokenKind::number, end);
    }

    void add_symbol(char c) {
        constexpr std::string_view opening = "([{", closing = ")]}";
        if (opening.find(c) != std::string_view::npos) {
            add(TokenKind::symbol, at_ + 1);
            open_.push_back({c, at_ - 1});
        } else if (const std::size_t pair = closing.find(c); pair != std::string_view::npos) {
            if (open_.empty() || open_.back().symbol != opening[pair]) {
                fail(std::string("the source has a \"") + c + "\" that closes nothing", at_);
            }
            open_.pop_back();
            add(TokenKind::symbol, at_ + 1);
        } else {
            add(TokenKind::symbol, at_ + 1);
        }
    }

    const Rules rules_;
    const std::string_view sql_;
    std::size_t at_ = 0;
    std::vector<Open> open_;
    std::vector<SqlToken> tokens_;
    bool after_escape_text_ = false;
};

}  // namespace

bool SqlToken::is_word(std::string_view lower) const {
    return kind == TokenKind::word && equal_words(text, lower);
}

std::vector<SqlToken> sql_tokens(Dialect dialect, std::string_view sql) {
    return Scanner(dialect, sql).scan();
}

}  // namespace insync::odbc
