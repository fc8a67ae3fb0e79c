// The ODBC connection string for a server's options, in each known driver's own keywords.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "bgworker/connector/output/source.hpp"

namespace insync::odbc {

// The driver of a data source name, as odbc.ini has it: a registered name or a library; empty if there is none.
std::string driver_of_dsn(const std::string& dsn);

// `value` as it may stand behind a "Key=": in braces, closing braces doubled, where it holds special characters.
std::string escape_value(std::string_view value);

// Builds the connection string from dsn, driver, host, port, database, connection_string and driver_options, and the
// credentials. Raises Failure (config) where neither a driver, a dsn nor a connection_string is given.
std::string build_connect_string(const OpenRequest& request);

// The text of a server option, or "" where it isn't set.
std::string option_text(const nlohmann::json& server, const char* name);

// Whether a SQLite file is to be read as one that nobody writes to.
bool is_immutable(const nlohmann::json& server);

// The values of PWD and Password in text of connection string syntax, with and without their braces: what a message
// must not repeat.
std::vector<std::string> passwords_in(std::string_view connect_string);

}  // namespace insync::odbc
