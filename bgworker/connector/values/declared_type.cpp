// The names of types that option fields takes; see declared_type.hpp.
#include "bgworker/connector/values/declared_type.hpp"

#include <algorithm>
#include <array>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/options/near_miss.hpp"
#include "bgworker/options/values.hpp"

namespace insync {

namespace {

struct TypeName {
    std::string_view name;
    Transport transport;
};

// Names without their length. Below the transport types: those that PostgreSQL makes of their text.
constexpr std::array<TypeName, 49> type_names{{{"boolean", Transport::boolean},
                                               {"bool", Transport::boolean},
                                               {"smallint", Transport::int2},
                                               {"int2", Transport::int2},
                                               {"integer", Transport::int4},
                                               {"int", Transport::int4},
                                               {"int4", Transport::int4},
                                               {"bigint", Transport::int8},
                                               {"int8", Transport::int8},
                                               {"real", Transport::float4},
                                               {"float4", Transport::float4},
                                               {"double precision", Transport::float8},
                                               {"float8", Transport::float8},
                                               {"float", Transport::float8},
                                               {"numeric", Transport::numeric},
                                               {"decimal", Transport::numeric},
                                               {"text", Transport::text},
                                               {"varchar", Transport::text},
                                               {"character varying", Transport::text},
                                               {"char", Transport::text},
                                               {"character", Transport::text},
                                               {"bpchar", Transport::text},
                                               {"citext", Transport::text},
                                               {"bytea", Transport::bytea},
                                               {"date", Transport::date},
                                               {"time", Transport::time},
                                               {"time without time zone", Transport::time},
                                               {"timestamptz", Transport::timestamptz},
                                               {"timestamp", Transport::timestamp},
                                               {"timestamp without time zone", Transport::timestamp},
                                               {"timestamp with time zone", Transport::timestamptz},
                                               {"uuid", Transport::uuid},
                                               {"jsonb", Transport::jsonb},
                                               {"json", Transport::jsonb},
                                               {"timetz", Transport::text},
                                               {"time with time zone", Transport::text},
                                               {"interval", Transport::text},
                                               {"money", Transport::text},
                                               {"inet", Transport::text},
                                               {"cidr", Transport::text},
                                               {"macaddr", Transport::text},
                                               {"macaddr8", Transport::text},
                                               {"bit", Transport::text},
                                               {"bit varying", Transport::text},
                                               {"varbit", Transport::text},
                                               {"xml", Transport::text},
                                               {"name", Transport::text},
                                               {"oid", Transport::int8},
                                               {"ltree", Transport::text}}};

}  // namespace

std::optional<Transport> transport_for(std::string_view pg_type) {
    std::string name;
    for (char c : pg_type) name += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    // timestamp(3) with time zone, numeric(12,2)
    if (const std::size_t open = name.find('('); open != std::string::npos) {
        const std::size_t close = name.find(')', open);
        if (close == std::string::npos) return std::nullopt;
        if (name.find_first_not_of("0123456789, -", open + 1) < close) return std::nullopt;
        std::size_t before = open;
        while (before > 0 && name[before - 1] == ' ') before--;
        name.erase(before, close + 1 - before);
    }
    const auto found = std::find_if(type_names.begin(), type_names.end(),
                                    [&](const TypeName& known) { return known.name == trim(name); });
    return found == type_names.end() ? std::nullopt : std::optional(found->transport);
}

Transport declared_type(const std::string& column, std::string_view type) {
    if (const std::optional<Transport> transport = transport_for(type)) return *transport;
    std::array<std::string_view, type_names.size()> names;
    std::transform(type_names.begin(), type_names.end(), names.begin(),
                   [](const TypeName& known) { return known.name; });
    const std::string meant = closest(type, names);
    throw Failure(FailureClass::config, "field \"" + column + "\" cannot be declared as \"" + std::string(type) + "\"",
                  "",
                  meant.empty() ? "Declare it as text or jsonb and give the target's column the type."
                                : "Perhaps you meant " + meant + ".");
}

}  // namespace insync
