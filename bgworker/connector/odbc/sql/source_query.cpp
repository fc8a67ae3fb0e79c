// Reads queries; see source_query.hpp.
#include "bgworker/connector/odbc/sql/source_query.hpp"

#include <algorithm>

#include "bgworker/connector/odbc/sql/sql_tokens.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::odbc {

namespace {

using Tokens = std::vector<SqlToken>;

constexpr const char* view_hint = "Create a view at the source with what the SELECT cannot say, and read the view.";

[[noreturn]] void refuse(const std::string& message, std::string_view at, const char* hint = view_hint) {
    throw Failure(FailureClass::config, message,
                  at.empty() ? "" : "It stands at: " + replaced_utf8(utf8_prefix(std::string(at), 40)), hint);
}

// From `token` on to the end of the source.
std::string_view rest_from(const SqlToken& token, std::string_view source) {
    return source.substr(static_cast<std::size_t>(token.text.data() - source.data()));
}

bool is_escape_of_a_literal(const Tokens& tokens, std::size_t open) {
    // {ts '2026-01-01 00:00:00'}: the others run functions and procedures of the driver's.
    if (open + 3 >= tokens.size()) return false;
    const SqlToken& word = tokens[open + 1];
    const bool known = word.is_word("d") || word.is_word("t") || word.is_word("ts") || word.is_word("guid");
    return known && tokens[open + 2].kind == TokenKind::text && tokens[open + 3].is('}');
}

// What no rule of quotes lets through: other statements, and what a driver would take for more than it is.
void require_one_select(Dialect dialect, const Tokens& tokens, std::string_view source) {
    const auto first = std::find_if(tokens.begin(), tokens.end(), [](const SqlToken& token) { return !token.is('('); });
    if (first == tokens.end() || !(first->is_word("select") || first->is_word("with"))) {
        refuse("the source is not a SELECT statement", first == tokens.end() ? "" : rest_from(*first, source));
    }
    for (std::size_t i = 0; i < tokens.size(); i++) {
        const SqlToken& token = tokens[i];
        if (token.is(';')) refuse("the source has more than one statement", rest_from(token, source));
        if (token.is('{') && !is_escape_of_a_literal(tokens, i)) {
            refuse("the source has an escape sequence of ODBC", rest_from(token, source));
        }
        if (token.is('?') && dialect != Dialect::postgresql) {
            refuse("the source has a parameter", rest_from(token, source), "Write the value, or :watermark.");
        }
    }
}

Tokens without_last_semicolons(Tokens tokens) {
    while (!tokens.empty() && tokens.back().is(';')) tokens.pop_back();
    return tokens;
}

bool is_operator_character(const SqlToken& token) {
    return token.kind == TokenKind::symbol &&
           std::string_view("+-*/<>=~!@#%^&|`?").find(token.text[0]) != std::string_view::npos;
}

bool touch(const SqlToken& left, const SqlToken& right) {
    return left.text.data() + left.text.size() == right.text.data();
}

class Writer {
  public:
    Writer(Dialect dialect, const Tokens& tokens) : dialect_(dialect), tokens_(tokens) {}

    // The tokens from `begin` up to `end` with one blank where something stood between them.
    MarkedText write(std::size_t begin, std::size_t end) const {
        MarkedText out;
        for (std::size_t i = begin; i < end; i++) {
            if (i > begin && !touch(tokens_[i - 1], tokens_[i])) out.append(between(i));
            if (is_marker(i, end)) {
                out.append_marker();
                i++;
            } else if (const std::size_t behind = end_of_question(i, end); behind != i) {
                // The driver takes each ? for a parameter, but not in a comment. For it a comment ends with the line
                // feed, for PostgreSQL with the carriage return before.
                out.append("--\r");
                for (; i < behind; i++) out.append(tokens_[i].text);
                out.append("\n");
                i--;
            } else {
                out.append(tokens_[i].text);
            }
        }
        return out;
    }

