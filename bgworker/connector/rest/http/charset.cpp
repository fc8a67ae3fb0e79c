// Converts answers to UTF-8; see charset.hpp.
#include "bgworker/connector/rest/http/charset.hpp"

#include <algorithm>
#include <array>
#include <iconv.h>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/options/values.hpp"

namespace insync::rest {

namespace {

// Browsers take these for Windows' own, and so do those who send them: the letters of Latin-1 and the euro sign.
std::string converter_name(const std::string& charset) {
    constexpr std::array<std::string_view, 5> latin1 = {"iso-8859-1", "latin1", "us-ascii", "ascii", "iso8859-1"};
    return std::find(latin1.begin(), latin1.end(), charset) != latin1.end() ? "windows-1252" : charset;
}

bool is_wide(const std::string& charset) {
    return charset.rfind("utf-16", 0) == 0 || charset.rfind("utf-32", 0) == 0 || charset.rfind("ucs-", 0) == 0;
}

struct Converter {
    explicit Converter(const char* from) : handle(iconv_open("UTF-8", from)) {}
    ~Converter() {
        if (is_open()) iconv_close(handle);
    }
    Converter(const Converter&) = delete;
    Converter& operator=(const Converter&) = delete;
    bool is_open() const { return handle != reinterpret_cast<iconv_t>(-1); }
    iconv_t handle;
};

}  // namespace

std::string charset_of(std::string_view content_type) {
    const std::string lower = to_lower(content_type);
    for (std::size_t at = lower.find(';'); at != std::string::npos; at = lower.find(';', at + 1)) {
        std::string_view parameter = trim(std::string_view(lower).substr(at + 1));
        parameter = trim(parameter.substr(0, parameter.find(';')));
        if (parameter.rfind("charset=", 0) != 0) continue;
        std::string_view value = trim(parameter.substr(8));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
        return std::string(value);
    }
    return "";
}

std::string utf8_body(std::string body, std::string_view content_type) {
    constexpr std::string_view mark = "\xEF\xBB\xBF";
    const std::string charset = charset_of(content_type);
    if (charset.empty() || charset == "utf-8" || charset == "utf8" || (!is_wide(charset) && is_valid_utf8(body))) {
        if (std::string_view(body).substr(0, mark.size()) == mark) body.erase(0, mark.size());
        return body;
    }
    const Converter converter(converter_name(charset).c_str());
    if (!converter.is_open())
        throw Failure(FailureClass::source, "the answer has an unknown charset, \"" + charset.substr(0, 40) + "\"");
    std::string text;
    std::array<char, 4096> room;
    char* in = body.data();
    std::size_t left = body.size();
    while (left > 0) {
        char* out = room.data();
        std::size_t free = room.size();
        const std::size_t before = left;
        const bool is_whole = iconv(converter.handle, &in, &left, &out, &free) != static_cast<std::size_t>(-1);
        text.append(room.data(), room.size() - free);
        if (!is_whole && free == room.size() && left == before)
            throw Failure(FailureClass::source, "the answer is not in its charset, \"" + charset + "\"");
    }
    if (text.rfind(mark, 0) == 0) text.erase(0, mark.size());
    return text;
}

}  // namespace insync::rest
