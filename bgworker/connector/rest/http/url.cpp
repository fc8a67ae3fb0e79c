// Resolves, joins and compares URLs; see url.hpp.
#include "bgworker/connector/rest/http/url.hpp"

#include <algorithm>
#include <memory>
#include <optional>

#include <arpa/inet.h>
#include <curl/curl.h>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/options/values.hpp"

namespace insync::rest {

namespace {

using Url = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

Url new_url() {
    Url url(curl_url(), curl_url_cleanup);
    if (!url) throw std::bad_alloc();
    return url;
}

std::optional<std::string> part(const Url& url, CURLUPart which, unsigned flags = 0) {
    char* text = nullptr;
    if (curl_url_get(url.get(), which, &text, flags) != CURLUE_OK) return std::nullopt;
    std::string copy(text);
    curl_free(text);
    return copy;
}

bool is_web(const Url& url) {
    const auto scheme = part(url, CURLUPART_SCHEME);
    return scheme == "http" || scheme == "https";
}

bool is_absolute(std::string_view text) {
    const std::string start = to_lower(text.substr(0, 8));
    return start.starts_with("http://") || start == "https://";
}

// Where the path ends: at the query, the fragment or the end.
std::size_t end_of_path(std::string_view url) {
    return std::min(url.find_first_of("?#"), url.size());
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string percent_decode(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); i++) {
        const bool is_code =
            text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
        decoded += is_code ? static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])) : text[i];
        if (is_code) i += 2;
    }
    return decoded;
}

bool is_among(const std::vector<std::string>& names, std::string_view encoded) {
    const std::string name = to_lower(percent_decode(encoded));
    return std::any_of(names.begin(), names.end(), [&](const std::string& each) { return to_lower(each) == name; });
}

}  // namespace

std::string resolve_url(const std::string& base, const std::string& reference) {
    const Url url = new_url();
    const bool is_right = curl_url_set(url.get(), CURLUPART_URL, base.c_str(), CURLU_URLENCODE) == CURLUE_OK &&
                          (reference.empty() ||
                           curl_url_set(url.get(), CURLUPART_URL, reference.c_str(), CURLU_URLENCODE) == CURLUE_OK) &&
                          is_web(url);
    if (is_right) {
        for (CURLUPart unwanted : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_FRAGMENT})
            (void)curl_url_set(url.get(), unwanted, nullptr, 0);
        if (auto text = part(url, CURLUPART_URL)) return *text;
    }
    throw Failure(FailureClass::source, "the source names an address that is not an http or https URL",
                  "It is " + quote_for_message(shown_url(reference, {})) + ".");
}

std::string join_url(const std::string& base, const std::string& path) {
    if (path.empty() || is_absolute(path)) return path.empty() ? base : path;
    const std::size_t base_end = end_of_path(base);
    std::string joined = base.substr(0, base_end);
    const std::string query = base.substr(base_end, std::min(base.find('#'), base.size()) - base_end);
    std::string_view rest = path;
    if (rest[0] != '?' && rest[0] != '#') {
        while (joined.ends_with('/')) joined.pop_back();
        rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
        joined += '/';
    }
    const std::size_t rest_end = end_of_path(rest);
    joined += rest.substr(0, rest_end);
    std::string_view tail = rest.substr(rest_end);
    joined += query;
    if (!query.empty() && tail.starts_with('?')) {
        joined += '&';
        tail.remove_prefix(1);
    }
    return joined.append(tail);
}

std::string origin_of(const std::string& text) {
    const Url url = new_url();
    if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_URLENCODE) != CURLUE_OK || !is_web(url)) return "";
    const auto scheme = part(url, CURLUPART_SCHEME), host = part(url, CURLUPART_HOST);
    const auto port = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    if (!scheme || !host || !port) return "";
    return to_lower(*scheme + "://" + *host + ":" + *port);
}

std::string path_of(const std::string& text) {
    const Url url = new_url();
    if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_URLENCODE) != CURLUE_OK) return "";
    std::string path = part(url, CURLUPART_PATH).value_or("");
    while (path.ends_with('/')) path.pop_back();
    return path;
}

