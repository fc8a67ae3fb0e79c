// Types that the user gives to columns of the source, by option fields.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bgworker/protocol/wire_type.hpp"

namespace insync {

// The transport type of a type's name as PostgreSQL writes it, with or without a length; nothing for unknown ones.
std::optional<Transport> transport_for(std::string_view pg_type);

// The same of the type that was declared for a column. Raises Failure (config) for one that isn't known, with the one
// that was probably meant.
Transport declared_type(const std::string& column, std::string_view type);

}  // namespace insync
