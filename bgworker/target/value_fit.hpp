// What a target column makes of a source's values where the two types differ.
//
// A cast may round a number, cut the time off a date or drop a zone without a word. A column that takes a source column
// as it is must hold the value that the source has: what doesn't survive the way there and back is a rejected row. An
// expression of option `columns` is the stream owner's own word and may round.
#pragma once

#include <array>
#include <string>

#include "bgworker/target/target.hpp"

namespace insync {

// SQL over `batch`: the source column as the target column's type can be cast from; more than its name where PostgreSQL
// has no cast, or one that loses digits. Throws pg::Error (cannot coerce) where there is no way, naming the column and
// both types.
std::string castable_value(const SourceColumn& source, const TargetColumn& target, const std::string& table);

// SQL over `batch`, never NULL: false where the value doesn't survive. Empty: every value does, or the cast says so
// itself. `mapped` is the source column as it fills the target, `zone` that of the source's times without one.
std::string fit_condition(const SourceColumn& source, const TargetColumn& target, const MappedColumn& mapped,
                          const std::string& zone);

// True if values that differ at the source, and pass the condition, differ to the target, too.
bool stays_apart(const SourceColumn& source, const TargetColumn& target);

// SQL over `batch`: the source's key as text, if keys that differ there may be one in the target; else empty.
std::string contested_key(const Stream& stream, const std::vector<SourceColumn>& columns, const Target& target,
                          const ApplyShape& shape);

// The digits behind the point that a numeric has, by its modifier, which says that there is a limit (numeric.c).
int scale_of(int modifier);
// The arguments of a type such as numeric(10,2) or timestamp(3); -1 where there are none.
std::array<int, 2> type_arguments(const std::string& type);

// The SQLSTATE with which such a value is rejected.
int misfit_state(const std::string& target_type);

}  // namespace insync
