// The ledger of a stream: how many rows its target holds in each slice, written in the transaction of the rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/ledger/slice_counter.hpp"
#include "bgworker/target/target.hpp"

namespace insync {

// By which column a stream's rows are counted, and how. Chosen when the stream is made, so that a column that is added
// to the target later doesn't change what has been counted.
struct Ledger {
    std::string column;  // of the target
    SliceUnit unit = SliceUnit::day;
    std::string zone;       // in which times with a zone have their days
    std::string rule;       // counting_rule(), as it was when counting began
    bool complete = false;  // the rows that were there before are counted as well
};

// The column that option slice_column names, else the target's only date, else the column that holds the watermark if
// that is a time, else its only time, of those that the stream fills; nothing where there is none or option slice is
// none. What the option doesn't name is a guess until judge_ledger() has looked at the data. Throws pg::Error where the
// option names a column that can't be taken.
std::optional<Ledger> choose_ledger(const Stream& stream, const Target& target, const ApplyShape& shape);
// The ledgers that each date and time which the stream fills would make, in the order of the target's columns.
std::vector<Ledger> possible_ledgers(const Stream& stream, const Target& target, const ApplyShape& shape);

// Chooses and records the ledger of a stream whose definition is new or has changed, or forgets it; slices are kept
// where nothing changed. True if the target has rows that have to be counted: sync_profile(). Throws pg::Error.
bool ensure_ledger(const Stream& stream);

// The stream's slices are of another column from here on; those of the one before are forgotten, and so is the work
// that is planned of them.
void replace_ledger(int stream_id, const Ledger& ledger);

// SQL of type timestamp: the bucket of `value`, SQL of this type without domains, as SliceRule has it.
std::string bucket_expression(const Ledger& ledger, const std::string& base_type, const std::string& value);
// By what a row t is counted, and which are: "bucket WHERE condition", SQL. Needs an Spi in scope.
std::string counting_rule(const Ledger& ledger, const Target& target, const ApplyShape& shape,
                          const std::vector<SourceColumn>& columns);
// SQL of type bigint: a bucket as SliceChanges has it; bucket_of_number() is the other way round.
std::string bucket_number(const std::string& bucket);

// The column's type without domains, as SliceRule needs it; InvalidOid: it is neither a date nor a time.
Oid slice_type(const TargetColumn& column);

}  // namespace insync
