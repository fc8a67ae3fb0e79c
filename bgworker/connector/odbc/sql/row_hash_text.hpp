// The hash of a row as an expression in each engine's SQL: over the text that bgworker/canonical_text.hpp tells of,
// which the target's side writes as well. Text only, no driver.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/connector/odbc/sql/dialect.hpp"
#include "bgworker/connector/odbc/sql/types.hpp"
#include "bgworker/protocol/canonical_text.hpp"

namespace insync::odbc {

struct HashedColumn {
    SourceColumn column;
    std::string reference;
    ValueFormat format;
    bool is_utf8 = true;     // MySQL: its texts need no conversion
    bool as_stored = false;  // MySQL: a date with a zero month or day isn't looked for; its text is none of a target's
};

// The engine's hash; nothing for engines that have none.
std::optional<HashKind> known_hash(Dialect dialect);
// The same; raises Failure (config) for engines that have none.
HashKind hash_kind(Dialect dialect);

// Raises Failure (config) where the column's values have no text of their own.
HashedColumn hashed_column(const SourceColumn& column, std::string reference);

// A whole number, never negative.
std::string row_hash(Dialect dialect, const std::vector<HashedColumn>& columns);

}  // namespace insync::odbc
