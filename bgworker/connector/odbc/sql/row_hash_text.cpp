// Expressions of hashes; see row_hash_text.hpp.
#include "bgworker/connector/odbc/sql/row_hash_text.hpp"

#include <algorithm>

#include "bgworker/connector/output/failure.hpp"

namespace insync::odbc {

namespace {

using Kind = ValueFormat::Kind;

// ------------------------------------------------------------------------------------------------------ MySQL, MariaDB

std::string mysql_text(const HashedColumn& hashed) {
    const std::string& c = hashed.reference;
    const SourceColumn& column = hashed.column;
    const TypeName type = parse_type_name(column.source_type);
    auto or_null = [&](const std::string& text) { return column.nullable ? "IFNULL(" + text + ", 'N')" : text; };
    // What has a zero month or day isn't a number of days, and arrives as NULL.
    auto unless_zero = [&](const std::string& text) {
        return hashed.as_stored ? or_null(text) : "IF(TO_DAYS(" + c + "), " + text + ", 'N')";
    };
    switch (hashed.format.kind) {
        case Kind::integer:
        case Kind::numeric: {
            // Their own text has zeros in front.
            const bool padded = type.base == "year" || column.source_type.find("zerofill") != std::string::npos;
            return or_null(padded ? c + " + 0" : c);
        }
        case Kind::boolean:
            return or_null("CAST(" + c + " AS UNSIGNED)");
        case Kind::date:
            return unless_zero(c);
        case Kind::time:
            return or_null("CAST(" + c + " AS TIME(6))");
        case Kind::timestamp:
        case Kind::timestamptz:
            return unless_zero(type.first == 6 ? c : "CAST(" + c + " AS DATETIME(6))");
        case Kind::bytes:
            return or_null(type.base == "bit" ? "HEX(CAST(" + c + " AS BINARY))" : "HEX(" + c + ")");
        case Kind::uuid:
            return or_null("CAST(" + c + " AS CHAR)");
        default:
            break;
    }
    // CONCAT_WS leaves a NULL out.
    return or_null("CHAR_LENGTH(" + c + ")") + ", " + (hashed.is_utf8 ? c : "CONVERT(" + c + " USING utf8mb4)");
}

// ---------------------------------------------------------------------------------------------------------- PostgreSQL

std::string postgresql_text(const HashedColumn& hashed) {
    const std::string& c = hashed.reference;
    auto or_null = [&](const std::string& text) {
        return hashed.column.nullable ? "COALESCE(CAST(" + text + " AS text), 'N')" : text;
    };
    const bool is_money = hashed.column.source_type == "money";
    switch (hashed.format.kind) {
        case Kind::integer:
        case Kind::date:
        case Kind::time:
        case Kind::timestamp:
        case Kind::uuid:
            return or_null(c);
        case Kind::numeric:
            if (hashed.format.digits >= 0) return or_null(c);
            return or_null("trim_scale(" + (is_money ? "CAST(" + c + " AS numeric)" : c) + ")");
        case Kind::boolean:
            return or_null("CAST(" + c + " AS integer)");
        case Kind::timestamptz:
            return or_null("timezone('UTC', " + c + ")");
        case Kind::bytes:
            return or_null("upper(encode(" + c + ", 'hex'))");
        default:
            break;
    }
    return or_null("char_length(" + c + ")") + ", CAST(" + c + " AS text)";
}

// ---------------------------------------------------------------------------------------------------------- SQL Server

std::string sqlserver_text(const HashedColumn& hashed) {
    const std::string& c = hashed.reference;
    const std::string base = parse_type_name(hashed.column.source_type).base;
    auto convert = [](const char* type, const std::string& value, const char* style = nullptr) {
        return std::string("CONVERT(") + type + ", " + value + (style ? std::string(", ") + style : "") + ")";
    };
    auto or_null = [&](const std::string& text) {
        return hashed.column.nullable ? "COALESCE(" + text + ", 'N')" : text;
    };
    // Seven digits are cut to six, as where they arrive.
    auto exact_time = [&](const std::string& value) {
        return "LEFT(" + convert("varchar(27)", convert("datetime2(7)", value), "121") + ", 26)";
    };
    switch (hashed.format.kind) {
        case Kind::integer:
            return or_null(convert("varchar(20)", c));
        case Kind::numeric:
            return or_null(
                convert("varchar(41)", hashed.column.select.empty() ? c : select_expression(hashed.column, c)));
        case Kind::boolean:
            return or_null(convert("varchar(1)", c));
        case Kind::date:
            return or_null(convert("varchar(10)", c, "23"));
        case Kind::time:
            return or_null("LEFT(" + convert("varchar(16)", convert("time(7)", c), "121") + ", 15)");
        case Kind::timestamp:
            if (base == "datetime2") return or_null(exact_time(c));
            // Its thousandths are rounded; as a finer type it would show what they stand for.
            return or_null(convert("varchar(23)", c, "121") + " + '000'");
        case Kind::timestamptz:
            return or_null(exact_time("SWITCHOFFSET(" + c + ", '+00:00')"));
        case Kind::bytes:
            return or_null(convert("varchar(max)", convert("varbinary(max)", c), "2"));
        case Kind::uuid:
            return or_null("LOWER(" + convert("varchar(36)", c) + ")");
        default:
            break;
    }
    // Columns of several collations can't be joined as they are.
    std::string text = convert("nvarchar(max)", c) + " COLLATE DATABASE_DEFAULT";
    if (hashed.format.kind == Kind::padded) text = "RTRIM(" + text + ")";
    // LEN() would leave out blanks at the end.
    return or_null(convert("varchar(20)", "DATALENGTH(" + text + ") / 2") + " + '|' + " + text);
}

// -------------------------------------------------------------------------------------------------------------- Oracle

std::string oracle_text(const HashedColumn& hashed) {
    const std::string& c = hashed.reference;
    auto or_null = [&](const std::string& text) { return "NVL(" + text + ", 'N')"; };
    auto six_digits = [&](const std::string& time) {
        return "SUBSTR(TO_CHAR(" + time + ", 'YYYY-MM-DD HH24:MI:SS.FF9'), 1, 26)";
    };
    switch (hashed.format.kind) {
        case Kind::integer:
            return or_null("TO_CHAR(" + c + ", 'TM9')");
        case Kind::numeric: {
            const int digits = hashed.format.digits;
            if (digits >= 0) {
                const std::string fraction = digits > 0 ? "." + std::string(static_cast<std::size_t>(digits), '0') : "";
                return or_null("TO_CHAR(" + c + ", 'FM" + std::string(38, '9') + "0" + fraction + "')");
            }
            // TM9 leaves the zero in front of the point out.
            return "CASE WHEN " + c + " IS NULL THEN 'N' ELSE CASE WHEN " + c + " < 0 THEN '-' END || CASE WHEN ABS(" +
                   c + ") < 1 AND " + c + " <> 0 THEN '0' END || TO_CHAR(ABS(" + c + "), 'TM9') END";
        }
        case Kind::timestamp:
            if (parse_type_name(hashed.column.source_type).base == "date") {
                return or_null("TO_CHAR(" + c + ", 'YYYY-MM-DD HH24:MI:SS') || NVL2(" + c + ", '.000000', NULL)");
            }
            return or_null(six_digits(c));
        case Kind::timestamptz:
            return or_null(six_digits("SYS_EXTRACT_UTC(" + c + ")"));
        case Kind::bytes:
            return or_null("RAWTOHEX(" + c + ")");
        default:
            break;
    }
    const std::string text = hashed.format.kind == Kind::padded ? "RTRIM(" + c + ")" : c;
    return "NVL2(" + text + ", LENGTH(" + text + ") || '|' || " + text + ", 'N')";
}

std::string joined(const std::vector<HashedColumn>& columns, std::string (*text_of)(const HashedColumn&),
                   const char* separator) {
    std::string list;
    for (const HashedColumn& column : columns) list += (list.empty() ? "" : separator) + text_of(column);
    return list;
}

}  // namespace

std::optional<HashKind> known_hash(Dialect dialect) {
    switch (dialect) {
        case Dialect::mysql:
            return HashKind::crc32;
        case Dialect::postgresql:
            return HashKind::hashtext;
        case Dialect::sqlserver:
            return HashKind::md5_utf16;
        case Dialect::oracle:
            return HashKind::md5;
        default:
            return std::nullopt;
    }
}

HashKind hash_kind(Dialect dialect) {
    if (const std::optional<HashKind> kind = known_hash(dialect)) return *kind;
    throw Failure(FailureClass::config, "rows cannot be hashed at a source of kind " + std::string(name_of(dialect)),
                  "No function of the engine for this is known.", "Compare counts or keys, or read the rows again.");
}

HashedColumn hashed_column(const SourceColumn& column, std::string reference) {
    const std::optional<ValueFormat> format = value_format(column.type, column.pg_type, column.source_type);
    if (format) return {column, std::move(reference), *format};
    throw Failure(FailureClass::config,
                  "column \"" + column.name + "\" of type " + column.source_type + " cannot be hashed",
                  "Its values have no text that two engines agree on.", "Leave the column out.");
}

std::string row_hash(Dialect dialect, const std::vector<HashedColumn>& columns) {
    switch (hash_kind(dialect)) {
        case HashKind::crc32:
            return "CRC32(CONCAT_WS('|', " + joined(columns, mysql_text, ", ") + "))";
        case HashKind::hashtext:
            // Columns of several collations have none together; the hash is one of bytes.
            return "(hashtextextended(concat_ws('|', " + joined(columns, postgresql_text, ", ") +
                   ") COLLATE \"C\", 0) & 9223372036854775807)";
        case HashKind::md5_utf16:
            return "CAST(SUBSTRING(HASHBYTES('MD5', CAST(N'' AS nvarchar(max)) + " +
                   joined(columns, sqlserver_text, " + '|' + ") + "), 1, 7) AS bigint)";
        case HashKind::md5:
            return "TO_NUMBER(SUBSTR(RAWTOHEX(STANDARD_HASH(" + joined(columns, oracle_text, " || '|' || ") +
                   ", 'MD5')), 1, 14), 'XXXXXXXXXXXXXX')";
    }
    return "";
}

}  // namespace insync::odbc
