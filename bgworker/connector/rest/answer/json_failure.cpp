// Messages about answers; see json_failure.hpp.
#include "bgworker/connector/rest/answer/json_failure.hpp"

#include <algorithm>

#include "bgworker/connector/values/utf8.hpp"

namespace insync::rest {

namespace {

// Bytes of a source's answer for a message: printable, and few.
std::string excerpt(std::string_view text) {
    constexpr std::size_t limit = 80;
    std::string out = replaced_utf8(utf8_prefix(text, limit));
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    }
    return "\"" + out + (text.size() > limit ? "...\"" : "\"");
}

}  // namespace

std::string_view without_mark(std::string_view body) {
    return body.substr(0, 3) == "\xEF\xBB\xBF" ? body.substr(3) : body;
}

Failure no_json(std::string_view body, const JsonError& error) {
    body = without_mark(body);
    const std::size_t first = body.find_first_not_of(" \t\r\n");
    const std::string_view begin = first == std::string_view::npos ? "" : body.substr(first);
    if (begin.empty()) return {FailureClass::source, "the answer is empty where JSON was expected"};
    if (begin[0] == '<') {
        const bool is_xml = begin.substr(0, 5) == "<?xml";
        return {FailureClass::source,
                std::string("the answer is ") + (is_xml ? "XML" : "a web page") + ", not JSON: it begins with " +
                    excerpt(begin),
                "", "Perhaps it is a login page, or the path is wrong."};
    }
    const std::string place = "byte " + std::to_string(error.at + 1);
    if (error.is_end) {
        return {FailureClass::source, "the answer ends in the middle of its JSON, at " + place + ": " + error.what};
    }
    const std::size_t from = error.at > 20 ? error.at - 20 : 0;
    return {FailureClass::source, "the answer is not valid JSON, at " + place + ": " + error.what,
            "The text around that place is " + excerpt(body.substr(std::min(from, body.size()), 60)) + "."};
}

std::string names_in(std::string_view object) {
    constexpr std::size_t most = 20;
    std::string names;
    JsonCursor cursor(object);
    if (!cursor.take('{') || cursor.take('}')) return names;
    std::size_t count = 0;
    do {
        const JsonToken name = cursor.string();
        cursor.expect(':');
        cursor.value();
        if (count < most) names += (names.empty() ? "" : ", ") + std::string(utf8_prefix(name.text, 60));
        count++;
    } while (cursor.next_or_close('}'));
    return replaced_utf8(names) + (count > most ? ", ..." : "");
}

}  // namespace insync::rest
