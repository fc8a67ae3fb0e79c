// A server as a run needs it: its options, the credentials of the role that reads, and the connector's open request.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "extension/options.hpp"
#include "extension/pg/guard.hpp"

namespace insync {

struct Server {
    Oid oid = InvalidOid;
    std::string name;
    Kind kind = Kind::odbc;
    OptionMap options, credentials;

    // What the connector's `open` and `check` take, credentials included. Never to be logged.
    nlohmann::json open_request(const char* verb) const;
    // How long the connector may be silent in a request before it is taken for hanging.
    std::chrono::milliseconds stall() const;
};

// Reads a server by name with the mapping of `role` (or PUBLIC's). Throws pg::Error where the server doesn't exist
// (with near misses), is another wrapper's, the role has no USAGE on it, or its driver isn't allowed.
Server load_server(const std::string& name, Oid role);

// What kind a server is of; nothing where there is none of that name, or it is another wrapper's.
std::optional<Kind> kind_of_server(const std::string& name);

// How many workers may be at a server at the same time: its option connections.
int connections_of(Oid server);

}  // namespace insync
