// ODBC connection strings: what their keywords and values are, and which options the keywords stand for.
//
// Reads them only. What a connection string may contain is decided by table.hpp; the connector builds its own.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bgworker/options/values.hpp"

namespace insync {

// Keyword and value in the order written, of an ODBC connection string: 'Keyword=value;Other={value; with }} brace}'.
// Keywords keep their case and may come more than once. Errors give a position (in bytes, from 1) and never the text,
// which may hold a password. Never throws.
using ConnectionKeywords = std::vector<std::pair<std::string, std::string>>;
Parsed<ConnectionKeywords> parse_connection_string(std::string_view text);

// The keyword in lower case without what varies between drivers: "User ID", "user_id" and "UserId" are one.
std::string bare_keyword(std::string_view keyword);

// The option that a keyword stands for ("UID": user, "Server": host), or an empty view.
std::string_view option_of_keyword(std::string_view keyword);

}  // namespace insync
