// Conditions on how texts are written. Text only, no driver.
#pragma once

#include <string>

#include "bgworker/connector/odbc/sql/dialect.hpp"

namespace insync::odbc {

// SQL that is true of texts that are written as the literal is: a time with the same separators and zone, or a number
// with as many digits. Empty where the literal is neither.
std::string written_alike(Dialect dialect, const std::string& reference, const std::string& literal);

}  // namespace insync::odbc
