// The ledger of a stream: how many rows its target holds in each slice, written in the transaction of the rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/slice_notes.hpp"
#include "bgworker/stream.hpp"
#include "bgworker/target.hpp"

namespace insync {

// By which column a stream's rows are counted, and how. Chosen when the stream is made, so that a column that is added
// to the target later doesn't change what has been counted.
struct Ledger {
    std::string column;  // of the target
    SliceUnit unit = SliceUnit::day;
    std::string zone;  // in which times with a zone have their days
};

// The column that option slice_column names, else the target's only date, else the column that holds the watermark if
// that is a time, else its only time; nothing where there is none or option slice is none. Throws pg::Error where the
// option names a column that isn't there or is neither a date nor a time.
std::optional<Ledger> choose_ledger(const Stream& stream, const Target& target);

// Each makes its own Spi, as the extension's owner.
void insert_ledger(int stream_id, const Ledger& ledger);
std::optional<Ledger> load_ledger(int stream_id);

// Adds what a batch did. Called through an Spi, in the transaction of the rows; `watermark` is the batch's, if it has
// one.
void add_to_ledger(int stream_id, const SliceChanges& changes, const std::string& watermark);

}  // namespace insync
