// The JSON form of a column; see column.hpp.
#include "bgworker/connector/values/column.hpp"

namespace insync {

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
