// Which transport type each ODBC column takes, how its values are selected and fetched, and how a literal of it is
// written as a parameter. docs/TYPES.md shows the same as a table. Text and numbers only, no driver.
//
// The engine's own type name decides where it is known (catalog, driver); the ODBC type decides otherwise. Values that
// a driver would round or cut are selected as text that the engine makes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <sql.h>
#include <sqlext.h>

#include "bgworker/connector/odbc/sql/dialect.hpp"
#include "bgworker/connector/values/column.hpp"

namespace insync::odbc {

// A result column as the driver describes it.
struct ResultColumn {
    std::string name;
    SQLSMALLINT sql_type = SQL_VARCHAR;
    std::size_t size = 0;  // characters, or 0 where unbounded or unknown
    int digits = 0;
    bool nullable = true;
    bool is_unsigned = false;
    std::string type_name;
};

// In which form the driver hands over a column's values.
enum class Fetch {
    int64,
    float64,
    text,
    marked_text,  // SQLite: text, or marked_prefix and hexadecimal digits of bytes that the driver would damage
    hex,          // bytes as hexadecimal digits, with or without 0x
    binary,
    date,        // SQL_DATE_STRUCT
    timestamp,   // SQL_TIMESTAMP_STRUCT
    datetime,    // the same, of SQL Server's datetime: some drivers have more digits of its 1/300 seconds than it shows
    rowversion,  // its eight bytes as a number
};

// Stands in front of values that were sent as hexadecimal digits because the driver ends texts at a zero byte.
inline constexpr std::string_view marked_prefix = "\x01insync:";

// SQLite compares by the column's affinity; `none` means that a bound text stays a text.
enum class Affinity { none, text, numeric };

struct SourceColumn : Column {
    Fetch fetch = Fetch::text;
    std::size_t bind_bytes = 256;  // first size of the fetch buffer; grows when a value is longer
    int fraction_digits = 6;       // of a literal made from a SQL_TIMESTAMP_STRUCT
    std::string select;            // how the column is selected, '@' standing for its reference; empty: as it is
    std::string parameter = "?";   // how a literal of this column is written in a condition
    // Of a key column, where its pages need more than the above (key_order.hpp). '@' stands for its reference.
    std::string page_order;      // what pages are ordered by and compared with
    std::string page_select;     // what a position keeps of a value
    std::string page_parameter;  // how that is written in a condition
    std::string no_order;        // why the column can't be a key: a sentence
    Affinity affinity = Affinity::none;
    bool is_rowversion = false;
    bool is_padded = false;  // to its length with blanks, which mean nothing; they are left out
    bool is_key = false;     // its values tell rows apart: none is changed
};

// The column's transport type and handling. `declared_type` is the engine's full type name from its catalog, empty
// where it isn't known (a query's column).
SourceColumn resolve_column(Dialect dialect, const ResultColumn& column, const std::string& declared_type);

// `expression` with `reference` in place of each '@'.
std::string replace_marks(std::string_view expression, std::string_view reference);

// The expression that selects `column` when `reference` names it.
std::string select_expression(const SourceColumn& column, std::string_view reference);

// A type name taken apart: "decimal(10, 2) unsigned" is {"decimal", 10, 2, true}.
struct TypeName {
    std::string base;  // lower case, without arguments
    int first = -1;    // -1 where not given
    int second = -1;
    bool is_unsigned = false;
    bool is_array = false;
};
TypeName parse_type_name(std::string_view text);

// numeric, or numeric(p,s) where the precision is known.
std::string numeric_type(int precision, int scale);

// One function an engine; each fills the members of SourceColumn.
void resolve_sqlite(SourceColumn& column, const TypeName& type);
void resolve_mysql(SourceColumn& column, const TypeName& type, const ResultColumn& result);
void resolve_postgresql(SourceColumn& column, const TypeName& type);
void resolve_sqlserver(SourceColumn& column, const TypeName& type, const ResultColumn& result);
void resolve_oracle(SourceColumn& column, const TypeName& type, const ResultColumn& result);
void resolve_generic(SourceColumn& column, const ResultColumn& result);

// A rowversion, selected as a number, as the literal that positions hold: 0x and 16 hexadecimal digits; and back.
std::string rowversion_literal(const std::string& number);
std::string rowversion_number(const std::string& literal);

// A literal as the column's parameter takes it.
std::string parameter_text(const SourceColumn& column, const std::string& literal);

// A watermark as the statement selects it (read_plan.hpp), as a literal.
std::string watermark_literal(const SourceColumn& column, const std::string& value);

// Sets type, pg_type and fetch together.
void set_type(SourceColumn& column, Transport type, std::string pg_type, Fetch fetch);

}  // namespace insync::odbc
