// How a column is described to the worker.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bgworker/protocol/wire_type.hpp"

namespace insync {

struct Column {
    std::string name;
    Transport type = Transport::text;
    std::string pg_type = "text";  // the type that a new target column gets, such as numeric(10,2)
    std::string source_type;       // the type as the source calls it
    bool nullable = true;
};

// The column as it stands in `columns`, `describe` and `discover` replies.
nlohmann::json to_json(const Column& column);
nlohmann::json to_json(const std::vector<Column>& columns);

}  // namespace insync
