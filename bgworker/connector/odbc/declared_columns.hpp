// Columns whose type the user declares, because the source's own says too little of its values: option fields.
#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include "bgworker/connector/odbc/sql/types.hpp"

namespace insync::odbc {

// Gives the columns that option fields names ({"paid_at": "bigint"}) the type that it declares; how their values are
// compared at the source stays. Raises Failure (config) for a column that isn't there, a type that isn't known, and
// bytes that can't be read as that type.
void declare_columns(Dialect dialect, std::vector<SourceColumn>& columns, const nlohmann::json& options);

}  // namespace insync::odbc
