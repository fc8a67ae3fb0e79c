// Takes an answer apart; see page.hpp. The rows are read on the way through the text, once; what is wanted of the rest
// is looked up after that, when the whole text is known to be JSON.
#include "bgworker/connector/rest/answer/page.hpp"

#include <algorithm>
#include <limits>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/json_failure.hpp"
#include "bgworker/connector/rest/answer/jsonb_text.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::rest {

namespace {

Failure twice(std::string_view member) {
    return {FailureClass::source,
            "member \"" + replaced_utf8(utf8_prefix(member, 100)) + "\" occurs twice in the answer"};
}

// The way down to the rows: at each level the object or array that is open.
struct Level {
    char close;
    std::string_view token;
};

// Goes into the value at the cursor and on to its member or element `token`; false if there is none, in which case it
// has passed the value. `open` becomes longer by the level that it left open.
bool enter(JsonCursor& cursor, std::string_view token, std::vector<Level>& open) {
    if (cursor.take('{')) {
        if (cursor.take('}')) return false;
        do {
            const bool is_it = stands_for(cursor.string(), token);
            cursor.expect(':');
            if (is_it) {
                open.push_back({'}', token});
                return true;
            }
            cursor.value();
        } while (cursor.next_or_close('}'));
    } else if (cursor.take('[')) {
        if (cursor.take(']')) return false;
        std::size_t number = 0;
        do {
            if (std::to_string(number++) == token) {
                open.push_back({']', token});
                return true;
            }
            cursor.value();
        } while (cursor.next_or_close(']'));
    } else {
        cursor.value();
    }
    return false;
}

// Goes through the object at the cursor, whose names are told without their escapes.
template <typename Use>
void read_members(JsonCursor& cursor, const Use& use) {
    std::string name_characters;
    cursor.take('{');
    if (cursor.take('}')) return;
    do {
        const JsonToken name = cursor.string();
        std::string_view characters = name.text;
        if (name.has_escapes) {
            name_characters = decoded(name);
            characters = name_characters;
        }
        cursor.expect(':');
        use(characters, cursor.value());
    } while (cursor.next_or_close('}'));
}

// Passes over the rest of an open object or array.
void leave(JsonCursor& cursor, const Level& level) {
    while (cursor.next_or_close(level.close)) {
        if (level.close == '}') {
            if (stands_for(cursor.string(), level.token)) throw twice(level.token);
            cursor.expect(':');
        }
        cursor.value();
    }
}

}  // namespace

Page::Page(std::string body, const PageShape& shape, Fields& fields, const std::vector<std::string>& wanted)
    : body_(std::move(body)), flatten_(shape.flatten), ignored_(shape.ignored) {
    if (body_.size() >= std::numeric_limits<std::uint32_t>::max()) {
        throw Failure(FailureClass::source, "the answer is larger than 4 GB");
    }
    if (shape.may_be_empty && body_.find_first_not_of(" \t\r\n") == std::string::npos) return;
    try {
        read(shape, fields, wanted);
    } catch (const JsonError& error) {
        throw no_json(body_, error);
    }
}

void Page::read(const PageShape& shape, Fields& fields, const std::vector<std::string>& wanted) {
    const std::size_t begin = body_.size() - without_mark(body_).size();
    JsonCursor cursor(body_, begin);
    const std::vector<std::string> path = pointer_tokens(shape.rows_path);
    std::vector<Level> open;
    const bool found =
        std::all_of(path.begin(), path.end(), [&](const std::string& token) { return enter(cursor, token, open); });
    cursor.peek();
    const std::size_t rows_begin = cursor.at();
    bool has_rows = false;
    std::string stands_there = "there is nothing";
    if (found) {
        has_rows = read_rows(cursor, shape, fields);
        if (!has_rows) stands_there = std::string(name_of(JsonCursor(body_, rows_begin).value().kind)) + " is there";
    }
    const std::size_t rows_end = cursor.at();
    rows_begin_ = rows_begin;
    rows_end_ = rows_end;
    for (; !open.empty(); open.pop_back()) leave(cursor, open.back());
    cursor.peek();
    if (cursor.at() != body_.size()) cursor.fail("unexpected text after the JSON");

    if (!has_rows) {
        missing_ = "there are no rows at rows_path \"" + shape.rows_path + "\" of the answer: " + stands_there;
        const std::string names = names_in(std::string_view(body_).substr(begin));
        if (!shape.rows_may_be_missing) {
            throw Failure(FailureClass::source, missing_,
                          names.empty() ? "" : "The answer has the members " + names + ".");
        }
    }
    for (const std::string& pointer : wanted) {
        JsonCursor walk(body_, begin);
        if (has_rows) walk.remember(rows_begin, rows_end);
        std::optional<JsonToken> token;
        const std::vector<std::string> tokens = pointer_tokens(pointer);
        if (tokens.empty()) token = walk.value();
        for (const std::string& step : tokens) {
            if (token) {
                walk = JsonCursor(body_, static_cast<std::size_t>(token->text.data() - body_.data()));
                if (has_rows) walk.remember(rows_begin, rows_end);
            }
            bool is_twice = false;
            const bool may_enter =
                !token || token->kind == JsonToken::Kind::object || token->kind == JsonToken::Kind::array;
            token = may_enter ? find_in(walk, step, &is_twice) : std::nullopt;
            if (is_twice) throw twice(step);
            if (!token) break;
        }
        if (token) envelope_.emplace(pointer, cell_of(*token, 0));
    }
}