std::string with_missing_parameters(const std::string& url, const std::string& other) {
    auto each = [](const std::string& text, const auto& use) {
        const std::size_t question = text.find('?');
        if (question == std::string::npos) return;
        const std::string_view query = std::string_view(text).substr(question + 1, text.find('#') - question - 1);
        for (std::size_t start = 0; start < query.size();) {
            const std::size_t end = std::min(query.find('&', start), query.size());
            const std::string_view parameter = query.substr(start, end - start);
            if (!parameter.empty()) use(percent_decode(parameter.substr(0, parameter.find('='))), parameter);
            start = end + 1;
        }
    };
    std::vector<std::string> names;
    each(url, [&](std::string name, std::string_view) { names.push_back(std::move(name)); });
    std::string complete = url;
    each(other, [&](const std::string& name, std::string_view parameter) {
        if (std::find(names.begin(), names.end(), name) != names.end()) return;
        complete.append(complete.find('?') == std::string::npos ? "?" : "&").append(parameter);
    });
    return complete;
}

bool is_local_address(std::string_view address) {
    const std::string text(address.substr(0, address.find('%')));
    unsigned char bytes[16] = {};
    auto is_local_v4 = [](const unsigned char* four) {
        return four[0] == 127 || four[0] == 0 || (four[0] == 169 && four[1] == 254);
    };
    if (inet_pton(AF_INET, text.c_str(), bytes) == 1) return is_local_v4(bytes);
    if (inet_pton(AF_INET6, text.c_str(), bytes) != 1) return false;
    const bool is_link_local = bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    const bool has_zeros = std::all_of(bytes, bytes + 10, [](unsigned char byte) { return byte == 0; });
    const bool is_mapped = has_zeros && bytes[10] == 0xff && bytes[11] == 0xff;
    const bool is_low = has_zeros && bytes[10] == 0 && bytes[11] == 0;  // ::, ::1 and the like
    return is_link_local || (is_mapped && is_local_v4(bytes + 12)) || is_low;
}

std::string with_parameters(const std::string& url,
                            const std::vector<std::pair<std::string, std::string>>& parameters) {
    std::string complete = url.substr(0, url.find('#'));
    const std::size_t question = complete.find('?');
    bool needs_separator = question != std::string::npos && !complete.ends_with('?') && !complete.ends_with('&');
    if (question == std::string::npos && !parameters.empty()) complete += '?';
    for (const auto& [name, value] : parameters) {
        if (needs_separator) complete += '&';
        complete += percent_encode(name) + "=" + percent_encode(value);
        needs_separator = true;
    }
    return complete;
}

std::string percent_encode(std::string_view text) {
    constexpr char digits[] = "0123456789ABCDEF";
    std::string encoded;
    for (char c : text) {
        const bool is_unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                   c == '-' || c == '.' || c == '_' || c == '~';
        if (is_unreserved) {
            encoded += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            encoded += {'%', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return encoded;
}

// By its letters alone, so that what is no URL at all can be shown, too.
std::string shown_url(const std::string& url, const std::vector<std::string>& secret_parameters) {
    std::string shown = url;
    const std::size_t slashes = shown.find("//");
    const std::size_t host = slashes == std::string::npos ? 0 : slashes + 2;
    const std::size_t host_end = std::min(shown.find_first_of("/?#", host), shown.size());
    if (const std::size_t at = shown.rfind('@', host_end); at != std::string::npos && at >= host && at < host_end) {
        shown.erase(host, at + 1 - host);
    }
    const std::size_t question = shown.find('?');
    if (question == std::string::npos) return shown;
    std::string query = shown.substr(0, question + 1);
    for (std::size_t start = question + 1; start <= shown.size();) {
        const std::size_t end = std::min(shown.find_first_of("&;#", start), shown.size());
        const std::string_view parameter = std::string_view(shown).substr(start, end - start);
        const std::size_t equals = parameter.find('=');
        if (equals != std::string_view::npos && is_among(secret_parameters, parameter.substr(0, equals))) {
            query.append(parameter.substr(0, equals + 1)).append("***");
        } else {
            query += parameter;
        }
        if (end < shown.size()) query += shown[end];
        start = end + 1;
    }
    return query;
}

}  // namespace insync::rest
