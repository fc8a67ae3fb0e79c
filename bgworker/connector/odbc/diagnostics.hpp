// What a driver's diagnostics mean: by SQLSTATE first, by the engines' own error numbers where drivers are vague.
#pragma once

#include <string>
#include <vector>

#include "bgworker/connector/odbc/sql/dialect.hpp"
#include "bgworker/connector/output/failure.hpp"

namespace insync::odbc {

struct Diagnostic {
    std::string sqlstate;
    int native = 0;
    std::string message;
};

// The failure that the records of one call tell of. `action` says what was tried ("could not connect to the source").
// `secrets` are removed from the texts wherever they appear.
Failure failure_from(const std::vector<Diagnostic>& records, Dialect dialect, const std::string& action,
                     const std::vector<std::string>& secrets);

// Removes the "[vendor][driver]" prefixes that every ODBC layer puts in front of a message.
std::string without_prefixes(std::string message);

}  // namespace insync::odbc
