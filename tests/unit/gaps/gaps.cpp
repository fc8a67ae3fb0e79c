// The verdict on each slice, and the ranges that they make.
#include "bgworker/gaps/gaps.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "bgworker/options/weekdays.hpp"

namespace insync {
namespace {

constexpr WallUs monday = 19723 * wall_day;  // 2024-01-01

// A day by each character from that Monday on: a digit or letter is its rows (hundreds), '.' isn't there, '0' is
// a slice without rows. Due at the end of `days` days.
Series days(const std::string& rows, int days = -1) {
    Series series;
    for (std::size_t i = 0; i < rows.size(); i++) {
        if (rows[i] == '.') continue;
        Slice slice;
        slice.begin = monday + static_cast<WallUs>(i) * wall_day;
        slice.rows = (rows[i] - '0') * 100;
        series.slices.push_back(slice);
    }
    series.now = series.due = monday + (days < 0 ? static_cast<WallUs>(rows.size()) : days) * wall_day;
    return series;
}

// 'missing 2-4' for days 2 and 3, and so on.
std::string gaps_of(const Series& series) {
    std::string text;
    for (const Gap& gap : find_gaps(judge(series))) {
        auto day = [](WallUs time) { return std::to_string((time - monday) / wall_day); };
        text += (text.empty() ? "" : ", ") + std::string(name_of(gap.kind)) + " " + day(gap.begin) + "-" + day(gap.end);
        if (gap.slices != (gap.end - gap.begin) / wall_day) text += " (" + std::to_string(gap.slices) + ")";
    }
    return text;
}

void verify(Series& series, int day, std::int64_t source_rows, std::int64_t differences = 0, bool touched = false) {
    WallUs begin = monday + day * wall_day;
    auto at = std::lower_bound(series.slices.begin(), series.slices.end(), begin,
                               [](const Slice& slice, WallUs time) { return slice.begin < time; });
    if (at == series.slices.end() || at->begin != begin) {
        at = series.slices.insert(at, Slice{});
        at->begin = begin;
    }
    at->verified = 1000, at->source_rows = source_rows, at->differences = differences,
    at->touched = touched ? 1001 : 999;
}

TEST(Judge, AllDaysBetweenTheFirstAndTheLastAreExpected) {
    EXPECT_EQ(gaps_of(days("5555")), "");
    EXPECT_EQ(gaps_of(days("5.55")), "missing 1-2");
    EXPECT_EQ(gaps_of(days("5055")), "missing 1-2");
    EXPECT_EQ(gaps_of(days("5..5.5")), "missing 1-3, missing 4-5");
    EXPECT_EQ(gaps_of(days("..5")), "");
    EXPECT_EQ(gaps_of(days("")), "");
    EXPECT_EQ(gaps_of(days("00")), "");
}

TEST(Judge, TheTailIsLate) {
    EXPECT_EQ(gaps_of(days("555..")), "late 3-5");
    EXPECT_EQ(gaps_of(days("55500")), "late 3-5");
    EXPECT_EQ(gaps_of(days("5.5..", 4)), "missing 1-2, late 3-4");
    EXPECT_EQ(gaps_of(days("555..", 3)), "");
}

TEST(Judge, ADayThatBrokeOffIsLate) {
    auto series = days("5552..");
    series.read_at = monday + 3 * wall_day + 12 * wall_hour;
    EXPECT_EQ(gaps_of(series), "late 3-6");
    series.read_at = monday + 4 * wall_day;
    EXPECT_EQ(gaps_of(series), "late 4-6");
    series.read_at = monday + 2 * wall_day;  // what came since came otherwise
    EXPECT_EQ(gaps_of(series), "late 3-6");
    series.due = monday + 3 * wall_day + 18 * wall_hour;  // not over when it was due
    EXPECT_EQ(gaps_of(series), "");
    series = days("5552");
    series.read_at = monday + 3 * wall_day;
    verify(series, 3, 200);
    EXPECT_EQ(gaps_of(series), "");
}

TEST(Judge, WhatWasReadSinceItWasDueIsNotLateButStopped) {
    auto series = days("555...");
    series.read_since_due = true;
    EXPECT_EQ(gaps_of(series), "stopped 3-6");
    EXPECT_EQ(count_coverage(judge(series)).days_behind, 0);
    EXPECT_EQ(count_coverage(judge(series)).stopped, 3);
    // The source may get a day's rows on the day after.
    series.due -= 2 * wall_day;
    EXPECT_EQ(gaps_of(series), "");
    series.read_since_due = false;
    EXPECT_EQ(gaps_of(series), "late 3-4");
}

TEST(Judge, WhatTheSourceUsuallyHasNotYetIsNeitherLateNorShort) {
    auto series = days("555...");
    series.lag = 3;
    EXPECT_EQ(gaps_of(series), "");
    series.lag = 2;
    EXPECT_EQ(gaps_of(series), "late 3-6");
    series.read_since_due = true;
    EXPECT_EQ(gaps_of(series), "");
    series.lag = 1;
    EXPECT_EQ(gaps_of(series), "stopped 3-6");
    auto growing = days(std::string(30, '9') + "1");
    growing.settled_until = growing.now + wall_hour;
    EXPECT_EQ(gaps_of(growing), "") << "its rows may come in the night";
    growing.settled_until = growing.now + 6 * wall_hour;
    EXPECT_EQ(gaps_of(growing), "short 30-31");
}

TEST(Judge, WithoutGuessesOnlyTheSourceIsBelieved) {
    auto series = days("5.5..5...");
    series.guesses = false;
    EXPECT_EQ(gaps_of(series), "");
    verify(series, 1, 3);
    verify(series, 3, 4);
    verify(series, 5, 500);
    EXPECT_EQ(gaps_of(series), "missing 1-2, missing 3-4");
}

TEST(Judge, ASeasonThatWasClosedBeforeIsNoGap) {
    auto series = days(std::string(100, '5') + std::string(20, '.') + std::string(30, '5'));
    EXPECT_EQ(severity_of(find_gaps(judge(series)).front(), {}), Severity::critical);
    series.first_read = series.now;
    EXPECT_EQ(severity_of(find_gaps(judge(series)).front(), {}), Severity::info);
    // A year later it is usual.
    const std::string year = std::string(200, '5') + std::string(20, '.') + std::string(145, '5');
    auto years = days(year + year);
    years.first_read = monday + 365 * wall_day;
    for (const Gap& gap : find_gaps(judge(years))) EXPECT_EQ(severity_of(gap, {}), Severity::info);
    EXPECT_EQ(find_gaps(judge(years)).size(), 2u);
}

TEST(Judge, RowsThatAreTooManyDoNotGoAsOthersCome) {
    auto series = days("5595");
    verify(series, 2, 500, 400, true);
    EXPECT_EQ(gaps_of(series), "differs 2-3");
    verify(series, 2, 500, 401, true);  // some have gone
    EXPECT_EQ(gaps_of(series), "");
}

TEST(Judge, WhatIsNotDueIsNotJudged) {
    auto series = days("555.");
    series.due -= 1;  // the last day isn't over
    EXPECT_EQ(gaps_of(series), "");
    EXPECT_EQ(judge(series).size(), 3u);
    // A later day is here: this one should be, too, whatever the schedule says.
    series = days("5.5");
    series.due = monday;
    EXPECT_EQ(gaps_of(series), "missing 1-2");
}

TEST(Judge, TheFutureIsNoGap) {
    auto series = days("55..5", 2);
    EXPECT_EQ(gaps_of(series), "");
    series = days("55..5", 4);
    series.now = monday + 4 * wall_day - 1;
    series.due = monday + 3 * wall_day;
    EXPECT_EQ(gaps_of(series), "late 2-3");  // a row of tomorrow hides nothing
    Slice far;
    far.begin = latest_wall, far.rows = 1;
    series.slices.push_back(far);
    EXPECT_EQ(gaps_of(series), "late 2-3");
}

TEST(Judge, TheCalendarLeavesDaysOut) {
    auto series = days("555555.555555.5");
    series.left_out = [](WallUs day) { return weekday_of(day) == 0; };
    EXPECT_EQ(gaps_of(series), "");
    EXPECT_EQ(judge(series)[6].verdict, Verdict::closed);
    auto open_on_sunday = days("5555551");
    open_on_sunday.left_out = series.left_out;
    EXPECT_EQ(gaps_of(open_on_sunday), "");
    EXPECT_EQ(judge(open_on_sunday)[6].verdict, Verdict::whole);
}

TEST(Judge, AClosedDayDoesNotSplitARange) {
    auto series = days("55555...5");
    series.left_out = [](WallUs day) { return weekday_of(day) == 0; };
    EXPECT_EQ(gaps_of(series), "missing 5-8 (2)");
    series = days("55555..");
    series.left_out = [](WallUs day) { return weekday_of(day) == 0; };
    EXPECT_EQ(gaps_of(series), "late 5-6");
    series = days("5.5.5");
    series.left_out = [](WallUs day) { return weekday_of(day) == 3; };
    EXPECT_EQ(gaps_of(series), "missing 1-2, missing 3-4");
}

TEST(Judge, TheSourceOverridesGuesses) {
    auto series = days("5.5");
    verify(series, 1, 0);
    EXPECT_EQ(gaps_of(series), "");
    series = days("5.5");
    verify(series, 1, 7);
    EXPECT_EQ(gaps_of(series), "missing 1-2");
    EXPECT_TRUE(find_gaps(judge(series))[0].verified);
    EXPECT_EQ(find_gaps(judge(series))[0].expected, 7);
    series = days("555");
    verify(series, 1, 501);
    EXPECT_EQ(gaps_of(series), "short 1-2");
    series = days("555");
    verify(series, 1, 500);
    EXPECT_EQ(gaps_of(series), "");
}

TEST(Judge, TheSourceOverridesTheCalendar) {
    auto series = days("5.5");
    series.left_out = [](WallUs) { return true; };
    EXPECT_EQ(gaps_of(series), "");
    verify(series, 1, 3);
    EXPECT_EQ(gaps_of(series), "missing 1-2");
}

TEST(Judge, DifferencesCountUntilTheSliceIsTouched) {
    auto series = days("555");
    verify(series, 1, 500, 2);
    EXPECT_EQ(gaps_of(series), "differs 1-2");
    verify(series, 1, 499);
    EXPECT_EQ(gaps_of(series), "differs 1-2");
    verify(series, 1, 500, 2, true);
    EXPECT_EQ(gaps_of(series), "");
    verify(series, 1, 499, 0, true);
    EXPECT_EQ(gaps_of(series), "");
    verify(series, 1, 501, 2, true);
    EXPECT_EQ(gaps_of(series), "short 1-2");
}

TEST(Judge, AVerifiedEmptyTailIsNotLate) {
    auto series = days("55...");
    verify(series, 3, 0);
    EXPECT_EQ(gaps_of(series), "missing 2-3, late 4-5");
    series = days("55...");
    verify(series, 3, 9);
    EXPECT_EQ(gaps_of(series), "late 2-3, missing 3-4, late 4-5");
}

TEST(Judge, WhatWasVerifiedTodayIsJudgedToday) {
    auto series = days("5557");
    series.due = monday + 3 * wall_day;
    series.now = monday + 3 * wall_day + wall_hour;
    verify(series, 3, 900);
    EXPECT_EQ(gaps_of(series), "short 3-4");
}

TEST(Judge, RowsOfNoSeriesBeginNone) {
    auto series = days("555.5");
    Slice old;
    old.begin = -25567 * wall_day;  // 1900-01-01
    old.rows = 3;
    series.slices.insert(series.slices.begin(), old);
    EXPECT_EQ(gaps_of(series), "missing 3-4");
    series.slices.front().rows = 2000;  // these are as good as others
    EXPECT_EQ(find_gaps(judge(series)).size(), 2u);
    series.slices.front().begin = -200'000'000'000'000'000;  // 4370 BC
    EXPECT_LE(judge(series).size(), 1'000'002u);
}

TEST(Judge, ExpectedRowsOfMissingDays) {
    auto series = days(std::string(30, '5') + ".." + std::string(10, '7'));
    auto gaps = find_gaps(judge(series));
    ASSERT_EQ(gaps.size(), 1u);
    EXPECT_NEAR(static_cast<double>(*gaps[0].expected), 1000, 250);
    gaps = find_gaps(judge(days("5.5")));
    EXPECT_EQ(gaps[0].expected, std::nullopt);
}

TEST(Judge, EmptySundaysAreInfo) {
    std::string weeks;
    for (int week = 0; week < 10; week++) weeks += "555555.";
    auto gaps = find_gaps(judge(days(weeks + "5")));
    ASSERT_EQ(gaps.size(), 10u);
    for (const Gap& gap : gaps) {
        EXPECT_EQ(gap.usually_empty, 1);
        EXPECT_EQ(gap.expected, 0);
        EXPECT_EQ(severity_of(gap, {}), Severity::info);
    }
    // With its Saturday, which isn't empty usually, it is a warning.
    weeks[26] = '.';
    gaps = find_gaps(judge(days(weeks + "5")));
    EXPECT_EQ(gaps[3].slices, 2);
    EXPECT_EQ(severity_of(gaps[3], {}), Severity::warning);
}

TEST(Severity, CountsSlices) {
    Gap gap;
    for (auto [slices, severity] : {std::pair(1, Severity::warning), {2, Severity::warning}, {3, Severity::critical}}) {
        gap.slices = slices;
        EXPECT_EQ(severity_of(gap, {}), severity) << slices;
    }
    gap.slices = 4;
    EXPECT_EQ(severity_of(gap, {5, 10}), Severity::info);
    EXPECT_EQ(severity_of(gap, {2, 5}), Severity::warning);
}

TEST(Coverage, CountsAndNeverRoundsUp) {
    auto series = days("5555555..555..");
    auto coverage = count_coverage(judge(series));
    EXPECT_EQ(coverage.expected, 14);
    EXPECT_EQ(coverage.whole, 10);
    EXPECT_EQ(coverage.missing, 2);
    EXPECT_EQ(coverage.late, 2);
    EXPECT_EQ(coverage.days_behind, 2);
    EXPECT_EQ(coverage.completeness(), 7142);
    Coverage nearly;
    nearly.expected = 100'000, nearly.whole = 99'999;
    EXPECT_EQ(nearly.completeness(), 9999);
    nearly.whole = 100'000;
    EXPECT_EQ(nearly.completeness(), 10000);
    EXPECT_EQ(Coverage().completeness(), std::nullopt);
}

TEST(Coverage, DaysOfLateHoursAndMonths) {
    Series hours;
    hours.unit = SliceUnit::hour;
    Slice slice;
    slice.begin = monday + 22 * wall_hour, slice.rows = 5;
    hours.slices = {slice};
    hours.now = hours.due = monday + 25 * wall_hour;
    EXPECT_EQ(count_coverage(judge(hours)).days_behind, 2);  // 23:00 and 0:00
    Series months;
    months.unit = SliceUnit::month;
    slice.begin = monday, slice.rows = 50;
    months.slices = {slice};
    months.now = months.due = monday + (31 + 29) * wall_day;
    EXPECT_EQ(count_coverage(judge(months)).days_behind, 29);
}

TEST(Units, BeginAndEnd) {
    struct Case {
        SliceUnit unit;
        WallUs time, begin, next;
    };
    const Case cases[] = {
        {SliceUnit::hour, monday + 5, monday, monday + wall_hour},
        {SliceUnit::day, monday + 23 * wall_hour, monday, monday + wall_day},
        {SliceUnit::week, monday - 1, monday - 7 * wall_day, monday},
        {SliceUnit::week, monday + 8 * wall_day, monday + 7 * wall_day, monday + 14 * wall_day},
        {SliceUnit::month, monday + 40 * wall_day, monday + 31 * wall_day, monday + 60 * wall_day},
        {SliceUnit::month, monday - 1, monday - 31 * wall_day, monday},
        {SliceUnit::day, -1, -wall_day, 0},
        {SliceUnit::month, -1, -31 * wall_day, 0},
    };
    for (const Case& c : cases) {
        EXPECT_EQ(slice_of(c.time, c.unit), c.begin) << name_of(c.unit);
        EXPECT_EQ(next_slice(c.begin, c.unit), c.next) << name_of(c.unit);
        EXPECT_EQ(slice_of(c.next - 1, c.unit), c.begin) << name_of(c.unit);
    }
    EXPECT_EQ(weekday_of(monday), 1);
    EXPECT_EQ(weekday_of(monday - 1), 0);
    EXPECT_EQ(weekday_of(-1), 3);
    EXPECT_EQ(hour_of(monday + 5 * wall_hour + 1), 5);
    EXPECT_EQ(hour_of(-1), 23);
}

TEST(Units, TimesBeyondTheCalendarBreakNothing) {
    for (auto unit : {SliceUnit::hour, SliceUnit::day, SliceUnit::week, SliceUnit::month}) {
        EXPECT_EQ(slice_of(std::numeric_limits<WallUs>::min(), unit), slice_of(earliest_wall, unit));
        EXPECT_EQ(slice_of(std::numeric_limits<WallUs>::max(), unit), slice_of(latest_wall, unit));
        EXPECT_GT(next_slice(std::numeric_limits<WallUs>::min(), unit), earliest_wall);
        EXPECT_EQ(slice_unit_of(name_of(unit)), unit);
    }
    EXPECT_EQ(slice_unit_of("year"), std::nullopt);
}

TEST(Judge, RandomSlicesBreakNothing) {
    const unsigned seed = 11;
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 500; i++) {
        Series series;
        series.unit = static_cast<SliceUnit>(random() % 4);
        WallUs begin = slice_of(monday + static_cast<WallUs>(random() % 1000) * wall_day, series.unit);
        for (int count = static_cast<int>(random() % 300); count > 0; count--) {
            Slice slice;
            slice.begin = begin;
            slice.rows = random() % 4 == 0 ? 0 : static_cast<std::int64_t>(random() % 1000);
            if (random() % 5 == 0) {
                slice.verified = 5, slice.source_rows = static_cast<std::int64_t>(random() % 1000);
                slice.touched = static_cast<std::int64_t>(random() % 10);
                slice.differences = static_cast<std::int64_t>(random() % 3);
            }
            series.slices.push_back(slice);
            begin = next_slice(begin, series.unit);
            if (random() % 10 == 0) begin = next_slice(next_slice(begin, series.unit), series.unit);
        }
        series.now = begin + static_cast<WallUs>(random() % 20) * wall_day - 5 * wall_day;
        series.due = series.now - static_cast<WallUs>(random() % 5) * wall_day;
        series.left_out = [](WallUs time) { return weekday_of(time) == 0; };
        auto judged = judge(series);
        Coverage coverage = count_coverage(judged);
        std::int64_t in_gaps = 0;
        WallUs last = earliest_wall;
        for (const Gap& gap : find_gaps(judged)) {
            ASSERT_LT(gap.begin, gap.end);
            ASSERT_LE(last, gap.begin);
            last = gap.end;
            in_gaps += gap.slices;
        }
        ASSERT_EQ(coverage.expected, coverage.whole + in_gaps);
        ASSERT_EQ(in_gaps, coverage.missing + coverage.fewer + coverage.differing + coverage.late);
        for (std::size_t at = 1; at < judged.size(); at++) ASSERT_LT(judged[at - 1].begin, judged[at].begin);
    }
}

TEST(Weekdays, Lists) {
    EXPECT_EQ(parse_weekdays("mon-sat").value, Weekdays(0b1111110));
    EXPECT_EQ(parse_weekdays("Mon, wednesday ,FRI").value, Weekdays(0b0101010));
    EXPECT_EQ(parse_weekdays("sat - mon").value, Weekdays(0b1000011));
    EXPECT_EQ(parse_weekdays("sun").value, Weekdays(0b0000001));
    for (const char* wrong : {"", "lunes", "mon-", "-", "mon,,tue", "mon-tue-wed", "1-5", "mo"}) {
        auto parsed = parse_weekdays(wrong);
        EXPECT_FALSE(parsed) << wrong;
        EXPECT_NE(parsed.error, "") << wrong;
    }
}

}  // namespace
}  // namespace insync
