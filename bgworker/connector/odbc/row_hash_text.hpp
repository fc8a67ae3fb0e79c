// The hash of a row as an expression in each engine's SQL: over the text that bgworker/value_format.hpp tells of, which
// the target's side writes as well. Text only, no driver.
#pragma once

#include <string>
#include <vector>

#include "bgworker/connector/odbc/dialect.hpp"
#include "bgworker/connector/odbc/types.hpp"
#include "bgworker/value_format.hpp"

namespace insync::odbc {

struct HashedColumn {
    SourceColumn column;
    std::string reference;
    ValueFormat format;
    bool is_utf8 = true;  // MySQL: its texts need no conversion
};

// The engine's hash; raises Failure (config) for engines that have none.
HashKind hash_kind(Dialect dialect);

// Raises Failure (config) where the column's values have no text of their own.
HashedColumn hashed_column(const SourceColumn& column, std::string reference);

// A whole number, never negative.
std::string row_hash(Dialect dialect, const std::vector<HashedColumn>& columns);

}  // namespace insync::odbc
