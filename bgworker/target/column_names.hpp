// Names of target columns, over time.
//
// Columns of source and target find each other by their names. One that was renamed in the target would stay empty from
// then on without a word; so a stream keeps the names and numbers of the columns that it fills.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/protocol/batch.hpp"
#include "bgworker/target/statement.hpp"
#include "bgworker/target/target.hpp"

namespace insync {

// The columns that the stream fills: what is kept with it.
nlohmann::json filled_columns(const Target& target, const ApplyShape& shape);
// As it was last kept; null: never.
nlohmann::json known_filled_columns(int stream_id);

// Throws where a column that was filled has another name now, which the stream's options don't have.
void require_names(const Stream& stream, const std::vector<SourceColumn>& columns, const Target& target,
                   const nlohmann::json& known);

}  // namespace insync
