// Records as jsonb to the rows of a batch, in the form in which the connector would have sent them: what is replayed or
// pushed goes the same way as what is read.
#pragma once

#include <string>
#include <vector>

#include "bgworker/pg/spi.hpp"
#include "bgworker/protocol/batch.hpp"

namespace insync {

// For a statement with jsonb_to_record(…) AS r (TYPES): the TYPES, by the columns' names in the relation `batch`, and
// what to select to have each column in its binary form.
std::string record_types(const std::vector<SourceColumn>& columns);
std::string record_values(const std::vector<SourceColumn>& columns);

// Appends a row that was selected so.
void append_record(Batch& batch, const std::vector<SourceColumn>& columns, const std::vector<pg::Value>& values);

}  // namespace insync
