// How rows are counted into slices: by which column of the target, in buckets of which size, in which zone.
#pragma once

#include <cstdint>
#include <string>

#include "bgworker/clock/slice.hpp"

extern "C" {
#include "postgres.h"

#include "datatype/timestamp.h"
}

namespace insync {

// The bucket of a value, named by its beginning: a time without a zone, as a clock in the slices' zone showed it. Rows
// without a time are in a bucket of their own, -infinity. Weeks begin on Monday (ISO 8601). Times so far away that the
// beginning of their bucket, or the hour in another zone, may be none that a timestamp can hold are infinity or
// -infinity.
class SliceRule {
  public:
    // `type`: date, timestamp without or with time zone, domains resolved; `zone`, what AT TIME ZONE understands, is
    // for the last. Throws where it doesn't.
    SliceRule(Oid type, SliceUnit unit, const char* zone);

    static bool is_possible(Oid type);
    Oid type() const { return type_; }
    Timestamp bucket_of(Datum value) noexcept;
    static constexpr Timestamp no_time = DT_NOBEGIN;
    // As SQL: from here on, and before this, times are too far away.
    static constexpr const char* too_late = "294276-12-01 00:00+00";
    static constexpr const char* too_early = "4713-01-01 00:00+00 BC";

  private:
    Timestamp local(TimestampTz time) noexcept;

    Oid type_;
    SliceUnit unit_;
    std::string zone_;  // as a text of PostgreSQL
    // The offset from UTC is looked up once for times of the same quarter of an hour, within which no clock is changed;
    // until 1972 some were at odd seconds.
    std::int64_t known_from_ = INT64_MIN, offset_ = 0;
};

}  // namespace insync
