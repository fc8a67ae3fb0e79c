// Times and their buckets; see slicer.hpp.
#include "bgworker/ledger/slicer.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
}

#include "bgworker/pg/guard.hpp"

namespace insync {

namespace {

constexpr std::int64_t quarter = 15 * USECS_PER_MINUTE;
constexpr std::int64_t odd_changes_end = (1973 - 2000) * 365 * USECS_PER_DAY;  // about
constexpr std::int64_t monday = 2;  // 2000-01-03, in days since PostgreSQL's epoch
constexpr int late_day = TIMESTAMP_END_JULIAN - 31 - POSTGRES_EPOCH_JDATE;  // 294276-12-01
constexpr int early_day = 38 - POSTGRES_EPOCH_JDATE;                        // 4713-01-01 BC

std::int64_t floor_to(std::int64_t value, std::int64_t step) {
    std::int64_t rest = value % step;
    return value - (rest < 0 ? rest + step : rest);
}

}  // namespace

bool SliceRule::is_possible(Oid type) {
    return type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID;
}

SliceRule::SliceRule(Oid type, SliceUnit unit, const char* zone) : type_(type), unit_(unit) {
    if (type != TIMESTAMPTZOID) return;
    std::size_t length = VARHDRSZ + strlen(zone);
    zone_.resize(length);
    SET_VARSIZE(zone_.data(), length);
    memcpy(VARDATA(zone_.data()), zone, length - VARHDRSZ);
    pg::call([&] { (void)local(0); });
}

// By PostgreSQL's own function, as some names (CET) are those of a zone and abbreviations as well, and SQL has them as
// the latter.
Timestamp SliceRule::local(TimestampTz time) noexcept {
    const std::int64_t at = floor_to(time, time < odd_changes_end ? USECS_PER_SEC : quarter);
    if (at != known_from_) {
        Datum wall = DirectFunctionCall2(timestamptz_zone, PointerGetDatum(zone_.data()), TimestampTzGetDatum(at));
        offset_ = DatumGetTimestamp(wall) - at;
        known_from_ = at;
    }
    return time + offset_;
}

Timestamp SliceRule::bucket_of(Datum value) noexcept {
    Timestamp time;
    if (type_ == DATEOID) {
        DateADT date = DatumGetDateADT(value);
        if (DATE_IS_NOBEGIN(date)) return DT_NOBEGIN;
        // Dates reach further than times, too.
        if (date >= late_day) return DT_NOEND;
        if (date < early_day) return DT_NOBEGIN;
        time = date * USECS_PER_DAY;
    } else {
        time = DatumGetTimestamp(value);
        if (time >= late_day * USECS_PER_DAY) return DT_NOEND;
        if (time < early_day * USECS_PER_DAY) return DT_NOBEGIN;
        if (type_ == TIMESTAMPTZOID) time = local(time);
    }
    switch (unit_) {
        case SliceUnit::hour:
            return floor_to(time, USECS_PER_HOUR);
        case SliceUnit::day:
            return floor_to(time, USECS_PER_DAY);
        case SliceUnit::week:
            return floor_to(time - monday * USECS_PER_DAY, 7 * USECS_PER_DAY) + monday * USECS_PER_DAY;
        case SliceUnit::month: {
            int year, month, day;
            j2date(static_cast<int>(floor_to(time, USECS_PER_DAY) / USECS_PER_DAY) + POSTGRES_EPOCH_JDATE, &year,
                   &month, &day);
            return (date2j(year, month, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
        }
    }
    return time;
}

}  // namespace insync
