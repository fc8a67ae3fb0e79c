// Finds the rows of an answer that nobody described; see page.hpp.
#include <algorithm>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/json_failure.hpp"
#include "bgworker/connector/rest/answer/page.hpp"

namespace insync::rest {

namespace {

// The member of the object that holds the rows, below `prefix`; empty if there is none.
std::string rows_among(std::string_view object, const std::string& prefix) {
    std::vector<std::string> arrays, beside;
    JsonCursor cursor(object);
    if (!cursor.take('{') || cursor.take('}')) return "";
    do {
        const JsonToken name = cursor.string();
        cursor.expect(':');
        const JsonToken value = cursor.value();
        if (value.kind != JsonToken::Kind::array) continue;
        JsonCursor inside(value.text);
        inside.take('[');
        const std::string called = decoded(name);
        const bool is_beside = called == "links" || called == "_links" || called == "errors" || called == "warnings" ||
                               called == "included";
        if (inside.peek() == '{' || inside.peek() == ']') (is_beside ? beside : arrays).push_back(called);
    } while (cursor.next_or_close('}'));
    auto pointer = [&](std::string_view name) {
        std::string out = prefix + "/";
        for (char c : name) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
        return out;
    };
    for (const char* usual : {"items", "data", "value", "results", "records", "rows"}) {
        if (std::find(arrays.begin(), arrays.end(), usual) != arrays.end()) return pointer(usual);
    }
    if (arrays.empty()) arrays = std::move(beside);
    return arrays.size() == 1 ? pointer(arrays[0]) : "";
}

}  // namespace

std::string find_rows_path(std::string_view whole) {
    const std::string_view body = without_mark(whole);
    try {
        JsonCursor cursor(body);
        const JsonToken top = cursor.value();
        cursor.peek();
        if (cursor.at() != body.size()) cursor.fail("unexpected text after the JSON");
        if (top.kind == JsonToken::Kind::array) return "";
        if (top.kind != JsonToken::Kind::object) {
            throw Failure(FailureClass::source, "the answer is " + std::string(name_of(top.kind)) + ", not rows");
        }
        if (std::string path = rows_among(top.text, ""); !path.empty()) return path;
        // One level deeper: the first member that is an object with rows in it.
        JsonCursor members(top.text);
        members.take('{');
        if (!members.take('}')) {
            do {
                const std::string name = decoded(members.string());
                members.expect(':');
                const JsonToken value = members.value();
                if (value.kind != JsonToken::Kind::object) continue;
                std::string prefix = "/";
                for (char c : name) prefix += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
                if (std::string path = rows_among(value.text, prefix); !path.empty()) return path;
            } while (members.next_or_close('}'));
        }
        throw Failure(FailureClass::source, "it is not clear where the rows of the answer are",
                      "The answer has the members " + names_in(top.text) + ".", "Set rows_path.");
    } catch (const JsonError& error) {
        throw no_json(whole, error);
    }
}

}  // namespace insync::rest
