// Names and sizes of transport types; see wire_type.hpp.
#include "bgworker/protocol/wire_type.hpp"

#include <algorithm>
#include <array>

namespace insync {

namespace {

struct Info {
    std::string_view name;
    int size;
};

constexpr std::array<Info, 15> infos{{{"bool", 1},
                                      {"int2", 2},
                                      {"int4", 4},
                                      {"int8", 8},
                                      {"float4", 4},
                                      {"float8", 8},
                                      {"numeric", -1},
                                      {"text", -1},
                                      {"bytea", -1},
                                      {"date", 4},
                                      {"time", 8},
                                      {"timestamp", 8},
                                      {"timestamptz", 8},
                                      {"uuid", 16},
                                      {"jsonb", -1}}};

}  // namespace

std::string_view name_of(Transport type) {
    return infos[static_cast<std::size_t>(type)].name;
}

std::optional<Transport> transport_of(std::string_view name) {
    auto found = std::find_if(infos.begin(), infos.end(), [&](const Info& info) { return info.name == name; });
    if (found == infos.end()) return std::nullopt;
    return static_cast<Transport>(found - infos.begin());
}

int size_of(Transport type) {
    return infos[static_cast<std::size_t>(type)].size;
}

}  // namespace insync
