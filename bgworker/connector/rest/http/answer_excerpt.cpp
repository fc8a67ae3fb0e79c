// Cuts and cleans texts of answers; see answer_excerpt.hpp.
#include "bgworker/connector/rest/http/answer_excerpt.hpp"

#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/options/values.hpp"

namespace insync::rest {

namespace {

constexpr std::size_t longest_quote = 200;

std::string_view phrase(long status) {
    switch (status) {
        case 300:
            return "Multiple Choices";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 402:
            return "Payment Required";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 422:
            return "Unprocessable Content";
        case 425:
            return "Too Early";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        default:
            return "";
    }
}

}  // namespace

std::string quoted_text(std::string_view text) {
    const bool is_cut = text.size() > longest_masked;
    const std::string valid = replaced_utf8(utf8_prefix(text, longest_masked));
    std::string line;
    for (char c : valid) {
        const bool is_blank = static_cast<unsigned char>(c) <= 32 || c == 127;
        if (!is_blank) line += c;
        if (is_blank && !line.empty() && line.back() != ' ') line += ' ';
    }
    const std::string_view shown = trim(utf8_prefix(line, longest_quote));
    return std::string(shown) + (is_cut || shown.size() < trim(line).size() ? "..." : "");
}

std::string status_text(long status) {
    const std::string_view words = phrase(status);
    return "status " + std::to_string(status) + (words.empty() ? "" : " (" + std::string(words) + ")");
}

}  // namespace insync::rest
