// Looks at the words of an expression; see expression_words.hpp.
#include "bgworker/options/expression_words.hpp"

#include <algorithm>

#include "bgworker/options/values.hpp"

namespace insync {

namespace {

bool is_word(char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80);
}

// The words of an SQL expression outside of string literals, in lower case, and its opening parentheses.
std::vector<std::string> words_of(const std::string& expression) {
    std::vector<std::string> words;
    bool quoted = false;
    for (std::size_t at = 0; at < expression.size();) {
        std::size_t end = at + 1;
        if (expression[at] == '\'') {
            quoted = !quoted;
        } else if (!quoted && expression[at] == '(') {
            words.emplace_back("(");
        } else if (!quoted && is_word(expression[at])) {
            while (end < expression.size() && is_word(expression[end])) end++;
            words.push_back(to_lower(expression.substr(at, end - at)));
        }
        at = end;
    }
    return words;
}

}  // namespace

std::optional<std::vector<std::string>> fields_of(const std::string& expression,
                                                  const std::vector<SourceColumn>& columns) {
    // Quoted names, and what can hide where a literal ends.
    for (const char* mark : {"\"", "\\", "$", "--", "/*"}) {
        if (expression.find(mark) != std::string::npos) return std::nullopt;
    }
    std::vector<std::string> fields;
    for (const std::string& word : words_of(expression)) {
        if (word == "batch" || word == "insync_row") return std::nullopt;
        if (find_field(columns, word) != nullptr) fields.push_back(word);
    }
    return fields;
}

bool is_field(std::string_view expression, const std::string& field) {
    std::string_view name = trim(expression);
    if (to_lower(std::string(name.substr(0, 6))) == "batch.") name.remove_prefix(6);
    if (name.size() > 2 && name.front() == '"' && name.back() == '"') return name.substr(1, name.size() - 2) == field;
    return std::all_of(name.begin(), name.end(), is_word) && fold_name(name) == field;
}

bool is_constant(const std::string& expression, const std::vector<SourceColumn>& columns) {
    // An expression that names no column, no relation and calls nothing.
    const std::vector<std::string> words = words_of(expression);
    return std::none_of(words.begin(), words.end(), [&](const std::string& word) {
        return word == "(" || word == "batch" || find_field(columns, word) != nullptr;
    });
}

}  // namespace insync
