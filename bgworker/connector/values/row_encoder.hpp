// Values to the fields of PostgreSQL's binary COPY rows, by transport type.
//
// Each function appends exactly one field to the row under construction, or returns a fault; after a fault the row has
// to be dropped. Nothing here allocates for ordinary values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bgworker/connector/output/frame_writer.hpp"
#include "bgworker/connector/values/column.hpp"

namespace insync {

// Why a value can't be represented in its column's transport type.
enum class Fault : unsigned char { none, syntax, range, datetime, zero_date, encoding, json, too_long, null_key };

// The SQLSTATE with which PostgreSQL would refuse such a value.
const char* sqlstate_of(Fault fault);

// A message such as: value of column "total" is not a valid numeric
std::string describe_fault(Fault fault, const Column& column);

struct EncodeOptions {
    bool replace_text = true;     // invalid UTF-8 and NUL become U+FFFD; otherwise they are a fault
    bool null_zero_dates = true;  // 0000-00-00 becomes NULL; otherwise it is a fault
    bool source_has_zero_dates = false;
};

// An integer for boolean, int2, int4, int8, numeric or the float types.
Fault encode_integer(FrameWriter& out, Transport type, std::int64_t value);

// A float4 or float8.
Fault encode_double(FrameWriter& out, Transport type, double value);

Fault encode_bytes(FrameWriter& out, std::string_view bytes);

// A date, time, timestamp or timestamptz from microseconds: from 2000-01-01 (of UTC for timestamptz), or midnight.
Fault encode_microseconds(FrameWriter& out, Transport type, std::int64_t microseconds);

// A value of any transport type from the source's text of it. bytea takes the text's bytes.
Fault encode_text(FrameWriter& out, Transport type, std::string_view text, const EncodeOptions& options);

// True if `text` is JSON that jsonb accepts: valid, no \u0000, nested no deeper than PostgreSQL's stack allows.
bool is_storable_json(std::string_view text);

}  // namespace insync
