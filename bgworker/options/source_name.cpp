// Reads source names and queries; see source_name.hpp.
#include "bgworker/options/source_name.hpp"

#include <cctype>

namespace insync {

namespace {

bool is_word_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

bool is_blank(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}

bool starts_with_word(std::string_view text, std::string_view lower) {
    if (text.size() < lower.size()) return false;
    for (std::size_t i = 0; i < lower.size(); i++) {
        if (std::tolower(static_cast<unsigned char>(text[i])) != lower[i]) return false;
    }
    return text.size() == lower.size() || !is_word_character(text[lower.size()]);
}

// The position behind the comment with which `text` begins.
std::size_t skip_comment(std::string_view text) {
    const bool line = text.substr(0, 2) == "--";
    const std::size_t end = line ? text.find('\n') : text.find("*/", 2);
    return end == std::string_view::npos ? text.size() : end + (line ? 1 : 2);
}

std::string_view without_leading_blanks(std::string_view text) {
    while (!text.empty()) {
        if (is_blank(text[0]) || text[0] == '(') {
            text.remove_prefix(1);
        } else if (text.substr(0, 2) == "--" || text.substr(0, 2) == "/*") {
            text.remove_prefix(skip_comment(text));
        } else {
            break;
        }
    }
    return text;
}

}  // namespace

bool is_query(std::string_view source) {
    // A blank must follow: a table may well be called "select_list" or "with.something".
    const std::string_view text = without_leading_blanks(source);
    for (std::string_view word : {"select", "with"}) {
        if (starts_with_word(text, word) && text.size() > word.size() && text[word.size()] != '.') return true;
    }
    return false;
}

std::optional<std::vector<std::string>> parse_source_name(std::string_view source) {
    std::vector<std::string> parts;
    std::size_t at = 0;
    auto skip_blanks = [&] {
        while (at < source.size() && is_blank(source[at])) at++;
    };
    while (true) {
        skip_blanks();
        if (at >= source.size()) return std::nullopt;
        std::string part;
        const char c = source[at];
        if (c == '"' || c == '`' || c == '[') {
            const char close = c == '[' ? ']' : c;
            bool closed = false;
            for (at++; at < source.size() && !closed; at++) {
                if (source[at] != close) {
                    part += source[at];
                } else if (at + 1 < source.size() && source[at + 1] == close) {
                    part += source[at++];
                } else {
                    closed = true;
                }
            }
            if (!closed) return std::nullopt;
        } else {
            // Unquoted names may hold blanks and dashes inside, as real tables do ("Order Details").
            while (at < source.size() && source[at] != '.') part += source[at++];
            while (!part.empty() && is_blank(part.back())) part.pop_back();
            if (part.find_first_of("\"`;'\n") != std::string::npos) return std::nullopt;
        }
        if (part.empty()) return std::nullopt;
        parts.push_back(part);
        skip_blanks();
        if (at == source.size()) break;
        if (source[at] != '.' || parts.size() == 3) return std::nullopt;
        at++;
    }
    return parts;
}

}  // namespace insync
