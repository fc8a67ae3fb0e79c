// What a user writes to name a source: table, schema.table, catalog.schema.table, or a SELECT.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace insync {

// True if `source` is a query: its first word, after blanks and comments, is SELECT or WITH.
bool is_query(std::string_view source);

// The one to three parts of a table's name, each of which may stand in "…", […] or `…` (with the closing quote doubled
// inside). Nothing where the text isn't such a name.
std::optional<std::vector<std::string>> parse_source_name(std::string_view source);

}  // namespace insync
