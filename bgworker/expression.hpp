// What can be told of an SQL expression over `batch` by its words alone, without PostgreSQL.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/batch.hpp"

namespace insync {

// True if the expression reads no column of `batch`: a constant of the stream.
bool is_constant(const std::string& expression, const std::vector<SourceColumn>& columns);

// The fields of `batch` that the expression reads, and perhaps others; nothing where its words don't tell.
std::optional<std::vector<std::string>> fields_of(const std::string& expression,
                                                  const std::vector<SourceColumn>& columns);

}  // namespace insync
