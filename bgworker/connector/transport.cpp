// Names of transport types and the JSON form of a column; see transport.hpp.
#include "bgworker/connector/transport.hpp"

#include <array>

namespace insync {

std::string_view name_of(Transport type) {
    static constexpr std::array<std::string_view, 15> names = {"bool",   "int2",      "int4",        "int8",  "float4",
                                                               "float8", "numeric",   "text",        "bytea", "date",
                                                               "time",   "timestamp", "timestamptz", "uuid",  "jsonb"};
    return names[static_cast<std::size_t>(type)];
}

nlohmann::json to_json(const Column& column) {
    return {{"name", column.name},
            {"type", name_of(column.type)},
            {"pg_type", column.pg_type},
            {"source_type", column.source_type},
            {"nullable", column.nullable}};
}

nlohmann::json to_json(const std::vector<Column>& columns) {
    nlohmann::json array = nlohmann::json::array();
    for (const Column& column : columns) array.push_back(to_json(column));
    return array;
}

}  // namespace insync