  private:
    // A line break stays one: where texts follow each other, PostgreSQL asks for it.
    std::string_view between(std::size_t i) const {
        const char* from = tokens_[i - 1].text.data() + tokens_[i - 1].text.size();
        const std::string_view gap(from, static_cast<std::size_t>(tokens_[i].text.data() - from));
        return gap.find('\n') == std::string_view::npos ? " " : "\n";
    }

    bool is_marker(std::size_t i, std::size_t end) const {
        if (i + 1 >= end || !tokens_[i].is(':') || !touch(tokens_[i], tokens_[i + 1])) return false;
        // "::watermark" is a PostgreSQL cast to a type of that name.
        const bool cast = i > 0 && tokens_[i - 1].is(':') && touch(tokens_[i - 1], tokens_[i]);
        return !cast && tokens_[i + 1].is_word("watermark");
    }

    // Behind the operator that begins at `i` if it has a ? in it (PostgreSQL's ?, ?|, @?); otherwise `i`.
    std::size_t end_of_question(std::size_t i, std::size_t end) const {
        if (dialect_ != Dialect::postgresql || !is_operator_character(tokens_[i])) return i;
        std::size_t behind = i + 1;
        bool question = tokens_[i].is('?');
        while (behind < end && is_operator_character(tokens_[behind]) && touch(tokens_[behind - 1], tokens_[behind])) {
            question = question || tokens_[behind].is('?');
            behind++;
        }
        return question ? behind : i;
    }

    const Dialect dialect_;
    const Tokens& tokens_;
};

// Behind the pair of parentheses that opens at `open`.
std::size_t behind_pair(const Tokens& tokens, std::size_t open) {
    std::size_t i = open + 1;
    while (i < tokens.size() && !(tokens[i].is(')') && tokens[i].depth == tokens[open].depth)) i++;
    return std::min(i + 1, tokens.size());
}

// Behind the WITH list at the beginning: name [(columns)] AS (query), …
std::size_t behind_with_list(const Tokens& tokens, std::string_view source) {
    std::size_t i = 1;
    auto at = [&](char symbol) { return i < tokens.size() && tokens[i].is(symbol); };
    while (true) {
        i++;
        if (at('(')) i = behind_pair(tokens, i);  // its columns, or the names of XMLNAMESPACES
        if (i < tokens.size() && tokens[i].is_word("as")) {
            i++;
            if (!at('(')) break;
            i = behind_pair(tokens, i);
        }
        if (!at(',')) break;
        i++;
    }
    if (i < tokens.size() && (tokens[i].is_word("select") || tokens[i].is('('))) return i;
    refuse("the source has no SELECT behind WITH", i < tokens.size() ? rest_from(tokens[i], source) : source);
}

// The first token from `begin` on, outside parentheses, that is one of the words; the end if there is none.
std::size_t find_word(const Tokens& tokens, std::size_t begin, std::initializer_list<std::string_view> words) {
    for (std::size_t i = begin; i < tokens.size(); i++) {
        const bool found = tokens[i].depth == 0 && std::any_of(words.begin(), words.end(), [&](std::string_view word) {
                               return tokens[i].is_word(word);
                           });
        if (found) return i;
    }
    return tokens.size();
}

// SQL Server takes neither WITH nor OPTION nor an ORDER BY that decides nothing in parentheses.
SourceQuery sqlserver_query(Tokens tokens, std::string_view source) {
    SourceQuery query;
    const std::size_t option = find_word(tokens, 0, {"option"});
    if (option + 1 < tokens.size() && tokens[option + 1].is('(') && behind_pair(tokens, option + 1) == tokens.size()) {
        query.options = Writer(Dialect::sqlserver, tokens).write(option, tokens.size());
        tokens.resize(option);
    }
    std::size_t begin = 0;
    if (tokens[0].is_word("with")) {
        begin = behind_with_list(tokens, source);
        query.with = Writer(Dialect::sqlserver, tokens).write(0, begin);
    }
    for (std::size_t i = find_word(tokens, begin, {"for"}); i < tokens.size(); i = find_word(tokens, i + 1, {"for"})) {
        const bool form = i + 1 < tokens.size() && (tokens[i + 1].is_word("xml") || tokens[i + 1].is_word("json"));
        if (form) refuse("the source has a clause FOR XML or FOR JSON", rest_from(tokens[i], source));
    }
    std::size_t order = find_word(tokens, begin, {"order"});
    const bool has_sets = find_word(tokens, begin, {"union", "except", "intersect"}) < tokens.size();
    const bool cuts = find_word(tokens, order, {"offset"}) < tokens.size() ||
                      (!has_sets && find_word(tokens, begin, {"top"}) < tokens.size());
    query.select = Writer(Dialect::sqlserver, tokens).write(begin, cuts ? tokens.size() : order);
    return query;
}

// Of an engine that we don't know nobody knows the rules: the text has to mean the same by all of them, and is sent as
// it is.
SourceQuery generic_query(const Tokens& tokens, std::string_view source) {
    for (Dialect other : {Dialect::sqlite, Dialect::mysql, Dialect::postgresql, Dialect::sqlserver, Dialect::oracle}) {
        require_one_select(Dialect::generic, without_last_semicolons(sql_tokens(other, source)), source);
    }
    for (std::size_t at = source.find('\r'); at != std::string_view::npos; at = source.find('\r', at + 1)) {
        if (source.substr(at, 2) != "\r\n") refuse("the source has a line break that is read in two ways", "");
    }
    SourceQuery query;
    const char* from = source.data();
    for (std::size_t i = 0; i < tokens.size(); i++) {
        const MarkedText here = Writer(Dialect::generic, tokens).write(i, std::min(i + 2, tokens.size()));
        if (here.markers() == 0) continue;
        query.select.append(std::string_view(from, static_cast<std::size_t>(tokens[i].text.data() - from)));
        query.select.append_marker();
        i++;
        from = tokens[i].text.data() + tokens[i].text.size();
    }
    const char* end = tokens.back().text.data() + tokens.back().text.size();
    query.select.append(std::string_view(from, static_cast<std::size_t>(end - from)));
    query.select.append("\n");  // behind a comment that these rules don't know
    return query;
}

}  // namespace