bool Page::read_rows(JsonCursor& cursor, const PageShape& shape, Fields& fields) {
    const std::vector<std::string> row_path = pointer_tokens(shape.row_path);
    if (cursor.peek() == '{') {
        read_element(cursor, row_path, fields);
        return true;
    }
    if (cursor.peek() != '[') {
        cursor.value();
        return false;
    }
    cursor.take('[');
    if (cursor.take(']')) return true;
    bool has_row = false;
    do {
        has_row = read_element(cursor, row_path, fields) || has_row;
    } while (cursor.next_or_close(']'));
    if (!has_row) {
        const JsonToken first = JsonCursor(body_, rows_[0].begin).value();
        throw Failure(FailureClass::source,
                      "no element of the array at rows_path \"" + shape.rows_path + "\" is an object" +
                          (row_path.empty() ? "" : " with one at row_path \"" + shape.row_path + "\"") +
                          ": the first is " + std::string(name_of(first.kind)));
    }
    return true;
}

// False if it is something else than a row, or null in the place of one.
bool Page::read_element(JsonCursor& cursor, const std::vector<std::string>& row_path, Fields& fields) {
    cursor.peek();
    std::size_t begin = cursor.at();
    if (row_path.empty() && cursor.peek() == '{') {
        read_row(cursor, fields);
        return true;
    }
    const JsonToken element = cursor.value();
    bool found = true;
    const JsonToken token = row_path.empty() ? element : find(element, row_path, found);
    if (found) begin = static_cast<std::size_t>(token.text.data() - body_.data());
    if (found && token.kind == JsonToken::Kind::object) {
        JsonCursor row(body_, begin);
        read_row(row, fields);
        return true;
    }
    const std::size_t quotes = found && token.kind == JsonToken::Kind::string ? 1 : 0;
    const std::size_t end = found ? begin + token.text.size() + quotes : cursor.at();
    rows_.push_back({static_cast<std::uint32_t>(begin - quotes), static_cast<std::uint32_t>(end), cells_.size()});
    set_fault(found ? "the row is " + std::string(name_of(token.kind)) + ", not an object"
                    : "there is no row at row_path");
    return found && token.kind == JsonToken::Kind::null;
}

void Page::read_row(JsonCursor& cursor, Fields& fields) {
    const std::uint64_t number = fields.next_row();
    const std::size_t first_cell = cells_.size();
    rows_.push_back({static_cast<std::uint32_t>(cursor.at()), 0, first_cell});
    bool is_ordered = true;
    auto add = [&](std::size_t field, const JsonToken& token) {
        if (cells_.size() > first_cell && cells_.back().field >= field) is_ordered = false;
        cells_.push_back(cell_of(token, field));
    };
    std::size_t previous = Fields::none;
    auto add_deep = [&](const Fields::Member& member, const JsonToken& value) {
        for (const Fields::Deep& deep : member.deep) {
            bool is_there = false;
            const JsonToken inside = find(value, deep.tokens, is_there);
            if (is_there) add(deep.field, inside);
        }
    };
    auto take = [&](std::string_view characters, const JsonToken& value) {
        if (value.depth >= max_json_depth) {
            set_fault("member \"" + replaced_utf8(utf8_prefix(characters, 100)) + "\" is nested deeper than " +
                      std::to_string(max_json_depth - 1) + " levels");
            return;
        }
        const std::size_t found = fields.member(characters, fields.guess_after(previous));
        if (found == Fields::none) return;
        fields.guess_after(previous) = found;
        previous = found;
        Fields::Member& member = fields[found];
        if (member.row == number) {
            set_fault("member \"" + replaced_utf8(utf8_prefix(characters, 100)) + "\" occurs twice in the row");
            return;
        }
        member.row = number;
        for (std::size_t field : member.fields) add(field, value);
        add_deep(member, value);
    };
    // Of an object that is part of the row, its members are the row's.
    auto take_part = [&](std::string_view characters, const JsonToken& value) {
        const std::size_t known = fields.known_member(characters);
        if (known != Fields::none) add_deep(fields[known], value);
        JsonCursor part(body_, static_cast<std::size_t>(value.text.data() - body_.data()));
        read_members(part, take);
    };
    const bool is_plain = flatten_.empty() && ignored_.empty();
    read_members(cursor, [&](std::string_view characters, const JsonToken& value) {
        if (is_plain) return take(characters, value);
        if (value.kind == JsonToken::Kind::object && is_among(flatten_, characters))
            return take_part(characters, value);
        if (is_among(ignored_, characters) && fields.known_member(characters) == Fields::none) return;
        take(characters, value);
    });
    rows_.back().end = static_cast<std::uint32_t>(cursor.at());
    if (!is_ordered) {
        std::sort(cells_.begin() + static_cast<std::ptrdiff_t>(first_cell), cells_.end(),
                  [](const Cell& left, const Cell& right) { return left.field < right.field; });
    }
}

