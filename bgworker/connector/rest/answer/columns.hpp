// Columns of a JSON source: discovered with their types from rows, declared by option, and written to frames.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/connector/rest/answer/page.hpp"
#include "bgworker/connector/values/column.hpp"
#include "bgworker/connector/values/declared_type.hpp"
#include "bgworker/connector/values/row_encoder.hpp"

namespace insync::rest {

struct RestColumn : Column {
    std::size_t field = 0;
    bool is_declared = false;  // by option, or by the stream's columns as they are known
    bool is_typed = false;     // its type is declared as well, so that nothing is to be discovered
};

// A column declared by option fields: name and "type", "/pointer", or "type /pointer". Raises Failure (config) for a
// type that isn't one of the transport types or a common name of one (integer, bigint, numeric(12,2), varchar,
// timestamp, timestamptz, date, boolean, json…) or a type that PostgreSQL makes of its text (interval, inet, xml…).
RestColumn declared_column(const std::string& name, const std::string& declaration, Fields& fields);

// What is seen of each field over the pages of a discovery. Types widen: integer to numeric to text; dates, times and
// uuids are recognised by their form as long as every value has it; objects and arrays are jsonb; mixtures are text, or
// jsonb where one of them is an object or array; a field that was always null is text.
class TypeGuess {
  public:
    void add(const Value& value);
    Transport transport() const;
    std::string pg_type() const;
    // The kinds of JSON values that were seen, such as number or "string, object".
    std::string source_type() const;
    bool nullable() const { return has_null_; }
    bool has_values() const { return forms_ != 0; }

  private:
    unsigned forms_ = 0;  // one bit for each form that a value had
    bool has_null_ = false;
};

// Gives the column the type that was guessed.
void take_guess(RestColumn& column, const TypeGuess& guess);

// A JSON number as a column of that type takes it: 5.00 is the integer 5; 5.5 and 5e0 stay what they are.
std::string_view number_in(Transport type, std::string_view number);

// Appends one field to the row under construction; null for an absent or null value. What the transport type can't hold
// without a loss is a fault: a fraction in an integer, a time of day in a date, any number in a date or time (it isn't
// guessed what it counts). A text in a jsonb column is a JSON string.
Fault encode_value(FrameWriter& out, const RestColumn& column, const Value& value, const EncodeOptions& options,
                   std::size_t max_value_bytes);

}  // namespace insync::rest
