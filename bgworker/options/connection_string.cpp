// Parser of ODBC connection strings and the meaning of their keywords; see connection_string.hpp.
#include "bgworker/options/connection_string.hpp"

#include <algorithm>
#include <cstddef>

#include "bgworker/protocol/text.hpp"

namespace insync {

Parsed<ConnectionKeywords> parse_connection_string(std::string_view text) {
    ConnectionKeywords keywords;
    auto fail = [](std::string_view what, std::size_t at) {
        return Parsed<ConnectionKeywords>{{}, std::string(what) + " at position " + std::to_string(at + 1) + "."};
    };
    if (std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
        return fail("There is a zero byte", zero);
    }
    std::size_t at = 0;
    while (at < text.size()) {
        if (text[at] == ';' || is_space(text[at])) {
            at++;
            continue;
        }
        std::size_t start = at;
        std::size_t equals = text.find_first_of("=;", at);
        if (equals == std::string_view::npos || text[equals] == ';') {
            return fail("There is no \"=\" in the part that begins", start);
        }
        std::string_view keyword = trim(text.substr(start, equals - start));
        if (keyword.empty()) {
            return fail("There is no keyword before the \"=\"", equals);
        }
        if (keyword.find_first_of("{}") != std::string_view::npos) {
            return fail("There is a brace in the keyword that begins", start);
        }
        at = equals + 1;
        while (at < text.size() && is_space(text[at])) {
            at++;
        }
        std::string value;
        if (at < text.size() && text[at] == '{') {
            std::size_t open = at++;
            while (at < text.size() && (text[at] != '}' || (at + 1 < text.size() && text[at + 1] == '}'))) {
                value += text[at];
                at += text[at] == '}' ? 2 : 1;
            }
            if (at >= text.size()) {
                return fail("There is no \"}\" for the \"{\"", open);
            }
            at++;
            while (at < text.size() && is_space(text[at])) {
                at++;
            }
            if (at < text.size() && text[at] != ';') {
                return fail("There is something else than \";\" after the \"}\"", at);
            }
        } else {
            std::size_t end = std::min(text.find(';', at), text.size());
            value = trim(text.substr(at, end - at));
            at = end;
        }
        keywords.emplace_back(keyword, std::move(value));
    }
    if (keywords.empty()) {
        return {{}, "It is empty."};
    }
    return {std::move(keywords), {}};
}

std::string bare_keyword(std::string_view keyword) {
    std::string bare = to_lower(keyword);
    std::erase_if(bare, [](char c) { return c == ' ' || c == '_' || c == '-'; });
    return bare;
}

std::string_view option_of_keyword(std::string_view keyword) {
    constexpr std::pair<std::string_view, std::string_view> keywords[] = {
        {"uid", "user"},
        {"user", "user"},
        {"userid", "user"},
        {"username", "user"},
        {"logonid", "user"},
        {"pwd", "password"},
        {"pass", "password"},
        {"passwd", "password"},
        {"password", "password"},
        {"token", "password"},
        {"accesstoken", "password"},
        {"driver", "driver"},
        {"dsn", "dsn"},
        {"server", "host"},
        {"host", "host"},
        {"hostname", "host"},
        {"port", "port"},
        {"tcpport", "port"},
        {"database", "database"},
        {"db", "database"},
        {"dbname", "database"},
        {"servername", "host"},
    };
    std::string bare = bare_keyword(keyword);
    for (const auto& [spelling, option] : keywords) {
        if (bare == spelling) {
            return option;
        }
    }
    return {};
}

}  // namespace insync
