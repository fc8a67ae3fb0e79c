// The one table that the driver serves, and the results of statements and catalog functions about it.
//
//   ventas (id INTEGER PRIMARY KEY, nombre VARCHAR(40), total DECIMAL(10,2), peso DOUBLE, dia DATE, hecho TIMESTAMP)
//
// Its rows are computed from their number, 1 to ROWS. Of a statement only what the connector sends is understood: no
// rows for WHERE 1 = 0 and for conditions that no row meets, MAX(id), and pages behind a key.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sql.h>
#include <sqlext.h>

#include "tests/driver/misbehaviour.hpp"

namespace misbehaving {

struct Column {
    std::string name;
    SQLSMALLINT type = SQL_VARCHAR;
    SQLULEN size = 40;
    SQLSMALLINT digits = 0;
};

using Value = std::optional<std::string>;  // as text; nothing: NULL

struct Result {
    std::vector<Column> columns;
    std::int64_t next = 1, last = 0;  // numbers of the rows to come
    std::function<Value(std::int64_t row, std::size_t column)> value;
};

// The row in which results are damaged.
inline constexpr std::int64_t damaged_row = 3;

// `first_parameter`: the text that is bound to the first marker, if there is one.
Result run_statement(const Orders& orders, const std::string& sql, const std::string& first_parameter);

Result tables_result(const Orders& orders);
Result columns_result(const Orders& orders);
Result primary_keys_result();
Result statistics_result();

}  // namespace misbehaving
