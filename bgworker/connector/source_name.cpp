// Reads source names and queries; see source_name.hpp.
#include "bgworker/connector/source_name.hpp"

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

// If a quoted text, quoted name or comment starts at `at`, the position behind it; otherwise `at`.
std::size_t skip_quoted(std::string_view text, std::size_t at) {
    const char c = text[at];
    if (c == '\'' || c == '"' || c == '`' || c == '[') {
        const char close = c == '[' ? ']' : c;
        for (std::size_t i = at + 1; i < text.size(); i++) {
            if (text[i] != close) continue;
            if (i + 1 < text.size() && text[i + 1] == close) {
                i++;
                continue;
            }
            return i + 1;
        }
        return text.size();
    }
    if (text.substr(at, 2) == "--") {
        const std::size_t end = text.find('\n', at);
        return end == std::string_view::npos ? text.size() : end + 1;
    }
    if (text.substr(at, 2) == "/*") {
        const std::size_t end = text.find("*/", at + 2);
        return end == std::string_view::npos ? text.size() : end + 2;
    }
    return at;
}

std::string_view without_leading_blanks(std::string_view text) {
    while (!text.empty()) {
        if (is_blank(text[0]) || text[0] == '(') {
            text.remove_prefix(1);
        } else if (text.substr(0, 2) == "--" || text.substr(0, 2) == "/*") {
            text.remove_prefix(skip_quoted(text, 0));
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

MarkedQuery replace_watermark_markers(std::string_view query, std::string_view replacement) {
    static constexpr std::string_view marker = ":watermark";
    while (!query.empty() && (is_blank(query.back()) || query.back() == ';')) query.remove_suffix(1);
    MarkedQuery result;
    std::size_t at = 0;
    while (at < query.size()) {
        const std::size_t behind = skip_quoted(query, at);
        if (behind != at) {
            result.sql += query.substr(at, behind - at);
            at = behind;
            continue;
        }
        // "::watermark" is a PostgreSQL cast to a type of that name.
        const bool cast = at > 0 && query[at - 1] == ':';
        if (!cast && query[at] == ':' && starts_with_word(query.substr(at), marker)) {
            result.sql += replacement;
            result.markers++;
            at += marker.size();
            continue;
        }
        result.sql += query[at++];
    }
    return result;
}

}  // namespace insync
