// Rows that are told by the source's key alone: those that a feed says were deleted, and those that a read of keys
// shows.
#pragma once

#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"

namespace insync {

// The columns of the source's key, and those that fill the target's beside it, which is all that is known of rows of
// other kinds than `whole`; and their names at the source.
std::vector<SourceColumn> key_columns(const Stream& stream);
std::vector<std::string> key_column_names(const Stream& stream);
// Keys of rows as the requests that a connector reads them by ("only"), each far below the longest that it takes.
std::vector<std::vector<std::vector<std::string>>> in_parts(const std::vector<std::vector<std::string>>& keys);
// The columns of the source that make the target's key, by which older versions of a row are told from others. Empty
// where that can't be seen, or where option filter may pass an older version and not the newest.
std::vector<std::string> version_key(const Stream& stream);
// Whether the target's rows can be told by those, if an option of the stream is about that; throws pg::Error. Needs a
// transaction.
void check_key_rows(const Stream& stream);
// Whether a run in mode keys can do anything; throws pg::Error.
void check_key_scan(const Stream& stream);

}  // namespace insync
