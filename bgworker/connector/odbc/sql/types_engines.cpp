// The type tables of the engines that we know; see types.hpp and docs/TYPES.md.
#include <algorithm>

#include "bgworker/connector/odbc/sql/types.hpp"

#include "bgworker/protocol/text.hpp"

namespace insync::odbc {

void resolve_sqlite(SourceColumn& column, const TypeName& type) {
    // The driver cuts floats at 15 digits; SQLite itself can write all 17 where they matter.
    static constexpr const char* exact_real =
        "CASE WHEN typeof(@) = 'real' AND CAST(CAST(@ AS TEXT) AS REAL) <> @ THEN printf('%!.17g', @) ELSE @ END";
    // The driver ends texts at the first zero byte and shows blobs as X'…', which a text could also hold.
    static const std::string marked_when =
        "CASE WHEN typeof(@) = 'blob' OR (typeof(@) = 'text' AND instr(@, char(0)) > 0) "
        "THEN char(1) || 'insync:' || hex(@) ";
    static const std::string marked_text = marked_when + "ELSE @ END";
    static const std::string marked_any =
        marked_when +
        "WHEN typeof(@) = 'real' AND CAST(CAST(@ AS TEXT) AS REAL) <> @ THEN printf('%!.17g', @) ELSE @ END";
    // Any class of value may be in any column; a position keeps which one it was (key_order.cpp).
    column.page_select =
        "CASE typeof(@) WHEN 'text' THEN CASE WHEN instr(@, char(0)) > 0 THEN 'h' || hex(@) ELSE '''' || @ END WHEN "
        "'blob' THEN 'x' || hex(@) WHEN 'real' THEN printf('%!.17g', @) ELSE CAST(@ AS TEXT) END";
    const std::string& base = type.base;
    const bool any_integer = contains(base, "int") && !contains(base, "point") && !contains(base, "interval");
    const bool any_text = contains(base, "char") || contains(base, "clob") || contains(base, "text");
    const bool any_real = contains(base, "real") || contains(base, "floa") || contains(base, "doub");

    column.affinity = any_integer || contains(base, "int")     ? Affinity::numeric
                      : any_text                               ? Affinity::text
                      : contains(base, "blob") || base.empty() ? Affinity::none
                                                               : Affinity::numeric;
    if (any_integer) return set_type(column, Transport::int8, "bigint", Fetch::text);
    if (is_one_of(base, {"bool", "boolean", "bit"})) {
        return set_type(column, Transport::boolean, "boolean", Fetch::text);
    }
    if (contains(base, "blob") || is_one_of(base, {"binary", "varbinary", "image", "bytea"})) {
        column.select = "CASE WHEN @ IS NULL THEN NULL ELSE hex(@) END";
        return set_type(column, Transport::bytea, "bytea", Fetch::hex);
    }
    if (is_one_of(base, {"uuid", "guid", "uniqueidentifier"})) {
        // Texts stay as they are written; 16 bytes become the text that PostgreSQL would write of them.
        column.affinity = Affinity::none;
        column.select =
            "CASE WHEN typeof(@) = 'blob' AND length(@) = 16 THEN lower(substr(hex(@), 1, 8) || '-' || substr(hex(@), "
            "9, "
            "4) || '-' || substr(hex(@), 13, 4) || '-' || substr(hex(@), 17, 4) || '-' || substr(hex(@), 21)) " +
            marked_text.substr(std::string_view("CASE ").size());
        return set_type(column, Transport::text, "uuid", Fetch::marked_text);
    }
    if (is_one_of(base, {"json", "jsonb"})) {
        column.select = column.affinity == Affinity::text ? marked_text : marked_any;
        return set_type(column, Transport::jsonb, "jsonb", Fetch::marked_text);
    }
    if (any_real) {
        column.select = "CASE typeof(@) WHEN 'real' THEN printf('%!.17g', @) ELSE @ END";
        return set_type(column, Transport::float8, "double precision", Fetch::text);
    }
    if (is_one_of(base, {"numeric", "decimal", "number", "money", "smallmoney", "currency", "dec"})) {
        // SQLite doesn't enforce precision and scale, so they aren't passed on: they would round.
        column.select = exact_real;
        return set_type(column, Transport::numeric, "numeric", Fetch::text);
    }
    if (base == "date") return set_type(column, Transport::date, "date", Fetch::text);
    if (base == "time") return set_type(column, Transport::time, "time", Fetch::text);
    if (is_one_of(base, {"timestamptz", "timestamp with time zone", "datetimeoffset"})) {
        return set_type(column, Transport::timestamptz, "timestamptz", Fetch::text);
    }
    if (is_one_of(base, {"datetime", "timestamp", "datetime2", "smalldatetime", "timestamp without time zone"})) {
        return set_type(column, Transport::timestamp, "timestamp", Fetch::text);
    }
    column.select = column.affinity == Affinity::text ? marked_text : marked_any;
    set_type(column, Transport::text, "text", Fetch::marked_text);
}

void resolve_mysql(SourceColumn& column, const TypeName& type, const ResultColumn& result) {
    const std::string& base = type.base;
    auto integer = [&](Transport transport, const char* pg_type) {
        column.parameter = "CAST(? AS SIGNED)";
        set_type(column, transport, pg_type, Fetch::int64);
    };
    // Sorted by number, but compared with a text as text.
    auto by_number = [&] {
        column.page_select = "CAST(@ AS UNSIGNED)";
        column.page_parameter = "CAST(? AS UNSIGNED)";
    };
    const bool is_unsigned = type.is_unsigned;
    if (base == "tinyint") return integer(Transport::int2, "smallint");
    if (base == "year") return integer(Transport::int2, "smallint");
    if (base == "smallint") {
        return is_unsigned ? integer(Transport::int4, "integer") : integer(Transport::int2, "smallint");
    }
    if (base == "mediumint") return integer(Transport::int4, "integer");
    if (is_one_of(base, {"int", "integer"})) {
        return is_unsigned ? integer(Transport::int8, "bigint") : integer(Transport::int4, "integer");
    }
    if (base == "bigint" && !is_unsigned) return integer(Transport::int8, "bigint");
    if (base == "bigint") {
        column.parameter = "CAST(? AS UNSIGNED)";
        return set_type(column, Transport::numeric, "numeric(20,0)", Fetch::text);
    }
    if (is_one_of(base, {"decimal", "numeric"})) {
        const int precision = type.first > 0 ? type.first : static_cast<int>(std::min<std::size_t>(result.size, 65));
        const int scale = type.first > 0 ? std::max(type.second, 0) : result.digits;
        column.parameter = "CAST(? AS DECIMAL(" + std::to_string(std::max(precision, 1)) + "," +
                           std::to_string(std::max(scale, 0)) + "))";
        return set_type(column, Transport::numeric, numeric_type(precision, scale), Fetch::text);
    }
    if (base == "float") {
        // Shown as it is, it has six digits; compared, it is a double with all of its own.
        column.select = "@ + 0e0";
        column.parameter = "(? + 0e0)";
        return set_type(column, Transport::float4, "real", Fetch::float64);
    }
    if (base == "double") return set_type(column, Transport::float8, "double precision", Fetch::float64);
    if (base == "bit" && (type.first == 1 || (type.first < 0 && result.sql_type == SQL_BIT))) {
        column.select = "CAST(@ AS UNSIGNED)";  // the driver hands over a raw byte
        column.parameter = "CAST(? AS UNSIGNED)";
        return set_type(column, Transport::boolean, "boolean", Fetch::int64);
    }
    // Dates come as text: the driver turns zero dates into NULL otherwise, and we couldn't tell.
    if (base == "date") {
        column.parameter = "CAST(? AS DATE)";
        return set_type(column, Transport::date, "date", Fetch::text);
    }
    if (base == "datetime" || base == "timestamp") {
        column.parameter = "CAST(? AS DATETIME(6))";
        if (base == "datetime") return set_type(column, Transport::timestamp, "timestamp", Fetch::text);
        return set_type(column, Transport::timestamptz, "timestamptz", Fetch::text);
    }
    if (base == "time") {
        column.parameter = "CAST(? AS TIME(6))";
        return set_type(column, Transport::time, "time", Fetch::text);
    }
    if (base == "json") return set_type(column, Transport::jsonb, "jsonb", Fetch::text);
    if (base == "uuid") return set_type(column, Transport::uuid, "uuid", Fetch::text);
    if (contains(base, "binary") || contains(base, "blob") || base == "bit" || contains(base, "geometry") ||
        is_one_of(base, {"point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"})) {
        column.parameter = "UNHEX(?)";
        if (base == "bit") by_number();
        return set_type(column, Transport::bytea, "bytea", Fetch::binary);
    }
    if (is_one_of(base, {"enum", "set"})) by_number();
    set_type(column, Transport::text, "text", Fetch::text);
}

void resolve_postgresql(SourceColumn& column, const TypeName& type) {
    const std::string& base = type.base;
    auto plain = [&](Transport transport, const char* pg_type, Fetch fetch) {
        column.parameter = std::string("CAST(? AS ") + pg_type + ")";
        set_type(column, transport, pg_type, fetch);
    };
    // The driver damages infinity and years before Christ, and knows few types; PostgreSQL's own text is exact.
    auto as_text = [&](Transport transport, const std::string& pg_type, const std::string& parameter_type) {
        column.select = "CAST(@ AS text)";
        column.parameter = "CAST(? AS " + parameter_type + ")";
        set_type(column, transport, pg_type, Fetch::text);
    };
    if (!type.is_array) {
        if (is_one_of(base, {"bool", "boolean"})) return plain(Transport::boolean, "boolean", Fetch::int64);
        if (is_one_of(base, {"int2", "smallint"})) return plain(Transport::int2, "smallint", Fetch::int64);
        // The driver calls the columns of a query that count by themselves "serial", which is no type to cast to.
        if (is_one_of(base, {"int4", "integer", "serial"})) return plain(Transport::int4, "integer", Fetch::int64);
        if (is_one_of(base, {"int8", "bigint", "bigserial"})) return plain(Transport::int8, "bigint", Fetch::int64);
        if (base == "oid") return plain(Transport::int8, "bigint", Fetch::int64);
        if (is_one_of(base, {"float4", "real"})) return plain(Transport::float4, "real", Fetch::float64);
        if (is_one_of(base, {"float8", "double precision"})) {
            return plain(Transport::float8, "double precision", Fetch::float64);
        }
        if (base == "numeric") {
            const std::string name = type.first > 0 ? numeric_type(type.first, type.second) : "numeric";
            return plain(Transport::numeric, name.c_str(), Fetch::text);
        }
        if (is_one_of(base, {"text", "varchar", "character varying", "name"})) {
            return plain(Transport::text, "text", Fetch::text);
        }
        if (is_one_of(base, {"char", "character", "bpchar"})) {
            plain(Transport::text, "text", Fetch::text);
            column.parameter = "CAST(? AS bpchar)";
            column.is_padded = true;
            return;
        }
        if (base == "bytea") {
            column.parameter = "decode(?, 'hex')";
            return set_type(column, Transport::bytea, "bytea", Fetch::binary);
        }
        if (base == "uuid") return plain(Transport::uuid, "uuid", Fetch::text);
        if (base == "date") return as_text(Transport::date, "date", "date");
        if (is_one_of(base, {"time", "time without time zone"})) {
            return as_text(Transport::time, "time", "time");
        }
        if (is_one_of(base, {"timestamp", "timestamp without time zone"})) {
            return as_text(Transport::timestamp, "timestamp", "timestamp");
        }
        if (is_one_of(base, {"timestamptz", "timestamp with time zone"})) {
            return as_text(Transport::timestamptz, "timestamptz", "timestamptz");
        }
        if (is_one_of(base, {"json", "jsonb"})) return as_text(Transport::jsonb, base, "jsonb");
        if (base == "money") {
            column.select = "CAST(@ AS numeric)";
            column.parameter = "CAST(CAST(? AS numeric) AS money)";
            return set_type(column, Transport::numeric, "numeric", Fetch::text);
        }
        if (is_one_of(base, {"interval", "inet", "cidr", "macaddr", "xml", "point", "tsvector", "ltree"})) {
            return as_text(Transport::text, is_one_of(base, {"ltree"}) ? "text" : base, base);
        }
    }
    // Arrays, enums, ranges, and types of extensions: as PostgreSQL writes them.
    const bool known = !base.empty() && base != "unknown";
    // Without its length, bit is bit(1).
    as_text(Transport::text, "text", column.source_type == "bit" ? "bit varying" : known ? column.source_type : "text");
    if (!known) column.parameter = "?";
}

void resolve_sqlserver(SourceColumn& column, const TypeName& type, const ResultColumn& result) {
    const std::string& base = type.base;
    const int precision = type.first > 0 ? type.first : static_cast<int>(std::min<std::size_t>(result.size, 38));
    const int scale = type.first > 0 ? std::max(type.second, 0) : result.digits;
    auto set = [&](Transport transport, const std::string& pg_type, Fetch fetch, const std::string& parameter_type,
                   const std::string& select = "") {
        column.parameter = "CAST(? AS " + parameter_type + ")";
        column.select = select;
        set_type(column, transport, pg_type, fetch);
    };
    if (base == "bit") return set(Transport::boolean, "boolean", Fetch::int64, "bit");
    if (base == "tinyint") return set(Transport::int2, "smallint", Fetch::int64, "tinyint");
    if (base == "smallint") return set(Transport::int2, "smallint", Fetch::int64, "smallint");
    if (is_one_of(base, {"int", "int identity"})) return set(Transport::int4, "integer", Fetch::int64, "int");
    if (is_one_of(base, {"bigint", "bigint identity"})) return set(Transport::int8, "bigint", Fetch::int64, "bigint");
    if (base == "real") return set(Transport::float4, "real", Fetch::float64, "real");
    if (base == "float") return set(Transport::float8, "double precision", Fetch::float64, "float");
    if (is_one_of(base, {"decimal", "numeric"})) {
        const std::string arguments = "(" + std::to_string(precision) + "," + std::to_string(std::max(scale, 0)) + ")";
        return set(Transport::numeric, numeric_type(precision, scale), Fetch::text, base + arguments);
    }
    // Drivers show two of money's four digits in places.
    if (base == "money") {
        return set(Transport::numeric, "numeric(19,4)", Fetch::text, "money", "CONVERT(decimal(19,4), @)");
    }
    if (base == "smallmoney") {
        return set(Transport::numeric, "numeric(10,4)", Fetch::text, "smallmoney", "CONVERT(decimal(10,4), @)");
    }
    // Times as text that the server writes: seven digits, whatever the driver knows of datetime2 and datetimeoffset.
    if (base == "date") return set(Transport::date, "date", Fetch::text, "date", "CONVERT(varchar(10), @, 23)");
    if (base == "time") {
        return set(Transport::time, "time", Fetch::text, column.source_type, "CONVERT(varchar(16), @, 121)");
    }
    if (base == "datetime" || base == "smalldatetime") {
        column.fraction_digits = 3;
        return set(Transport::timestamp, "timestamp", Fetch::datetime, base);
    }
    if (base == "datetime2") {
        return set(Transport::timestamp, "timestamp", Fetch::text, column.source_type, "CONVERT(varchar(27), @, 121)");
    }
    if (base == "datetimeoffset") {
        return set(Transport::timestamptz, "timestamptz", Fetch::text, column.source_type,
                   "CONVERT(varchar(34), @, 121)");
    }
    if (base == "timestamp" || base == "rowversion") {
        column.is_rowversion = true;
        column.parameter = "CAST(CAST(? AS bigint) AS binary(8))";
        column.select = "CAST(@ AS bigint)";
        return set_type(column, Transport::bytea, "bytea", Fetch::rowversion);
    }
    if (base == "uniqueidentifier") return set(Transport::uuid, "uuid", Fetch::text, "uniqueidentifier");
    if (is_one_of(base, {"binary", "varbinary", "image"})) {
        column.parameter = "CONVERT(varbinary(8000), ?, 2)";
        return set_type(column, Transport::bytea, "bytea", Fetch::binary);
    }
    if (base == "xml") return set(Transport::text, "xml", Fetch::text, "xml", "CONVERT(nvarchar(max), @)");
    if (base == "sql_variant") {
        column.no_order = "Its values are ordered by their types, which a position does not keep.";
    }
    if (is_one_of(base, {"sql_variant", "hierarchyid", "geometry", "geography"})) {
        return set(Transport::text, "text", Fetch::text, base,
                   base == "sql_variant" ? "CONVERT(nvarchar(4000), @)" : "@.ToString()");
    }
    // The parameter takes the column's own type: as nvarchar it would force a scan of a varchar index, and compare by
    // other rules than those by which the rows are ordered.
    const bool plain = is_one_of(base, {"char", "varchar", "nchar", "nvarchar"});
    const bool sized = column.source_type.find('(') != std::string::npos;
    const std::string longest = base[0] == 'n' ? "nvarchar(4000)" : "varchar(8000)";
    column.parameter = plain ? "CAST(? AS " + (sized ? column.source_type : longest) + ")" : "?";
    column.is_padded = is_one_of(base, {"char", "nchar"});
    set_type(column, Transport::text, "text", Fetch::text);
}

void resolve_oracle(SourceColumn& column, const TypeName& type, const ResultColumn& result) {
    const std::string& base = type.base;
    if (base == "number" || result.sql_type == SQL_DECIMAL || result.sql_type == SQL_NUMERIC) {
        const int precision = type.first > 0 ? type.first : static_cast<int>(std::min<std::size_t>(result.size, 39));
        const int scale = type.first > 0 ? std::max(type.second, 0) : result.digits;
        column.parameter = "TO_NUMBER(?)";
        // A bare NUMBER has any scale; the driver then reports precision 38 or less with scale 0 or -127.
        const bool bare = type.first <= 0;
        if (!bare && scale == 0 && precision <= 4) return set_type(column, Transport::int2, "smallint", Fetch::int64);
        if (!bare && scale == 0 && precision <= 9) return set_type(column, Transport::int4, "integer", Fetch::int64);
        if (!bare && scale == 0 && precision <= 18) return set_type(column, Transport::int8, "bigint", Fetch::int64);
        return set_type(column, Transport::numeric, bare ? "numeric" : numeric_type(precision, scale), Fetch::text);
    }
    if (base == "binary_float") {
        column.parameter = "TO_BINARY_FLOAT(?)";
        return set_type(column, Transport::float4, "real", Fetch::float64);
    }
    if (base == "binary_double") {
        column.parameter = "TO_BINARY_DOUBLE(?)";
        return set_type(column, Transport::float8, "double precision", Fetch::float64);
    }
    if (base == "float") {
        // A decimal number, of more digits than a binary one can keep.
        column.parameter = "TO_NUMBER(?)";
        column.page_select = "TO_CHAR(@, 'TM9')";
        return set_type(column, Transport::float8, "double precision", Fetch::float64);
    }
    if (base == "date") {
        column.select = "TO_CHAR(@, 'YYYY-MM-DD HH24:MI:SS')";
        column.parameter = "TO_DATE(?, 'YYYY-MM-DD HH24:MI:SS')";
        return set_type(column, Transport::timestamp, "timestamp(0)", Fetch::text);
    }
    if (contains(base, "timestamp") && contains(base, "time zone")) {
        column.select = "TO_CHAR(SYS_EXTRACT_UTC(@), 'YYYY-MM-DD HH24:MI:SS.FF9') || ' +00:00'";
        column.parameter = "TO_TIMESTAMP_TZ(?, 'YYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM')";
        return set_type(column, Transport::timestamptz, "timestamptz", Fetch::text);
    }
    if (contains(base, "timestamp") || result.sql_type == SQL_TYPE_TIMESTAMP) {
        column.select = "TO_CHAR(@, 'YYYY-MM-DD HH24:MI:SS.FF9')";
        column.parameter = "TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS.FF9')";
        return set_type(column, Transport::timestamp, "timestamp", Fetch::text);
    }
    if (contains(base, "raw") || base == "blob") {
        column.parameter = "HEXTORAW(?)";
        return set_type(column, Transport::bytea, "bytea", Fetch::binary);
    }
    column.is_padded = is_one_of(base, {"char", "nchar"});
    // Beside a VARCHAR2, which a parameter is, a CHAR would be compared with its blanks, as it never is by itself.
    const std::string length = std::to_string(std::clamp<std::size_t>(result.size, 1, 2000));
    if (base == "char") column.parameter = "CAST(? AS CHAR(" + length + " CHAR))";
    if (base == "nchar") column.parameter = "CAST(? AS NCHAR(" + length + "))";
    set_type(column, Transport::text, contains(base, "xmltype") ? "xml" : "text", Fetch::text);
}

}  // namespace insync::odbc
