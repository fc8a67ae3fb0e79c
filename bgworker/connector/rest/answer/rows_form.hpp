// Answers whose rows are no array of objects are made into such: maps by key, arrays of arrays, JSON lines and CSV.
//
// As text, so that numbers keep their digits, and all that stands around the rows stays where it was.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace insync::rest {

// In which form the rows stand in an answer.
enum class RowsForm { automatic, objects, map, arrays, ndjson, csv };

// The form that an answer has: what the option says, else what its Content-Type does.
RowsForm form_of(RowsForm option, const std::optional<std::string>& content_type);

// The answer with its rows as an array of objects. `path` is the JSON pointer to the rows, if it is known; it becomes
// the one of the result. A map's key is the member _key of its row. The values of rows that are arrays are named by
// `names`; where those are empty, by a list of columns beside the rows, by a first row of texts alone (those become
// `names`, for the pages that follow), or c1, c2 … Raises Failure (source).
std::string as_objects(std::string body, RowsForm form, std::optional<std::string>& path,
                       std::vector<std::string>& names);

}  // namespace insync::rest
