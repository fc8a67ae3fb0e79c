// Rows and results; see table.hpp.
#include "tests/driver/table.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace misbehaving {

namespace {

constexpr std::int64_t endless = std::numeric_limits<std::int64_t>::max();

std::string name_by(const std::string& way, std::size_t index) {
    if (way == "long") return std::string(10000, 'n');
    if (way == "empty") return "";
    if (way == "duplicate") return index % 2 == 0 ? "total" : "TOTAL";
    if (way == "quotes") return "a\";'[]`--\\{}" + std::to_string(index);
    if (way == "nul") return std::string("a\0b", 3) + std::to_string(index);
    if (way == "invalid-utf8") return "\xff\xc3(" + std::to_string(index);
    return way;
}

std::vector<Column> table_columns(const Orders& orders) {
    std::vector<Column> columns{{"id", SQL_INTEGER, 10, 0},    {"nombre", SQL_VARCHAR, 40, 0},
                                {"total", SQL_DECIMAL, 10, 2}, {"peso", SQL_DOUBLE, 15, 0},
                                {"dia", SQL_TYPE_DATE, 10, 0}, {"hecho", SQL_TYPE_TIMESTAMP, 23, 3}};
    if (orders.is("columns")) {
        const auto count = static_cast<std::size_t>(std::max<std::int64_t>(orders.number(), 0));
        for (std::size_t i = columns.size(); i < count; i++)
            columns.push_back({"c" + std::to_string(i), SQL_BIT, 1, 0});
        columns.resize(count);
    }
    if (orders.is("name")) {
        for (std::size_t i = 1; i < columns.size(); i++) columns[i].name = name_by(orders.value, i);
    }
    if (orders.is("type")) columns[1].type = static_cast<SQLSMALLINT>(orders.number());
    if (orders.is("size")) columns[1].size = columns[2].size = std::strtoull(orders.value.c_str(), nullptr, 10);
    if (orders.is("digits")) columns[2].digits = columns[5].digits = static_cast<SQLSMALLINT>(orders.number());
    return columns;
}

std::string two_digits(std::int64_t number) {
    return (number < 10 ? "0" : "") + std::to_string(number);
}

Value table_value(const Orders& orders, std::int64_t row, std::size_t column) {
    std::int64_t id = row;
    if (orders.is("same-key")) id = 7;
    if (orders.is("unordered")) id = orders.rows + 1 - row;
    const bool damaged = row == damaged_row;
    const std::string day = "2025-01-" + two_digits(id % 28 + 1);
    switch (column) {
        case 0:
            return std::to_string(id);
        case 1:
            if (damaged && orders.is("text") && orders.value == "invalid-utf8") return "x\xff\xfe\xc3(";
            if (orders.is("dbms")) return std::to_string(id) + " \u8868";
            if (damaged && orders.is("text") && orders.value == "nul") return std::string("a\0b", 3);
            return "nombre " + std::to_string(id);
        case 2:
            if (damaged && orders.is("text") && orders.value == "number") return "12,3.4abc";
            return std::to_string(id) + ".25";
        case 3:
            return std::to_string(id) + ".5";
        case 4:
            return day;
        case 5:
            return day + " 10:00:00.123";
        default:
            return "1";
    }
}

// A catalog result: texts by column, one row or none.
Result list_of(std::size_t columns, std::vector<std::vector<Value>> rows) {
    Result result;
    result.columns.assign(columns, {"column", SQL_VARCHAR, 128, 0});
    result.last = static_cast<std::int64_t>(rows.size());
    result.value = [rows = std::move(rows)](std::int64_t row, std::size_t column) -> Value {
        const auto& cells = rows[static_cast<std::size_t>(row - 1)];
        return column < cells.size() ? cells[column] : Value();
    };
    return result;
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// What the connector asks SQL Server's catalog.
std::optional<Result> sqlserver_catalog(const std::string& sql) {
    if (contains(sql, "SYSDATETIME") || contains(sql, "SYSUTCDATETIME")) {
        return list_of(3, {{"2026-01-05 10:00:00.0000000", "2026-01-01 07", "2001"}});
    }
    if (contains(sql, "modify_date")) return list_of(1, {{"2026-01-01 07"}});
    if (contains(sql, "MIN_ACTIVE_ROWVERSION")) return list_of(1, {{"2001"}});
    if (contains(sql, "sys.databases")) return list_of(2, {{"1", "0"}});
    if (contains(sql, "sys.indexes")) return list_of(3, {{"pk", "1", "nombre"}});
    if (contains(sql, "sys.columns")) {
        return list_of(3, {{"id", "int", "0"},
                           {"nombre", "nvarchar(40)", "0"},
                           {"total", "decimal(10,2)", "1"},
                           {"peso", "float", "1"},
                           {"dia", "date", "1"},
                           {"hecho", "datetime", "0"}});
    }
    if (contains(sql, "sys.objects")) return list_of(4, {{"dbo", "ventas \u8868", "table", "10"}});
    return std::nullopt;
}

}  // namespace

Result run_statement(const Orders& orders, const std::string& sql, const std::string& first_parameter) {
    if (orders.is("dbms")) {
        if (std::optional<Result> known = sqlserver_catalog(sql)) return *std::move(known);
    }
    if (contains(sql, "MAX(")) return list_of(1, {{std::to_string(orders.rows)}});
    if (contains(sql, "COUNT(*)")) return list_of(1, {{"0"}});
    if (contains(sql, "GROUP BY")) return list_of(1, {});
    Result result;
    result.columns = table_columns(orders);
    result.value = [orders](std::int64_t row, std::size_t column) { return table_value(orders, row, column); };
    result.last = contains(sql, "WHERE 1 = 0") || contains(sql, "IS NULL") ? 0 : orders.rows;
    const std::int64_t bound = std::strtoll(first_parameter.c_str(), nullptr, 10);
    if (contains(sql, " > ?") || contains(sql, " > CAST(?")) {
        result.next = bound + 1;
    } else if (contains(sql, ">= ?")) {
        result.next = std::max<std::int64_t>(bound, 1);
    }
    if (result.last != 0 && (orders.is("same-key") || orders.is("endless"))) result.last = endless;
    if (orders.is("unordered") || orders.is("same-key")) result.next = 1;
    return result;
}

Result tables_result(const Orders& orders) {
    Result result = list_of(5, {{Value(), Value(), "ventas", "TABLE", Value()}});
    if (!orders.is("endless-catalog")) return result;
    result.last = endless;
    result.value = [](std::int64_t row, std::size_t column) -> Value {
        return column == 2 ? "table " + std::to_string(row) : column == 3 ? Value("TABLE") : Value();
    };
    return result;
}

Result columns_result(const Orders& orders) {
    std::vector<std::vector<Value>> rows;
    for (const Column& column : table_columns(orders)) {
        rows.push_back({Value(), Value(), "ventas", column.name, std::to_string(column.type), "", "40", Value(), "0",
                        Value(), column.name == "id" ? "0" : "1"});
    }
    return list_of(18, std::move(rows));
}

Result primary_keys_result() {
    return list_of(6, {{Value(), Value(), "ventas", "id", "1", "ventas_pkey"}});
}

Result statistics_result() {
    return list_of(13, {{Value(), Value(), "ventas", "0", Value(), "ventas_pkey", "3", "1", "id"}});
}

}  // namespace misbehaving
