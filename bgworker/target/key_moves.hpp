// Keys of the target that are wider than the source's: partitioned tables must have the partition column in theirs.
//
// A row whose partition column changes at the source has another key here, and would be there twice. So the columns
// that the source's key doesn't determine are found, and Applier moves such rows by what identifies them at the source.
#pragma once

#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/protocol/batch.hpp"
#include "bgworker/target/statement.hpp"
#include "bgworker/target/target.hpp"

namespace insync {

// Marks the key's columns that can change while the row at the source stays the same (MappedColumn::moves), where the
// others of the key tell which row it is. Throws where such a column can't be changed, or be NULL.
void mark_moving(const Stream& stream, const std::vector<SourceColumn>& columns, const Target& target,
                 ApplyShape& shape);

// Does one of these names of target columns, or the expression that fills it, take each column of the source's key as
// it is?
bool holds_source_key(const Stream& stream, const std::vector<std::string>& names);

// Is one of these target columns known to take another column of the source than those of its key?
bool takes_more_than_source_key(const Stream& stream, const std::vector<std::string>& names);

// Does the source's key tell which row of the target it is, whatever else the target's key has?
bool source_key_identifies(const Stream& stream);

// Has the target an index that finds rows by what identifies them at the source? Needs an Spi in scope.
bool finds_moved(const Target& target, const ApplyShape& shape);

}  // namespace insync
