// How rows are counted into slices: by which column of the target, in buckets of which size, in which zone.
#pragma once

#include <cstdint>

#include "bgworker/slice_unit.hpp"

extern "C" {
#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"
}

namespace insync {

// The bucket of a value, named by its beginning: a time without a zone, as a clock in the slices' zone showed it. Rows
// without a time are in a bucket of their own, -infinity. Weeks begin on Monday (ISO 8601).
class SliceRule {
  public:
    // `type`: date, timestamp without or with time zone, domains resolved; `zone`, a name that PostgreSQL knows, is for
    // the last. Call it through pg::call where the zone may be unknown.
    SliceRule(Oid type, SliceUnit unit, const char* zone);

    static bool is_possible(Oid type);
    Oid type() const { return type_; }
    Timestamp bucket_of(Datum value) noexcept;
    static constexpr Timestamp no_time = DT_NOBEGIN;

  private:
    Timestamp local(TimestampTz time) noexcept;

    Oid type_;
    SliceUnit unit_;
    pg_tz* zone_;
    // The offset from UTC is looked up once for times of the same quarter of an hour, within which no clock is changed.
    std::int64_t quarter_ = INT64_MIN, offset_ = 0;
};

}  // namespace insync
