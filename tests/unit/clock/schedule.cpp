// Which schedules are understood, and when they run, changes of the clock included.
#include "bgworker/clock/schedule.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

namespace insync {
namespace {

constexpr std::int64_t second_us = 1'000'000;
constexpr std::int64_t hour_us = 3600 * second_us;

// A zone as a list of changes: from an instant (UTC) on, its clock is `offset_minutes` ahead of UTC.
struct Zone {
    struct Change {
        std::int64_t from_us;
        int offset_minutes;
    };
    int first_offset_minutes;
    std::vector<Change> changes;

    LocalTime operator()(std::int64_t utc_us) const {
        int offset = first_offset_minutes;
        for (const Change& change : changes) {
            offset = utc_us >= change.from_us ? change.offset_minutes : offset;
        }
        auto seconds =
            std::chrono::floor<std::chrono::seconds>(std::chrono::microseconds(utc_us)) + std::chrono::minutes(offset);
        auto days = std::chrono::floor<std::chrono::days>(seconds);
        std::chrono::year_month_day date{std::chrono::sys_days(days)};
        auto left = static_cast<int>((seconds - days).count());
        return {static_cast<int>(date.year()),
                static_cast<int>(static_cast<unsigned>(date.month())),
                static_cast<int>(static_cast<unsigned>(date.day())),
                left / 3600,
                left / 60 % 60,
                left % 60};
    }
};

std::int64_t utc(int year, int month, int day, int hour = 0, int minute = 0, int second = 0) {
    std::chrono::sys_days date = std::chrono::year(year) / month / day;
    return date.time_since_epoch().count() * 24 * hour_us + ((hour * 60LL + minute) * 60 + second) * second_us;
}

const Zone greenwich{0, {}};
// Europe/Madrid: 2024-03-31 02:00 becomes 03:00; 2024-10-27 03:00 becomes 02:00.
const Zone madrid{60, {{utc(2024, 3, 31, 1), 120}, {utc(2024, 10, 27, 1), 60}, {utc(2025, 3, 30, 1), 120}}};
// Australia/Lord_Howe: half an hour, 2024-04-07 02:00 becomes 01:30.
const Zone lord_howe{660, {{utc(2024, 4, 6, 15), 630}, {utc(2024, 10, 5, 15, 30), 660}}};
// Pacific/Apia left out the whole of 2011-12-30.
const Zone apia{-600, {{utc(2011, 12, 30, 10), 840}}};

Cron cron(std::string_view text) {
    auto parsed = parse_cron(text);
    EXPECT_TRUE(parsed) << text << ": " << parsed.error;
    return parsed.value.value_or(Cron{});
}

Schedule schedule(std::string_view text) {
    auto parsed = parse_schedule(text);
    EXPECT_TRUE(parsed) << text << ": " << parsed.error;
    return parsed.value.value_or(Schedule{});
}

std::string error_of(std::string_view text) {
    auto parsed = parse_schedule(text);
    EXPECT_FALSE(parsed) << text;
    return parsed.error;
}

// Since when the schedules count where that doesn't matter.
constexpr std::int64_t never_us = std::numeric_limits<std::int64_t>::min();

// The first run after a last start, with the clock standing at that start.
std::int64_t after(std::string_view text, std::int64_t last_us, const Zone& zone) {
    return next_run(schedule(text), last_us, never_us, last_us, zone).value_or(-1);
}

// Parsing

TEST(ScheduleText, ReadsIntervals) {
    EXPECT_EQ(schedule("10 seconds").interval, std::chrono::seconds(10));
    EXPECT_EQ(schedule("00:05:00").interval, std::chrono::minutes(5));
    EXPECT_EQ(schedule("1 hour 30 min 5 s").interval, std::chrono::seconds(5405));
}

TEST(ScheduleText, RefusesIntervalsBelowASecond) {
    EXPECT_EQ(error_of("999 ms"), "An interval is at least one second.");
    EXPECT_EQ(error_of("0"), "An interval is at least one second.");
}

TEST(ScheduleText, ReadsCronExpressions) {
    Schedule parsed = schedule("*/15 0,12 1-5 * mon-fri");
    EXPECT_FALSE(parsed.interval);
    EXPECT_EQ(parsed.cron.minutes, 1ull | 1ull << 15 | 1ull << 30 | 1ull << 45);
    EXPECT_EQ(parsed.cron.hours, 1u | 1u << 12);
    EXPECT_EQ(parsed.cron.days, 0b111110u);
    EXPECT_EQ(parsed.cron.months, 0b1111111111110u);
    EXPECT_EQ(parsed.cron.weekdays, 0b0111110u);
    EXPECT_FALSE(parsed.cron.days_star);
    EXPECT_FALSE(parsed.cron.weekdays_star);
}

TEST(ScheduleText, EquivalentSpellingsAreEqual) {
    const std::pair<const char*, const char*> cases[] = {
        {"0 0 * * 7", "0 0 * * 0"},
        {"0 0 * * SUN", "0 0 * * 0"},
        {"0 0 * * 5-7", "0 0 * * 0,5,6"},
        {"0 0 * * fri-sun", "0 0 * * 0,5,6"},
        {"0 0 * * 0-7", "0 0 * * 0-6"},
        {"0 0 1 JAN,Dec *", "0 0 1 1,12 *"},
        {"0 0 1 feb-apr *", "0 0 1 2-4 *"},
        {"10-50/20 * * * *", "10,30,50 * * * *"},
        {"*/60 * * * *", "0 * * * *"},
        {"00 05 * * *", "0 5 * * *"},
        {"  0\t5 *  * * ", "0 5 * * *"},
        {"@hourly", "0 * * * *"},
        {"@Daily", "0 0 * * *"},
        {"@weekly", "0 0 * * 0"},
        {"@monthly", "0 0 1 * *"},
    };
    for (const auto& [left, right] : cases) {
        EXPECT_EQ(schedule(left), schedule(right)) << left;
    }
}

TEST(ScheduleText, ErrorsNameFieldAndValue) {
    const std::pair<const char*, const char*> cases[] = {
        {"60 * * * *", "The minute field of the cron expression takes 0 to 59, which \"60\" is not."},
        {"0 24 * * *", "The hour field of the cron expression takes 0 to 23, which \"24\" is not."},
        {"0 0 0 * *", "The day of month field of the cron expression takes 1 to 31, which \"0\" is not."},
        {"0 0 1 13 *", "The month field of the cron expression takes 1 to 12, which \"13\" is not."},
        {"0 0 * * 8", "The day of week field of the cron expression takes 0 to 7, which \"8\" is not."},
        {"0 0 * * monday",
         "The day of week field of the cron expression takes numbers, ranges and steps such as */5, or names from sun "
         "to sat, which \"monday\" is not."},
        {"0 0 ? * *",
         "The day of month field of the cron expression takes numbers, ranges and steps such as */5, which \"?\" is "
         "not."},
        {"99999999999999999999 * * * *",
         "The minute field of the cron expression takes 0 to 59, which \"99999999999999999999\" is not."},
        {"-5 * * * *",
         "The minute field of the cron expression takes numbers, ranges and steps such as */5, which \"\" is not."},
        {"30-10 * * * *",
         "The minute field of the cron expression has the range \"30-10\", which ends before it begins."},
        {"1,,2 * * * *", "The minute field of the cron expression has an empty item in its list."},
        {"*/0 * * * *", "The minute field of the cron expression takes steps from 1 to 60, which \"0\" is not."},
        {"*/90 * * * *", "The minute field of the cron expression takes steps from 1 to 60, which \"90\" is not."},
        {"*/-1 * * * *", "The minute field of the cron expression takes steps from 1 to 60, which \"-1\" is not."},
        {"*/ * * * *", "The minute field of the cron expression takes steps from 1 to 60, which \"\" is not."},
        {"5/10 * * * *",
         "The minute field of the cron expression has a step without a range: \"5/10\", which may mean \"5-59/10\"."},
        {"*/5 * * *",
         "A cron expression has five fields (minute, hour, day of month, month, day of week); this one has 4."},
        {"0 */5 * * * *",
         "A cron expression has five fields (minute, hour, day of month, month, day of week); this one has 6."},
        {"@reboot", "\"@reboot\" is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually."},
        {"0 0 30 2 *", "The cron expression names days that no month has."},
        {"0 0 31 2,4,6,9,11 *", "The cron expression names days that no month has."},
        {"10 minuts", "\"minuts\" is not a unit of time."},
        {"", "It is empty."},
    };
    for (const auto& [text, error] : cases) {
        EXPECT_EQ(error_of(text), error) << text;
    }
}

TEST(ScheduleText, SurvivesHostileText) {
    EXPECT_FALSE(parse_schedule(std::string_view("* * * * *\0", 10)));
    EXPECT_FALSE(parse_schedule(std::string_view("\0* * * *", 8)));
    EXPECT_FALSE(parse_schedule(std::string(3'000'000, '*')));
    EXPECT_FALSE(parse_schedule(std::string(3'000'000, ',') + " * * * *"));
    EXPECT_FALSE(parse_schedule(std::string(3'000'000, '9') + " * * * *"));
    std::string many = "0";
    for (int i = 0; i < 200'000; i++) {
        many += ",0-59/7";
    }
    EXPECT_TRUE(parse_schedule(many + " * * * *"));
}

TEST(ScheduleText, RandomTextNeverBreaksTheParser) {
    const unsigned seed = 20240327;
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const std::string_view alphabet = "0123456789*/,- @:.minhourdayjfebsu\n";
    for (int i = 0; i < 20'000; i++) {
        std::string text;
        for (std::size_t length = random() % 24; text.size() < length;) {
            text += alphabet[random() % alphabet.size()];
        }
        auto parsed = parse_schedule(text);
        EXPECT_EQ(parsed.error.empty(), static_cast<bool>(parsed)) << text;
    }
}

// Matches on the wall clock

struct MatchCase {
    const char* cron;
    LocalTime after;
    LocalTime next;
};

TEST(NextMatch, FindsTheFirstLaterMinute) {
    const MatchCase cases[] = {
        {"* * * * *", {2024, 1, 1, 0, 0, 0}, {2024, 1, 1, 0, 1, 0}},
        {"* * * * *", {2024, 1, 1, 0, 0, 59}, {2024, 1, 1, 0, 1, 0}},
        {"*/5 * * * *", {2024, 12, 31, 23, 55, 0}, {2025, 1, 1, 0, 0, 0}},
        {"30 2 * * *", {2024, 2, 28, 2, 30, 0}, {2024, 2, 29, 2, 30, 0}},
        {"30 2 * * *", {2024, 2, 28, 2, 29, 59}, {2024, 2, 28, 2, 30, 0}},
        {"0 0 31 * *", {2024, 1, 31, 0, 0, 0}, {2024, 3, 31, 0, 0, 0}},
        {"0 0 29 2 *", {2024, 2, 29, 0, 0, 0}, {2028, 2, 29, 0, 0, 0}},
        {"0 0 29 2 *", {2096, 2, 29, 0, 0, 0}, {2104, 2, 29, 0, 0, 0}},
        {"0 9 * * mon", {2024, 3, 27, 12, 0, 0}, {2024, 4, 1, 9, 0, 0}},
        {"0 9 * * 7", {2024, 3, 27, 12, 0, 0}, {2024, 3, 31, 9, 0, 0}},
        {"59 23 31 12 *", {2024, 12, 31, 23, 59, 0}, {2025, 12, 31, 23, 59, 0}},
        {"0 0 1 1 *", {2024, 1, 1, 0, 0, 0}, {2025, 1, 1, 0, 0, 0}},
    };
    for (const MatchCase& test : cases) {
        EXPECT_EQ(next_match(cron(test.cron), test.after), test.next) << test.cron;
    }
}

TEST(NextMatch, EitherDayFieldIsEnoughIfBothAreRestricted) {
    // 13 September 2024 is a Friday; Friday the 6th comes before it.
    EXPECT_EQ(next_match(cron("0 0 13 * fri"), {2024, 9, 1, 0, 0, 0}), (LocalTime{2024, 9, 6, 0, 0, 0}));
    EXPECT_EQ(next_match(cron("0 0 13 * fri"), {2024, 10, 11, 0, 0, 0}), (LocalTime{2024, 10, 13, 0, 0, 0}));
}

TEST(NextMatch, BothDayFieldsCountIfOneBeginsWithAStar) {
    EXPECT_EQ(next_match(cron("0 0 13 * *"), {2024, 9, 1, 0, 0, 0}), (LocalTime{2024, 9, 13, 0, 0, 0}));
    // Odd days that are Mondays, as in Vixie cron.
    EXPECT_EQ(next_match(cron("0 0 */2 * mon"), {2024, 9, 1, 0, 0, 0}), (LocalTime{2024, 9, 9, 0, 0, 0}));
}

TEST(NextMatch, GivesUpOnWhatNeverHappens) {
    Cron february_30 = cron("0 0 1 2 *");
    february_30.days = 1u << 30;
    february_30.weekdays_star = true;
    EXPECT_EQ(next_match(february_30, {2024, 1, 1, 0, 0, 0}), std::nullopt);
    EXPECT_EQ(next_match(Cron{}, {2024, 1, 1, 0, 0, 0}), std::nullopt);
}

TEST(NextMatch, RefusesImpossibleDates) {
    const LocalTime times[] = {
        {2024, 0, 1, 0, 0, 0},  {2024, 13, 1, 0, 0, 0}, {2023, 2, 29, 0, 0, 0},
        {2024, 1, 1, 24, 0, 0}, {2024, 1, 1, 0, 60, 0}, {std::numeric_limits<int>::max(), 1, 1, 0, 0, 0},
    };
    for (const LocalTime& time : times) {
        EXPECT_EQ(next_match(cron("* * * * *"), time), std::nullopt);
    }
}

// Runs

TEST(NextRun, AnIntervalCountsFromTheLastStart) {
    std::int64_t last = utc(2024, 1, 1, 12);
    EXPECT_EQ(next_run(schedule("10 min"), last, never_us, last + 60 * second_us, greenwich), last + 600 * second_us);
}

TEST(NextRun, AnIntervalThatWasMissedRunsAtOnce) {
    std::int64_t last = utc(2024, 1, 1, 12);
    EXPECT_EQ(next_run(schedule("10 min"), last, never_us, last + 24 * hour_us, greenwich), last + 24 * hour_us);
}

TEST(NextRun, AnIntervalWithoutALastStartRunsAtOnce) {
    std::int64_t now = utc(2024, 1, 1, 12, 34, 56) + 789;
    EXPECT_EQ(next_run(schedule("10 min"), std::nullopt, now, now, greenwich), now);
}

TEST(NextRun, ALastStartInTheFutureDoesNotStopTheStream) {
    std::int64_t now = utc(2024, 1, 1, 12);
    EXPECT_EQ(next_run(schedule("10 min"), utc(2094, 1, 1), never_us, now, greenwich), now + 600 * second_us);
    EXPECT_EQ(next_run(schedule("0 * * * *"), utc(2094, 1, 1), never_us, now, greenwich), utc(2024, 1, 1, 13));
}

TEST(NextRun, AnIntervalNeverOverflows) {
    std::int64_t now = std::numeric_limits<std::int64_t>::max();
    EXPECT_EQ(next_run(schedule("36525 days"), now, never_us, now, greenwich), now);
}

TEST(NextRun, CronWaitsForTheFirstMatchAfterTheLastStart) {
    std::int64_t last = utc(2024, 1, 1, 12, 0, 3);
    EXPECT_EQ(next_run(schedule("*/5 * * * *"), last, never_us, last + 60 * second_us, greenwich),
              utc(2024, 1, 1, 12, 5));
}

TEST(NextRun, CronThatWasMissedRunsOnceAtOnce) {
    std::int64_t last = utc(2024, 1, 1, 12);
    std::int64_t now = utc(2024, 1, 3, 12, 2);
    EXPECT_EQ(next_run(schedule("*/5 * * * *"), last, never_us, now, greenwich), now);
    EXPECT_EQ(next_run(schedule("*/5 * * * *"), now, never_us, now, greenwich), utc(2024, 1, 3, 12, 5));
}

TEST(NextRun, CronWithoutALastStartRunsAtTheFirstMatchSinceItWasMade) {
    auto nightly = schedule("0 3 * * *");
    std::int64_t made = utc(2024, 1, 1, 12);
    EXPECT_EQ(next_run(nightly, std::nullopt, made, made, greenwich), utc(2024, 1, 2, 3));
    EXPECT_EQ(next_run(nightly, std::nullopt, made, made + hour_us, greenwich), utc(2024, 1, 2, 3));
    std::int64_t match = utc(2024, 1, 2, 3);
    for (std::int64_t now : {match, match + 1, match + second_us, match + 24 * hour_us}) {
        EXPECT_EQ(next_run(nightly, std::nullopt, made, now, greenwich), now) << "it is due, and stays so";
    }
}

TEST(NextRun, CronDoesNotMakeUpForWhatLiesBeforeTheSchedule) {
    auto nightly = schedule("0 3 * * *");
    std::int64_t last = utc(2024, 1, 1, 3), resumed = utc(2024, 1, 5, 10);
    EXPECT_EQ(next_run(nightly, last, resumed, resumed, greenwich), utc(2024, 1, 6, 3));
    EXPECT_EQ(next_run(nightly, last, resumed, utc(2024, 1, 6, 4), greenwich), utc(2024, 1, 6, 4));
}

TEST(NextRun, AnIntervalCountsFromTheLastStartWheneverItWasResumed) {
    std::int64_t last = utc(2024, 1, 1, 3), resumed = utc(2024, 1, 1, 4);
    EXPECT_EQ(next_run(schedule("2 hours"), last, resumed, resumed, greenwich), utc(2024, 1, 1, 5));
    EXPECT_EQ(next_run(schedule("30 min"), last, resumed, resumed, greenwich), resumed);
}

TEST(Period, IsTheIntervalOrTheTimeBetweenTwoMatches) {
    using std::chrono::microseconds, std::chrono::minutes, std::chrono::hours;
    std::int64_t now = utc(2024, 1, 1, 12, 34, 56);
    EXPECT_EQ(period_of(schedule("90 s"), now, greenwich), std::chrono::seconds(90));
    EXPECT_EQ(period_of(schedule("*/10 * * * *"), now, greenwich), minutes(10));
    EXPECT_EQ(period_of(schedule("0 3 * * *"), now, greenwich), hours(24));
    EXPECT_GT(period_of(schedule("0 0 29 2 *"), now, greenwich), hours(24 * 365));
}

TEST(NextRun, CronThatNeverHappensHasNoNextRun) {
    EXPECT_EQ(next_run(Schedule{}, std::nullopt, utc(2024, 1, 1), utc(2024, 1, 1), greenwich), std::nullopt);
}

TEST(NextRun, CronFollowsTheZone) {
    EXPECT_EQ(after("0 3 * * *", utc(2024, 1, 10), madrid), utc(2024, 1, 10, 2));
    EXPECT_EQ(after("0 3 * * *", utc(2024, 7, 10), madrid), utc(2024, 7, 10, 1));
    EXPECT_EQ(after("0 3 * * *", utc(2024, 3, 30, 2), madrid), utc(2024, 3, 31, 1));
}

TEST(NextRun, InstantsBefore1970AreFloored) {
    EXPECT_EQ(after("* * * * *", -1, greenwich), 0);
    EXPECT_EQ(after("0 0 * * *", utc(1960, 5, 5, 10), greenwich), utc(1960, 5, 6));
}

// Changes of the clock

TEST(ClockForward, ASkippedTimeRunsAtTheFirstMomentAfterTheGap) {
    EXPECT_EQ(after("30 2 * * *", utc(2024, 3, 30, 1, 30), madrid), utc(2024, 3, 31, 1));
}

TEST(ClockForward, ASkippedTimeRunsOnce) {
    EXPECT_EQ(after("30 2 * * *", utc(2024, 3, 31, 1), madrid), utc(2024, 4, 1, 0, 30));
}

TEST(ClockForward, FrequentMatchesGoOnAfterTheGap) {
    EXPECT_EQ(after("*/20 * * * *", utc(2024, 3, 31, 0, 40), madrid), utc(2024, 3, 31, 1));
    EXPECT_EQ(after("*/20 * * * *", utc(2024, 3, 31, 1), madrid), utc(2024, 3, 31, 1, 20));
}

TEST(ClockForward, ADayThatWasLeftOutRunsAtTheStartOfTheNext) {
    EXPECT_EQ(after("0 12 30 12 *", utc(2011, 12, 1), apia), utc(2011, 12, 30, 10));
    EXPECT_EQ(after("30 0 31 12 *", utc(2011, 12, 1), apia), utc(2011, 12, 30, 10, 30));
}

TEST(ClockBack, ARepeatedTimeRunsTheFirstTime) {
    EXPECT_EQ(after("30 2 * * *", utc(2024, 10, 26, 0, 30), madrid), utc(2024, 10, 27, 0, 30));
}

TEST(ClockBack, ARepeatedTimeDoesNotRunAgain) {
    EXPECT_EQ(after("30 2 * * *", utc(2024, 10, 27, 0, 30), madrid), utc(2024, 10, 28, 1, 30));
    // Not even if something else was run in the meantime, before or in the repeated hour.
    EXPECT_EQ(after("30 2 * * *", utc(2024, 10, 27, 0, 50), madrid), utc(2024, 10, 28, 1, 30));
    EXPECT_EQ(after("30 2 * * *", utc(2024, 10, 27, 1, 10), madrid), utc(2024, 10, 28, 1, 30));
}

TEST(ClockBack, TheTimeRightAfterTheRepeatedHourRuns) {
    EXPECT_EQ(after("0 3 * * *", utc(2024, 10, 26, 12), madrid), utc(2024, 10, 27, 2));
}

TEST(ClockBack, FrequentMatchesGoOnThroughTheRepeatedHour) {
    std::vector<std::int64_t> runs;
    for (std::int64_t at = utc(2024, 10, 26, 23, 55); at < utc(2024, 10, 27, 3);) {
        at = after("*/30 * * * *", at, madrid);
        runs.push_back(at);
    }
    EXPECT_EQ(runs, (std::vector<std::int64_t>{utc(2024, 10, 27, 0), utc(2024, 10, 27, 0, 30), utc(2024, 10, 27, 1),
                                               utc(2024, 10, 27, 1, 30), utc(2024, 10, 27, 2), utc(2024, 10, 27, 2, 30),
                                               utc(2024, 10, 27, 3)}));
}

TEST(ClockBack, AMatchLongAfterTheRepeatedHourIsOnTheClockOfItsOwnTime) {
    // Set back twice, half a year apart: the offset in between is not the one of February.
    const Zone twice{60, {{utc(2024, 9, 1, 1), 0}, {utc(2024, 12, 1, 1), -60}}};
    EXPECT_EQ(after("*/15 * * 2 *", utc(2024, 9, 1, 0, 30), twice), utc(2025, 2, 1, 1));
}

TEST(ClockBack, HalfAnHourIsRepeatedToo) {
    // 01:30 to 02:00 comes twice on Lord Howe Island.
    EXPECT_EQ(after("45 1 * * *", utc(2024, 4, 6), lord_howe), utc(2024, 4, 6, 14, 45));
    EXPECT_EQ(after("45 1 * * *", utc(2024, 4, 6, 14, 45), lord_howe), utc(2024, 4, 7, 15, 15));
    EXPECT_EQ(after("*/15 * * * *", utc(2024, 4, 6, 14, 45), lord_howe), utc(2024, 4, 6, 15));
}

TEST(NextRun, IsAlwaysLaterThanTheLastStartAndMatchesOrFollowsAGap) {
    for (const Zone* zone : {&madrid, &lord_howe}) {
        for (const char* text : {"*/7 * * * *", "13,47 1-3 * * *", "0 */2 * * *"}) {
            const Cron parsed = cron(text);
            std::int64_t at = utc(2024, 3, 28);
            for (int i = 0; i < 3000; i++) {
                std::int64_t next = after(text, at, *zone);
                ASSERT_GT(next, at) << text;
                LocalTime wall = (*zone)(next);
                bool matches = (parsed.minutes >> wall.minute & 1) != 0 && (parsed.hours >> wall.hour & 1) != 0;
                bool after_gap = false;
                for (const Zone::Change& change : zone->changes) {
                    after_gap = after_gap || next == change.from_us;
                }
                ASSERT_TRUE(matches || after_gap) << text << " " << next;
                at = next;
            }
        }
    }
}

// The time before

TEST(LastDue, IsTheMatchAtOrBeforeNow) {
    auto daily = schedule("0 5 * * *");
    EXPECT_EQ(last_due(daily, utc(2024, 1, 10, 5), greenwich), utc(2024, 1, 10, 5));
    EXPECT_EQ(last_due(daily, utc(2024, 1, 10, 5) - 1, greenwich), utc(2024, 1, 9, 5));
    EXPECT_EQ(last_due(daily, utc(2024, 1, 10, 4), madrid), utc(2024, 1, 10, 4));
    EXPECT_EQ(last_due(schedule("30 6 * * mon"), utc(2024, 1, 10), greenwich), utc(2024, 1, 8, 6, 30));
    EXPECT_EQ(last_due(schedule("0 0 29 2 *"), utc(2103, 1, 1), greenwich), utc(2096, 2, 29));
    EXPECT_EQ(last_due(schedule("* * 1 1 *"), utc(2024, 12, 1), greenwich), utc(2024, 1, 1, 23, 59));
    EXPECT_EQ(last_due(schedule("2 hours"), utc(2024, 1, 10, 5), greenwich), utc(2024, 1, 10, 3));
}

TEST(LastDue, KnowsTheChangesOfTheClock) {
    // 02:30 is left out on 31 March: it was due at 03:00 summer time. On 27 October it was due the first time.
    EXPECT_EQ(last_due(schedule("30 2 * * *"), utc(2024, 3, 31, 12), madrid), utc(2024, 3, 31, 1));
    EXPECT_EQ(last_due(schedule("30 2 * * *"), utc(2024, 10, 27, 12), madrid), utc(2024, 10, 27, 0, 30));
}

TEST(LastDue, IsWhatNextRunWouldHaveSaid) {
    const unsigned seed = 99;
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const char* crons[] = {"*/5 * * * *", "0 5 * * *", "30 2 * * *", "0 */6 * * 1-6", "15 1,2,3 27 * *", "0 0 1 * *"};
    for (int i = 0; i < 2000; i++) {
        auto when = schedule(crons[random() % std::size(crons)]);
        const Zone& zone = random() % 2 == 0 ? madrid : lord_howe;
        std::int64_t now = utc(2024, 2, 1) + static_cast<std::int64_t>(random() % (400 * 86400)) * second_us;
        auto due = last_due(when, now, zone);
        ASSERT_TRUE(due);
        ASSERT_LE(*due, now);
        ASSERT_EQ(next_run(when, *due - 1, never_us, *due - 1, zone), due);
        ASSERT_GT(*next_run(when, *due, never_us, *due, zone), now);
    }
}

TEST(DataDue, LeavesARunTimeToEnd) {
    auto daily = schedule("0 5 * * *");
    std::int64_t five = utc(2024, 1, 10, 5), before = utc(2024, 1, 9, 5);
    EXPECT_EQ(data_due(daily, five + 14 * 60 * second_us, false, greenwich), before);
    EXPECT_EQ(data_due(daily, five + 15 * 60 * second_us, false, greenwich), five);
    EXPECT_EQ(data_due(daily, five + 15 * 60 * second_us, true, greenwich), before);
    auto often = schedule("* * * * *");
    EXPECT_EQ(data_due(often, five, false, greenwich), five - 15 * 60 * second_us);
    EXPECT_EQ(data_due(schedule("10 s"), five, true, greenwich), five - (15 * 60 + 10) * second_us);
    EXPECT_EQ(data_due(schedule("6 h"), five, false, greenwich), five - 6 * hour_us);
    EXPECT_EQ(data_due(schedule("6 h"), five, true, greenwich), five - 12 * hour_us - 1);
}

TEST(Clock, SkippedHours) {
    auto skipped = [](const Zone& zone, int month, int day, int hour) {
        return is_skipped_hour(utc(2024, month, day, hour), zone);
    };
    EXPECT_TRUE(skipped(madrid, 3, 31, 2));
    EXPECT_FALSE(skipped(madrid, 3, 31, 1));
    EXPECT_FALSE(skipped(madrid, 3, 31, 3));
    EXPECT_FALSE(skipped(madrid, 10, 27, 2));
    EXPECT_FALSE(skipped(madrid, 6, 1, 2));
    EXPECT_FALSE(skipped(lord_howe, 10, 6, 2));  // half of it happens
    EXPECT_TRUE(is_skipped_hour(utc(2011, 12, 30, 12), apia));
    EXPECT_FALSE(is_skipped_hour(utc(2011, 12, 31, 0), apia));
}

}  // namespace
}  // namespace insync
