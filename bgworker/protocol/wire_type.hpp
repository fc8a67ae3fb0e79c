// The closed set of types in which values travel from the connector to the worker; for both sides. Pure.
#pragma once

#include <optional>
#include <string_view>

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

// The protocol's name of a transport type, which is also PostgreSQL's name of that type.
std::string_view name_of(Transport type);

// The type of that name, if it is one.
std::optional<Transport> transport_of(std::string_view name);

// The source type of the columns that tell rows of a source without a key apart; no source has it.
inline constexpr const char* row_identity_type = "row identity";

// The length of every value of the type in bytes, as PostgreSQL's binary form has it; -1: it varies.
int size_of(Transport type);

}  // namespace insync
