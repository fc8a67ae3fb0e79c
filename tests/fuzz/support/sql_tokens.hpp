// SQL cut into tokens, as far as it takes to see what is quoted and what isn't.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/support/target.hpp"

namespace insync::fuzz {

struct Token {
    // name: in the dialect's quotes; text: in single quotes; other: a word, a number or a sign.
    enum class Kind { name, text, other } kind;
    std::string content;  // of names and texts without their quotes

    friend bool operator==(const Token&, const Token&) = default;
};

// `open` and `close` are the quotes of names. A quote that isn't closed is a broken property. Comments end with a line
// or with */ and are nothing.
inline std::vector<Token> sql_tokens(std::string_view sql, char open = '"', char close = '"') {
    std::vector<Token> tokens;
    tokens.reserve(sql.size() / 3);
    auto is_word = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c < 0;
    };
    for (std::size_t at = 0; at < sql.size();) {
        char c = sql[at], next = at + 1 < sql.size() ? sql[at + 1] : ' ';
        if (c == open || c == '\'') {
            char end = c == open ? close : c;
            Token token{c == open ? Token::Kind::name : Token::Kind::text, ""};
            for (at++;; at++) {
                REQUIRE(at < sql.size());
                if (sql[at] == end && (at + 1 >= sql.size() || sql[at + 1] != end)) break;
                if (sql[at] == end) at++;
                token.content += sql[at];
            }
            at++;
            tokens.push_back(std::move(token));
        } else if (c == '-' && next == '-') {
            at = std::min(sql.find('\n', at), sql.size());
        } else if (c == '/' && next == '*') {
            auto end = sql.find("*/", at + 2);
            REQUIRE(end != std::string_view::npos);
            at = end + 2;
        } else if (c == ' ' || c == '\n') {
            at++;
        } else {
            std::size_t begin = at++;
            while (is_word(c) && at < sql.size() && is_word(sql[at])) at++;
            tokens.push_back({Token::Kind::other, std::string(sql.substr(begin, at - begin))});
        }
    }
    return tokens;
}

inline int depth_of_parentheses(const std::vector<Token>& tokens) {
    int depth = 0;
    for (const Token& token : tokens) {
        if (token.kind != Token::Kind::other) continue;
        depth += token.content == "(" ? 1 : token.content == ")" ? -1 : 0;
        REQUIRE(depth >= 0);
    }
    return depth;
}

// The tokens with each name replaced by what stands for it: two statements that differ in names alone come out equal.
template <typename Names>
std::vector<Token> with_names(std::vector<Token> tokens, const Names& names) {
    for (Token& token : tokens) {
        if (token.kind != Token::Kind::name) continue;
        for (const auto& [from, to] : names) {
            if (token.content == from) {
                token.content = to;
                break;
            }
        }
    }
    return tokens;
}

}  // namespace insync::fuzz
