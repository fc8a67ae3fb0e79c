// What can be told of an SQL expression over `batch` by its words alone, without PostgreSQL.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bgworker/protocol/batch.hpp"

namespace insync {

// True if the expression reads no column of `batch`: a constant of the stream.
bool is_constant(const std::string& expression, const std::vector<SourceColumn>& columns);

// True if the expression is that field of `batch` and nothing else.
bool is_field(std::string_view expression, const std::string& field);

// The fields of `batch` that the expression reads, and perhaps others; nothing where its words don't tell.
std::optional<std::vector<std::string>> fields_of(const std::string& expression,
                                                  const std::vector<SourceColumn>& columns);

}  // namespace insync
