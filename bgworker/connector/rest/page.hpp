// One answer of a JSON API: rows and what stands around them.
//
// Numbers keep every digit, as their text is what is kept. Nothing here recurses, so depth can't hurt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace insync::rest {

// A value of a row: its kind and its text: a string's own characters, a number's digits as written, true or false, the
// JSON of an object or array.
struct Value {
    enum class Kind : unsigned char { absent, null, boolean, integer, decimal, string, json };
    Kind kind = Kind::absent;
    std::string_view text;
};

// Fields by number: the members of rows that were seen or declared. A declared field may stand deeper in the row, as
// its JSON pointer says; a member that isn't known gets the next number.
class Fields {
  public:
    // A member of the row.
    std::size_t add(std::string_view name);
    // A value at a JSON pointer (RFC 6901) in the row, under a name of its own.
    std::size_t add_pointer(std::string_view name, std::string_view pointer);
    std::size_t size() const { return names_.size(); }
    const std::string& name(std::size_t field) const { return names_[field]; }
    std::optional<std::size_t> find(std::string_view name) const;

  private:
    friend class Page;
    std::vector<std::string> names_;
    std::vector<std::string> pointers_;  // empty: the member of that name
    std::unordered_map<std::string, std::size_t> by_name_;
};

// Where the rows are: JSON pointers to the array of rows in the answer ("": the answer itself), and from an element of
// it to the row ("": the element itself; "/node" in GraphQL).
struct PageShape {
    std::string rows_path;
    std::string row_path;
};

class Page {
  public:
    // Parses an answer; members of rows that aren't in `fields` are added to it. Keeps `body`. Raises Failure (source):
    // no JSON (with the place, and what it begins with if it is a web page), invalid UTF-8, nothing at rows_path, an
    // element that is no object, a member that occurs twice around the rows. A null or missing array is an error unless
    // the path is allowed to be missing: it is said what stands in its place. Envelope values are those at the pointers
    // in `wanted`.
    Page(std::string body, const PageShape& shape, Fields& fields, const std::vector<std::string>& wanted);

    std::size_t rows() const { return row_starts_.size(); }
    // A row's value; absent where the row hasn't that field.
    Value value(std::size_t row, std::size_t field) const;
    // Why the row as a whole can't be used (a member occurs twice, deeper than can be stored); empty: it can.
    std::string_view fault(std::size_t row) const;
    // The row as JSON text.
    std::string record(std::size_t row) const;

    // The value at a wanted pointer; absent where there is none.
    Value envelope(std::string_view pointer) const;

  private:
    // (to be decided by the implementation)
    std::string body_;
    std::vector<std::size_t> row_starts_;
};

// Where the rows of an answer are, for sources that nobody described: "" for an array, else the pointer to the one
// array of objects at the top (or, where there are several, the one called items, data, value, results, records or
// rows; or one level deeper). Raises Failure (source) where there is none, telling which members there are.
std::string find_rows_path(std::string_view body);

}  // namespace insync::rest
