// What stands around the rows of an answer; see page.hpp.
#include "bgworker/connector/rest/answer/json_failure.hpp"
#include "bgworker/connector/rest/answer/page.hpp"

namespace insync::rest {

namespace {

constexpr int deepest = 5;
constexpr std::size_t most_values = 500, most_links = 20;

std::string below(const std::string& pointer, std::string_view name) {
    std::string out = pointer + "/";
    for (char c : name) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return out;
}

bool is_link_member(std::string_view name) {
    return name == "href" || name == "url" || name == "uri" || name == "link";
}

}  // namespace

std::vector<Page::Around> Page::around() const {
    std::vector<Around> found;
    const std::size_t begin = body_.size() - without_mark(body_).size();
    JsonCursor cursor(body_, begin);
    // The whole answer was read before, so that it is JSON.
    if (cursor.peek() == '{' && cursor.at() != rows_begin_) look_around(cursor, "", "", "", 1, found);
    return found;
}

void Page::look_around(JsonCursor& cursor, const std::string& pointer, const std::string& name,
                       const std::string& parent, int depth, std::vector<Around>& found) const {
    static constexpr Value::Kind kinds[] = {Value::Kind::null,    Value::Kind::boolean, Value::Kind::integer,
                                            Value::Kind::decimal, Value::Kind::string,  Value::Kind::json,
                                            Value::Kind::json};
    const char first = cursor.peek();
    const bool is_rows = cursor.at() == rows_begin_ && rows_end_ > rows_begin_;
    if (first == '{' && depth <= deepest && !is_rows) {
        cursor.take('{');
        if (cursor.take('}')) return;
        if (depth > 1) found.push_back({pointer, name, parent, Value::Kind::json, "{...}", false});
        do {
            const std::string member = decoded(cursor.string());
            cursor.expect(':');
            look_around(cursor, below(pointer, member), member, name, depth + 1, found);
        } while (cursor.next_or_close('}'));
        return;
    }
    if (is_rows) cursor.remember(rows_begin_, rows_end_);
    const JsonToken token = cursor.value();
    if (is_rows || found.size() >= most_values) return;
    if (token.kind == JsonToken::Kind::array) return look_at_links(token.text, pointer, found);
    if (token.kind == JsonToken::Kind::object) return;
    found.push_back({pointer, name, parent, kinds[static_cast<std::size_t>(token.kind)],
                     token.kind == JsonToken::Kind::string ? decoded(token) : std::string(token.text), false});
}

// [{"rel": "next", "href": "..."}, ...]
void Page::look_at_links(std::string_view list, const std::string& pointer, std::vector<Around>& found) const {
    JsonCursor cursor(list);
    cursor.take('[');
    if (cursor.peek() != '{') return;
    std::size_t links = 0;
    do {
        if (cursor.peek() != '{') return;
        JsonCursor link(cursor.value().text);
        link.take('{');
        if (link.take('}')) continue;
        std::string target, member_name;
        bool is_next = false;
        do {
            const std::string member = decoded(link.string());
            link.expect(':');
            const JsonToken value = link.value();
            if (value.kind != JsonToken::Kind::string) continue;
            if (member == "rel") is_next = decoded(value) == "next";
            if (is_link_member(member) && target.empty()) {
                target = decoded(value);
                member_name = member;
            }
        } while (link.next_or_close('}'));
        if (is_next && !target.empty()) {
            found.push_back(
                {pointer + "/rel=next/" + member_name, member_name, "next", Value::Kind::string, target, true});
        }
    } while (++links < most_links && cursor.next_or_close(']'));
}

}  // namespace insync::rest
