// One answer of a JSON API: rows and what stands around them.
//
// Numbers keep every digit, as their text is what is kept. Nothing here recurses, so depth can't hurt. Values are
// places in the answer's own bytes, without an allocation for each.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bgworker/connector/rest/answer/fields.hpp"
#include "bgworker/connector/rest/answer/json_scanner.hpp"
#include "bgworker/connector/rest/answer/jsonb_text.hpp"

namespace insync::rest {

// A value of a row: its kind and its text: a string's own characters, a number's digits as written, true or false, the
// JSON of an object or array. A string can be anything but valid UTF-8, and hold zero bytes; encode_value() sees to it.
struct Value {
    enum class Kind : unsigned char { absent, null, boolean, integer, decimal, string, json };
    Kind kind = Kind::absent;
    std::string_view text;
};

// Where the rows are: JSON pointers to the array of rows in the answer ("": the answer itself), and from an element of
// it to the row ("": the element itself; "/node" in GraphQL). One object in place of the array is one row.
struct PageShape {
    std::string rows_path;
    std::string row_path;
    std::vector<std::string> flatten;  // members of the row whose own members are the row's, where they are objects
    std::vector<std::string> ignored;  // members that are no fields, unless they are declared
    bool may_be_empty = false;         // an answer without a body (204) has no rows; otherwise it is an error
    bool rows_may_be_missing = false;  // null or nothing at rows_path is no error, but said by missing()
};

class Page {
  public:
    // Parses an answer; members of rows that aren't in `fields` are added to it. Keeps `body`. Raises Failure (source):
    // no JSON (with the place, and what it begins with if it is a web page), nothing at rows_path (it is said what
    // stands in its place), no element that is an object, a member on the way to the rows or to a wanted value that
    // occurs twice. Envelope values are those at the pointers in `wanted`, where find_in()'s name=value can be used.
    Page(std::string body, const PageShape& shape, Fields& fields, const std::vector<std::string>& wanted);

    std::size_t rows() const { return rows_.size(); }
    // A row's value; absent where the row hasn't that field. Valid as long as the page is neither moved nor destroyed.
    Value value(std::size_t row, std::size_t field) const;
    // Why the row as a whole can't be used (it is no object, a member occurs twice, it is deeper than can be stored);
    // empty: it can.
    std::string_view fault(std::size_t row) const;
    // The row's bytes as the source sent them.
    std::string_view text(std::size_t row) const {
        return std::string_view(body_).substr(rows_[row].begin, rows_[row].end - rows_[row].begin);
    }
    // The row as JSON text that jsonb can hold, whatever the source sent.
    std::string record(std::size_t row) const;
    // Those members of the row that `is_taken` doesn't say true for, by the name that they have in the row, as such
    // JSON text; empty where there are none.
    template <typename IsTaken>
    std::string others(std::size_t row, const IsTaken& is_taken) const {
        std::string out;
        for_each_member(row, [&](const JsonToken& name, const JsonToken& value) {
            const std::string plain = decoded(name);
            if (is_taken(plain) || is_among(ignored_, plain)) return;
            out += out.empty() ? "{\"" : ",\"";
            out.append(name.text).append("\":");
            const bool is_string = value.kind == JsonToken::Kind::string;
            if (is_string) out += '"';
            out += value.text;
            if (is_string) out += '"';
        });
        return out.empty() ? out : storable_json(out + "}");
    }

    // The value at a wanted pointer; absent where there is none.
    Value envelope(std::string_view pointer) const;

    // A value around the rows; of an object that it is one, of an array nothing.
    struct Around {
        std::string pointer;       // /links/rel=next/href for what stands in a list of links
        std::string name, parent;  // its own and that of the object that it is in; empty at the top
        Value::Kind kind;
        std::string text;
        bool is_next_link;  // the target of the next page in a list of links
    };
    // All of them, as far as they stand at most five levels deep; of lists only those of links.
    std::vector<Around> around() const;

    // Why there are no rows, where PageShape::rows_may_be_missing made that no error; otherwise empty.
    const std::string& missing() const { return missing_; }

  private:
    struct Cell {
        std::uint32_t field;
        std::uint32_t begin, length;
        Value::Kind kind;
        bool is_decoded;  // the text is in decoded_, not in body_
    };
    struct Row {
        std::uint32_t begin, end;  // in body_
        std::size_t first_cell;    // the cells up to the next row's, ordered by field
    };

    void read(const PageShape& shape, Fields& fields, const std::vector<std::string>& wanted);
    bool read_rows(JsonCursor& cursor, const PageShape& shape, Fields& fields);
    bool read_element(JsonCursor& cursor, const std::vector<std::string>& row_path, Fields& fields);
    void read_row(JsonCursor& cursor, Fields& fields);
    void set_fault(std::string_view text);
    Cell cell_of(const JsonToken& token, std::size_t field);
    Value value_of(const Cell& cell) const;
    JsonToken find(const JsonToken& from, const std::vector<std::string>& tokens, bool& found) const;
    static bool is_among(const std::vector<std::string>& names, std::string_view name);
    template <typename Use>
    void for_each_member(std::size_t row, const Use& use) const {
        for_each_member(text(row), true, use);
    }
    template <typename Use>
    void for_each_member(std::string_view object, bool flattens, const Use& use) const {
        JsonCursor cursor(object);
        if (!cursor.take('{') || cursor.take('}')) return;
        do {
            const JsonToken name = cursor.string();
            cursor.expect(':');
            const JsonToken value = cursor.value();
            if (flattens && value.kind == JsonToken::Kind::object && is_among(flatten_, decoded(name))) {
                for_each_member(value.text, false, use);
            } else {
                use(name, value);
            }
        } while (cursor.next_or_close('}'));
    }

    void look_around(JsonCursor& cursor, const std::string& pointer, const std::string& name, const std::string& parent,
                     int depth, std::vector<Around>& found) const;
    void look_at_links(std::string_view list, const std::string& pointer, std::vector<Around>& found) const;

    std::size_t rows_begin_ = 0, rows_end_ = 0;  // of the array of rows, in body_
    std::string body_;
    std::string decoded_;  // strings with escapes, without them
    std::vector<Cell> cells_;
    std::vector<Row> rows_;
    std::map<std::size_t, std::string> faults_;
    std::map<std::string, Cell, std::less<>> envelope_;
    std::string missing_;
    std::vector<std::string> flatten_, ignored_;
};

// Where the rows of an answer are, for sources that nobody described: "" for an array, else the pointer to the one
// array of objects at the top (or, where there are several, the one called items, data, value, results, records or
// rows; or one level deeper). Raises Failure (source) where there is none, telling which members there are.
std::string find_rows_path(std::string_view body);

}  // namespace insync::rest
