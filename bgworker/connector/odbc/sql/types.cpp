// Common parts of the type tables, and the generic one; see types.hpp.
#include "bgworker/connector/odbc/sql/types.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

namespace insync::odbc {

namespace {

// Types without a size of their own are given room for their longest text.
std::size_t first_buffer_size(const SourceColumn& column, const ResultColumn& result) {
    constexpr std::size_t longest_first = 512;
    if (column.fetch == Fetch::int64 || column.fetch == Fetch::float64) return 8;
    if (column.fetch == Fetch::date) return sizeof(SQL_DATE_STRUCT);
    if (column.fetch == Fetch::timestamp || column.fetch == Fetch::datetime) return sizeof(SQL_TIMESTAMP_STRUCT);
    if (column.fetch == Fetch::rowversion) return 8;
    switch (column.type) {
        case Transport::numeric:
            return std::clamp<std::size_t>(result.size + 4, 48, longest_first);
        case Transport::text:
        case Transport::jsonb:
        case Transport::bytea:
            break;
        default:
            return 48;  // dates, times, uuids and numbers as text
    }
    if (result.size == 0) return 256;
    const std::size_t unit = column.fetch == Fetch::binary ? 1 : column.fetch == Fetch::hex ? 2 : 4;
    if (result.size > longest_first) return longest_first;
    return std::clamp<std::size_t>(result.size * unit + 4, 16, longest_first);
}

}  // namespace

void set_type(SourceColumn& column, Transport type, std::string pg_type, Fetch fetch) {
    column.type = type;
    column.pg_type = std::move(pg_type);
    column.fetch = fetch;
}

std::string rowversion_literal(const std::string& number) {
    char text[20];
    std::snprintf(text, sizeof text, "0x%016llX",
                  static_cast<unsigned long long>(std::strtoll(number.c_str(), nullptr, 10)));
    return text;
}

std::string rowversion_number(const std::string& literal) {
    // What isn't written that way isn't one; the source says so.
    if (!literal.starts_with("0x")) return literal;
    return std::to_string(static_cast<long long>(std::strtoull(literal.c_str(), nullptr, 16)));
}

std::string parameter_text(const SourceColumn& column, const std::string& literal) {
    return column.is_rowversion ? rowversion_number(literal) : literal;
}

std::string watermark_literal(const SourceColumn& column, const std::string& value) {
    return column.is_rowversion ? rowversion_literal(value) : value;
}

std::string numeric_type(int precision, int scale) {
    if (precision <= 0 || precision > 1000 || scale > 1000) return "numeric";
    return "numeric(" + std::to_string(precision) + "," + std::to_string(std::max(scale, 0)) + ")";
}

TypeName parse_type_name(std::string_view text) {
    TypeName type;
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    const std::size_t open = lower.find('(');
    std::string rest = lower;
    if (open != std::string::npos) {
        const std::size_t close = lower.find(')', open);
        const std::string arguments = lower.substr(open + 1, close == std::string::npos ? close : close - open - 1);
        int* number = &type.first;
        for (std::size_t i = 0; i < arguments.size() && number != nullptr; i++) {
            if (std::isdigit(static_cast<unsigned char>(arguments[i]))) {
                *number = std::min(std::max(*number, 0) * 10 + (arguments[i] - '0'), 100000000);
            } else if (arguments[i] == ',') {
                number = number == &type.first ? &type.second : nullptr;
            }
        }
        rest = lower.substr(0, open) + (close == std::string::npos ? "" : lower.substr(close + 1));
    }
    auto remove_word = [&](std::string_view word) {
        const std::size_t at = rest.find(word);
        if (at == std::string::npos) return false;
        rest.erase(at, word.size());
        return true;
    };
    type.is_array = remove_word("[]");
    type.is_unsigned = remove_word(" unsigned");
    remove_word(" zerofill");
    while (!rest.empty() && rest.back() == ' ') rest.pop_back();
    while (!rest.empty() && rest.front() == ' ') rest.erase(0, 1);
    type.base = rest;
    return type;
}

SourceColumn resolve_column(Dialect dialect, const ResultColumn& result, const std::string& declared_type) {
    SourceColumn column;
    column.name = result.name;
    column.nullable = result.nullable;
    column.source_type = declared_type.empty() ? result.type_name : declared_type;
    TypeName type = parse_type_name(column.source_type);
    type.is_unsigned = type.is_unsigned || (declared_type.empty() && result.is_unsigned);
    switch (dialect) {
        case Dialect::sqlite:
            resolve_sqlite(column, type);
            break;
        case Dialect::mysql:
            resolve_mysql(column, type, result);
            break;
        case Dialect::postgresql:
            resolve_postgresql(column, type);
            break;
        case Dialect::sqlserver:
            resolve_sqlserver(column, type, result);
            break;
        case Dialect::oracle:
            resolve_oracle(column, type, result);
            break;
        case Dialect::generic:
            resolve_generic(column, result);
            break;
    }
    column.bind_bytes = first_buffer_size(column, result);
    return column;
}

std::string replace_marks(std::string_view expression, std::string_view reference) {
    std::string text;
    for (char c : expression) {
        if (c == '@') {
            text += reference;
        } else {
            text += c;
        }
    }
    return text;
}

std::string select_expression(const SourceColumn& column, std::string_view reference) {
    return replace_marks(column.select.empty() ? "@" : std::string_view(column.select), reference);
}

void resolve_generic(SourceColumn& column, const ResultColumn& result) {
    const int size = static_cast<int>(std::min<std::size_t>(result.size, 1000000));
    switch (result.sql_type) {
        case SQL_BIT:
            return set_type(column, Transport::boolean, "boolean", Fetch::int64);
        case SQL_TINYINT:
            return set_type(column, Transport::int2, "smallint", Fetch::int64);
        case SQL_SMALLINT:
            if (result.is_unsigned) return set_type(column, Transport::int4, "integer", Fetch::int64);
            return set_type(column, Transport::int2, "smallint", Fetch::int64);
        case SQL_INTEGER:
            if (result.is_unsigned) return set_type(column, Transport::int8, "bigint", Fetch::int64);
            return set_type(column, Transport::int4, "integer", Fetch::int64);
        case SQL_BIGINT:
            if (result.is_unsigned) return set_type(column, Transport::numeric, "numeric(20,0)", Fetch::text);
            return set_type(column, Transport::int8, "bigint", Fetch::int64);
        case SQL_REAL:
            return set_type(column, Transport::float4, "real", Fetch::float64);
        case SQL_FLOAT:
        case SQL_DOUBLE:
            return set_type(column, Transport::float8, "double precision", Fetch::float64);
        case SQL_DECIMAL:
        case SQL_NUMERIC:
            column.parameter = "CAST(? AS DECIMAL(" + std::to_string(std::clamp(size, 1, 38)) + "," +
                               std::to_string(std::max(result.digits, 0)) + "))";
            return set_type(column, Transport::numeric, numeric_type(size, result.digits), Fetch::text);
        case SQL_DATE:
        case SQL_TYPE_DATE:
            column.parameter = "CAST(? AS DATE)";
            return set_type(column, Transport::date, "date", Fetch::date);
        case SQL_TIME:
        case SQL_TYPE_TIME:
            column.parameter = "CAST(? AS TIME)";
            return set_type(column, Transport::time, "time", Fetch::text);
        case SQL_TIMESTAMP:
        case SQL_TYPE_TIMESTAMP:
            column.parameter = "CAST(? AS TIMESTAMP)";
            column.fraction_digits = std::clamp(result.digits, 0, 9);
            return set_type(column, Transport::timestamp, "timestamp", Fetch::timestamp);
        case SQL_BINARY:
        case SQL_VARBINARY:
        case SQL_LONGVARBINARY:
            return set_type(column, Transport::bytea, "bytea", Fetch::binary);
        case SQL_GUID:
            return set_type(column, Transport::uuid, "uuid", Fetch::text);
        case SQL_CHAR:
        case SQL_WCHAR:
            column.is_padded = true;
            return set_type(column, Transport::text, "text", Fetch::text);
        default:
            return set_type(column, Transport::text, "text", Fetch::text);
    }
}

}  // namespace insync::odbc
