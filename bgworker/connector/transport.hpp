// The closed set of types in which values travel to the worker, and how a column is described to it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace insync {

enum class Transport {
    boolean,
    int2,
    int4,
    int8,
    float4,
    float8,
    numeric,
    text,
    bytea,
    date,
    time,
    timestamp,
    timestamptz,
    uuid,
    jsonb,
};

// The protocol's name of a transport type, which is also PostgreSQL's internal name of that type.
std::string_view name_of(Transport type);

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
