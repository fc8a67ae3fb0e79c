// Which type holds all that another one does, so that a column can follow its source's.
#pragma once

#include <optional>
#include <string>

#include "bgworker/target/target.hpp"

namespace insync {

// The expression of ALTER COLUMN … TYPE … USING with which the column becomes one of `type` (as the connector names
// it) and no value changes; nothing where that isn't certain, or nothing would be gained. `zone` is that of the
// source's times without one; empty: none is known.
std::optional<std::string> widening(const TargetColumn& column, const std::string& type, const std::string& zone);

}  // namespace insync
