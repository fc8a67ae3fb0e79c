// Times and their buckets; see slice_rule.hpp.
#include "bgworker/slice_rule.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"
}

namespace insync {

namespace {

constexpr std::int64_t quarter = 15 * USECS_PER_MINUTE;
constexpr std::int64_t monday = 2;  // 2000-01-03, in days since PostgreSQL's epoch

std::int64_t floor_to(std::int64_t value, std::int64_t step) {
    std::int64_t rest = value % step;
    return value - (rest < 0 ? rest + step : rest);
}

}  // namespace

bool SliceRule::is_possible(Oid type) {
    return type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID;
}

SliceRule::SliceRule(Oid type, SliceUnit unit, const char* zone)
    : type_(type), unit_(unit), zone_(type == TIMESTAMPTZOID ? pg_tzset(zone) : nullptr) {
    if (type == TIMESTAMPTZOID && zone_ == nullptr) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("time zone \"%s\" not recognized", zone)));
    }
}

Timestamp SliceRule::local(TimestampTz time) noexcept {
    std::int64_t at = floor_to(time, quarter);
    if (at != quarter_) {
        pg_time_t seconds =
            at / USECS_PER_SEC + static_cast<std::int64_t>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
        const pg_tm* broken = pg_localtime(&seconds, zone_);
        quarter_ = at;
        offset_ = broken != nullptr ? broken->tm_gmtoff * USECS_PER_SEC : 0;
    }
    return time + offset_;
}

Timestamp SliceRule::bucket_of(Datum value) noexcept {
    Timestamp time;
    if (type_ == DATEOID) {
        DateADT date = DatumGetDateADT(value);
        if (DATE_IS_NOBEGIN(date)) return DT_NOBEGIN;
        // Dates reach further than times: those beyond are as far away as can be told.
        if (DATE_IS_NOEND(date) || date >= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE) return DT_NOEND;
        time = date * USECS_PER_DAY;
    } else {
        time = DatumGetTimestamp(value);
        if (TIMESTAMP_NOT_FINITE(time)) return time;
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
