// A server as a run needs it: its options, the credentials of the role that reads, and the connector's open request.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "bgworker/options/server_options.hpp"
#include "bgworker/pg/guard.hpp"
#include "bgworker/protocol/request.hpp"

namespace insync {

struct Server {
    Oid oid = InvalidOid;
    std::string name;
    Kind kind = Kind::odbc;
    ServerOptions options;
    OptionMap credentials;
    Oid role = InvalidOid;     // who reads it
    bool has_mapping = false;  // there is a user mapping for him, or PUBLIC's

    // What the connector needs to open it, credentials included. Never to be logged.
    OpenRequest open_request() const;
    // How long the connector may be silent in a request before it is taken for hanging.
    std::chrono::milliseconds stall() const;
    // How long the worker waits for a connection to stand: connect_timeout, and a moment for the driver to say why it
    // gave up. Of an API the requests have time-outs of their own.
    std::chrono::milliseconds connect_limit() const;
    // The server for messages: its name and where it is, without credentials.
    std::string place() const;
    // Tells one definition of the server from another, credentials aside.
    std::uint64_t definition() const;
};

// Reads a server by name with the mapping of `role` (or PUBLIC's). Throws pg::Error where the server doesn't exist
// (with near misses), is another wrapper's, the role has no USAGE on it, or its driver isn't allowed.
Server load_server(const std::string& name, Oid role);

// What is said of a driver that insync.odbc_drivers doesn't have, with a near miss where there is one.
pg::Error driver_not_allowed(const std::string& driver);

// What kind a server is of; nothing where there is none of that name, or it is another wrapper's.
std::optional<Kind> kind_of_server(const std::string& name);

// The definition() of a server that exists.
std::uint64_t definition_of_server(Oid server);

// Changes whenever the server or the mapping that `role` uses for it (its own, or PUBLIC's) does; tells nothing of what
// is in them. Empty where there is no such server.
std::string server_version(const std::string& name, Oid role);

// How many workers may be at a server at the same time: its option connections.
int connections_of(Oid server);

}  // namespace insync
