// Watermarks that a user gives: would the stream be read on from there?
#pragma once

#include <string>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/definition/define_stream.hpp"

namespace insync {

// Throws pg::Error (invalid parameter value) where `literal` doesn't have the form of the stream's watermarks, or lies
// beyond the source's highest one and its clock, so that nothing would be read any more. `description` is what the
// source says of itself.
void check_watermark(const Stream& stream, const std::string& literal, const SourceDescription& description);

// The same, and asks the source. Where it can't be reached, the stream's own watermark and the server's clock stand in
// for it.
void check_watermark(const Stream& stream, const std::string& literal);

}  // namespace insync