std::string MarkedText::with(std::string_view replacement) const {
    std::string sql = pieces_[0];
    for (std::size_t i = 1; i < pieces_.size(); i++) sql.append(replacement).append(pieces_[i]);
    return sql;
}

SourceQuery parse_source_query(Dialect dialect, const std::string& source) {
    const Tokens tokens = without_last_semicolons(sql_tokens(dialect, source));
    require_one_select(dialect, tokens, source);
    if (dialect == Dialect::sqlserver) return sqlserver_query(tokens, source);
    if (dialect == Dialect::generic) return generic_query(tokens, source);
    SourceQuery query;
    query.select = Writer(dialect, tokens).write(0, tokens.size());
    return query;
}

void refuse_other_statements(const std::string& source) {
    const std::size_t begin = source.find_first_not_of(" \t\r\n({");
    if (begin == std::string::npos) return;
    const std::size_t end = source.find_first_of(" \t\r\n(;", begin);
    const SqlToken first{TokenKind::word, std::string_view(source).substr(begin, end - begin), 0};
    const bool has_more = end != std::string::npos && source.find_first_not_of(" \t\r\n;", end) != std::string::npos;
    if (!has_more) return;
    for (std::string_view word : {"exec", "execute", "call", "?=", "begin", "do"}) {
        if (!first.is_word(word)) continue;
        throw Failure(FailureClass::config, "a call of a procedure cannot be a source",
                      "A source is read in parts, so it must be something that can follow FROM.",
                      "Create a view or a function that returns rows at the source, and read SELECT * FROM it.");
    }
    for (std::string_view word : {"insert", "update", "delete", "merge", "truncate", "drop", "create", "alter", "show",
                                  "values", "table", "explain"}) {
        if (first.is_word(word)) refuse("the source is not a SELECT statement", source);
    }
}

}  // namespace insync::odbc
