// The statements that a hint names where a stream can only be made again.
#pragma once

#include <string>

#include "bgworker/catalog/stream.hpp"

namespace insync {

// Drops the stream with its target and makes both again, with the source's key as it is now.
std::string remaking_statements(const Stream& stream);

}  // namespace insync
