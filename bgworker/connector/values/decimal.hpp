// Decimal text to PostgreSQL's binary numeric, digit for digit.
#pragma once

#include <string_view>

#include "bgworker/connector/output/frame_writer.hpp"

namespace insync {

// Appends the number in `text` ("-12.50", "1.5e3", "NaN", "Infinity") as one field, with the scale that it was written
// with. Returns false, with nothing appended, where the text is no number or has more digits than numeric can hold.
bool append_numeric(FrameWriter& out, std::string_view text);

}  // namespace insync
