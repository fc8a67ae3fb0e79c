// Applies option fields to columns of an ODBC source; see declared_columns.hpp.
#include "bgworker/connector/odbc/declared_columns.hpp"

#include "bgworker/connector/odbc/catalog.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/values/declared_type.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/protocol/canonical_text.hpp"

namespace insync::odbc {

namespace {

bool is_counted(Transport type) {
    return type == Transport::boolean || type == Transport::int2 || type == Transport::int4 || type == Transport::int8;
}

bool is_floating(Transport type) {
    return type == Transport::float4 || type == Transport::float8;
}

[[noreturn]] void refuse_bytes(const SourceColumn& column, const std::string& type) {
    throw Failure(FailureClass::config, "column \"" + column.name + "\" holds bytes and cannot be read as " + type, "",
                  "Declare it as bytea, or as uuid.");
}

void declare(Dialect dialect, SourceColumn& column, const std::string& declared) {
    const Transport type = declared_type(column.name, declared);
    switch (column.fetch) {
        case Fetch::text:
        case Fetch::marked_text:
            break;
        case Fetch::int64:
            if (!is_counted(type)) column.fetch = Fetch::text;
            break;
        case Fetch::float64:
            if (!is_floating(type)) column.fetch = Fetch::text;
            break;
        case Fetch::date:
        case Fetch::timestamp:
            if (type != column.type) column.fetch = Fetch::text;
            break;
        case Fetch::datetime:
            if (type == column.type) break;
            column.fetch = Fetch::text;
            column.select = "CONVERT(varchar(23), @, 121)";
            break;
        case Fetch::rowversion:
            if (type != Transport::bytea) refuse_bytes(column, declared);
            break;
        case Fetch::binary:
            if (type != Transport::bytea && type != Transport::uuid) refuse_bytes(column, declared);
            break;
        case Fetch::hex:
            if (type == Transport::bytea) break;
            if (dialect != Dialect::sqlite || (type != Transport::uuid && type != Transport::text))
                refuse_bytes(column, declared);
            // As SQLite's columns of that type are read; it stays one of bytes where it is compared.
            {
                const Affinity affinity = column.affinity;
                resolve_sqlite(column, parse_type_name(type == Transport::uuid ? "uuid" : "any"));
                column.affinity = affinity;
            }
            break;
    }
    if (dialect == Dialect::sqlite && type == Transport::uuid && column.fetch != Fetch::hex) {
        const Affinity affinity = column.affinity;
        resolve_sqlite(column, parse_type_name("uuid"));
        column.affinity = affinity;
    }
    column.source_type += std::string(read_as) + declared;
    column.type = type;
    column.pg_type = declared;
}

}  // namespace

void declare_columns(Dialect dialect, std::vector<SourceColumn>& columns, const nlohmann::json& options) {
    const auto fields = options.find("fields");
    if (fields == options.end() || !fields->is_object()) return;
    for (const auto& [name, declaration] : fields->items()) {
        const std::string declared(trim(declaration.is_string() ? declaration.get<std::string>() : ""));
        declare(dialect, columns[find_column(columns, name, "declared")], declared);
    }
}

}  // namespace insync::odbc
