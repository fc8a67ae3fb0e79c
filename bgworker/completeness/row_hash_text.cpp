// Values as text; see row_hash.hpp.
#include "bgworker/completeness/row_hash.hpp"

extern "C" {
#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/date.h"
#include "utils/datetime.h"
}

#include <algorithm>
#include <charconv>
#include <cstring>

namespace insync {

namespace {

char* write_text(char* out, std::string_view text) noexcept {
    std::memcpy(out, text.data(), text.size());
    return out + text.size();
}

char* write_two(char* out, int number) noexcept {
    out[0] = static_cast<char>('0' + number / 10);
    out[1] = static_cast<char>('0' + number % 10);
    return out + 2;
}

// A numeric on disk (numeric.c): two bytes of header in the short form, four in the long one, then digits of base
// 10000, the first of which counts 10000^weight.
struct StoredNumeric {
    bool special = false, negative = false;
    std::uint16_t header = 0;
    int weight = 0, digits = 0;
    const char* first = nullptr;

    int digit(int place) const noexcept {  // of 10000^place
        const int index = weight - place;
        if (index < 0 || index >= digits) return 0;
        std::int16_t value;
        std::memcpy(&value, first + 2 * index, sizeof value);
        return value;
    }
};

StoredNumeric unpack(const char* stored, std::size_t size) noexcept {
    StoredNumeric number;
    std::memcpy(&number.header, stored, 2);
    if ((number.header & 0xC000) == 0xC000) {
        number.special = true;
        return number;
    }
    std::size_t header_size = 2;
    if ((number.header & 0x8000) != 0) {
        number.negative = (number.header & 0x2000) != 0;
        number.weight = (number.header & 0x0040) != 0 ? (number.header & 0x003F) - 64 : number.header & 0x003F;
    } else {
        std::int16_t weight;
        std::memcpy(&weight, stored + 2, 2);
        number.negative = (number.header & 0xC000) == 0x4000;
        number.weight = weight;
        header_size = 4;
    }
    number.first = stored + header_size;
    number.digits = static_cast<int>((size - header_size) / 2);
    return number;
}

}  // namespace

std::size_t room_for_numeric(const char* stored, std::size_t size, int scale) noexcept {
    const StoredNumeric number = unpack(stored, size);
    const int places = std::max(number.weight, 0) + 1 + std::max(number.digits - number.weight, 0);
    return static_cast<std::size_t>(places) * 4 + static_cast<std::size_t>(std::max(scale, 0)) + 16;
}

char* write_numeric(char* out, const char* stored, std::size_t size, int scale) noexcept {
    const StoredNumeric number = unpack(stored, size);
    if (number.special) {
        const bool is_infinite = (number.header & 0x1000) != 0;
        if (!is_infinite) return write_text(out, "NaN");
        return write_text(out, (number.header & 0x2000) != 0 ? "-Infinity" : "Infinity");
    }
    if (number.negative) *out++ = '-';
    int place = std::max(number.weight, 0);
    out = std::to_chars(out, out + 8, number.digit(place)).ptr;
    auto write_group = [&](int digit) {
        out = write_two(out, digit / 100);
        out = write_two(out, digit % 100);
    };
    while (--place >= 0) write_group(number.digit(place));
    char* const point = out;
    *out++ = '.';
    for (const int last = number.weight - number.digits; place > last; place--) write_group(number.digit(place));
    const auto wanted = static_cast<std::ptrdiff_t>(std::max(scale, 0));
    while (out - point - 1 < wanted) *out++ = '0';
    while (out - point - 1 > wanted && out[-1] == '0') out--;
    return out == point + 1 ? point : out;
}

namespace {

constexpr std::string_view before_christ = " BC";

// The date without the era, in which `year` is.
char* write_day(char* out, std::int32_t days, int& year) noexcept {
    int month, day;
    j2date(days + POSTGRES_EPOCH_JDATE, &year, &month, &day);
    const int shown = year > 0 ? year : 1 - year;
    if (shown < 10000) {
        out = write_two(out, shown / 100);
        out = write_two(out, shown % 100);
    } else {
        out = std::to_chars(out, out + 12, shown).ptr;
    }
    *out++ = '-';
    out = write_two(out, month);
    *out++ = '-';
    return write_two(out, day);
}

}  // namespace

char* write_date(char* out, std::int32_t days) noexcept {
    if (DATE_NOT_FINITE(days)) return write_text(out, DATE_IS_NOBEGIN(days) ? "-infinity" : "infinity");
    int year;
    out = write_day(out, days, year);
    return year > 0 ? out : write_text(out, before_christ);
}

char* write_time(char* out, std::int64_t microseconds, bool all_digits) noexcept {
    const int seconds = static_cast<int>(microseconds / USECS_PER_SEC);
    int fraction = static_cast<int>(microseconds % USECS_PER_SEC);
    out = write_two(out, seconds / 3600);
    *out++ = ':';
    out = write_two(out, seconds / 60 % 60);
    *out++ = ':';
    out = write_two(out, seconds % 60);
    if (fraction == 0 && !all_digits) return out;
    *out++ = '.';
    out = write_two(out, fraction / 10000);
    out = write_two(out, fraction / 100 % 100);
    out = write_two(out, fraction % 100);
    while (!all_digits && out[-1] == '0') out--;
    return out;
}

char* write_timestamp(char* out, std::int64_t microseconds, bool all_digits) noexcept {
    if (TIMESTAMP_NOT_FINITE(microseconds)) {
        return write_text(out, TIMESTAMP_IS_NOBEGIN(microseconds) ? "-infinity" : "infinity");
    }
    std::int64_t days = microseconds / USECS_PER_DAY;
    if (microseconds % USECS_PER_DAY < 0) days--;
    int year;
    out = write_day(out, static_cast<std::int32_t>(days), year);
    *out++ = ' ';
    out = write_time(out, microseconds - days * USECS_PER_DAY, all_digits);
    return year > 0 ? out : write_text(out, before_christ);
}

}  // namespace insync