bool Page::is_among(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

void Page::set_fault(std::string_view text) {
    faults_.emplace(rows_.size() - 1, text);
}

JsonToken Page::find(const JsonToken& from, const std::vector<std::string>& tokens, bool& found) const {
    JsonToken token = from;
    for (const std::string& step : tokens) {
        found = false;
        if (token.kind != JsonToken::Kind::object && token.kind != JsonToken::Kind::array) return token;
        JsonCursor cursor(body_, static_cast<std::size_t>(token.text.data() - body_.data()));
        const std::optional<JsonToken> next = find_in(cursor, step);
        if (!next) return token;
        token = *next;
        found = true;
    }
    return token;
}

Page::Cell Page::cell_of(const JsonToken& token, std::size_t field) {
    static constexpr Value::Kind kinds[] = {Value::Kind::null,    Value::Kind::boolean, Value::Kind::integer,
                                            Value::Kind::decimal, Value::Kind::string,  Value::Kind::json,
                                            Value::Kind::json};
    Cell cell;
    cell.field = static_cast<std::uint32_t>(field);
    cell.kind = kinds[static_cast<std::size_t>(token.kind)];
    cell.is_decoded = token.has_escapes;
    if (token.has_escapes) {
        cell.begin = static_cast<std::uint32_t>(decoded_.size());
        append_decoded(decoded_, token.text);
        cell.length = static_cast<std::uint32_t>(decoded_.size()) - cell.begin;
    } else {
        cell.begin = static_cast<std::uint32_t>(token.text.data() - body_.data());
        cell.length = static_cast<std::uint32_t>(token.text.size());
    }
    return cell;
}

Value Page::value_of(const Cell& cell) const {
    const std::string& text = cell.is_decoded ? decoded_ : body_;
    return {cell.kind, std::string_view(text).substr(cell.begin, cell.length)};
}

Value Page::value(std::size_t row, std::size_t field) const {
    const std::size_t first = rows_[row].first_cell;
    const std::size_t end = row + 1 < rows_.size() ? rows_[row + 1].first_cell : cells_.size();
    // Rows that have all fields have each at its own number; a field can only stand further to the front than that.
    const std::size_t last = std::min(first + field + 1, end);
    if (last == first) return {};
    if (cells_[last - 1].field == field) return value_of(cells_[last - 1]);
    const auto begin = cells_.begin() + static_cast<std::ptrdiff_t>(first);
    const auto stop = cells_.begin() + static_cast<std::ptrdiff_t>(last);
    const auto found =
        std::lower_bound(begin, stop, field, [](const Cell& cell, std::size_t wanted) { return cell.field < wanted; });
    return found == stop || found->field != field ? Value{} : value_of(*found);
}

std::string_view Page::fault(std::size_t row) const {
    if (faults_.empty()) return {};
    const auto found = faults_.find(row);
    return found == faults_.end() ? std::string_view() : std::string_view(found->second);
}

std::string Page::record(std::size_t row) const {
    return storable_json(text(row));
}

Value Page::envelope(std::string_view pointer) const {
    const auto found = envelope_.find(pointer);
    return found == envelope_.end() ? Value{} : value_of(found->second);
}

}  // namespace insync::rest
