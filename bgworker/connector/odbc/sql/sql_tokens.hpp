// SQL cut into tokens by an engine's own rules: quotes, comments, parentheses. Text only, no driver.
//
// What a user writes is put between our own words, so where its quotes and comments end has to be known exactly as the
// server knows it. Text that one server would read in two ways is refused: it says nothing that can't be written
// plainly.
#pragma once

#include <string_view>
#include <vector>

#include "bgworker/connector/odbc/sql/dialect.hpp"

namespace insync::odbc {

struct SqlToken {
    enum class Kind { word, name, text, number, hint, symbol };  // name: in quotes; hint: /*+ … */
    Kind kind;
    std::string_view text;  // as it was written, quotes included
    int depth = 0;          // how many parentheses are open around it; of a parenthesis itself, around the pair

    bool is(char symbol) const { return kind == Kind::symbol && text.size() == 1 && text[0] == symbol; }
    // `lower` is in lower case.
    bool is_word(std::string_view lower) const;
};
using TokenKind = SqlToken::Kind;

// The tokens of `sql`, which the caller keeps; comments are left out. Raises Failure (config) where a quote, a comment
// or a parenthesis isn't closed, or closes what isn't open. `generic` has the rules of standard SQL.
std::vector<SqlToken> sql_tokens(Dialect dialect, std::string_view sql);

}  // namespace insync::odbc
