// Which columns' days are filled so steadily that an empty one means something.
#include "bgworker/gaps/steadiness.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace insync {
namespace {

constexpr WallUs monday = 19723 * wall_day;  // 2024-01-01

// So many days from that Monday on, with the rows that `rows` says; now is the noon after them.
Series days(int count, const std::function<std::int64_t(int)>& rows) {
    Series series;
    for (int day = 0; day < count; day++) {
        Slice slice;
        slice.begin = monday + day * wall_day, slice.rows = rows(day);
        if (slice.rows > 0) series.slices.push_back(slice);
    }
    series.now = monday + count * wall_day + 12 * wall_hour;
    return series;
}

Steadiness::Kind kind_of(const Series& series, std::int64_t without_time = 0) {
    return judge_steadiness(series, without_time).kind;
}

constexpr auto steady = Steadiness::Kind::steady, unsteady = Steadiness::Kind::unsteady,
               too_few = Steadiness::Kind::too_few;

TEST(Steadiness, DaysThatAreFilledAre) {
    EXPECT_EQ(kind_of(days(400, [](int) { return 20; })), steady);
    EXPECT_EQ(kind_of(days(14, [](int) { return 1; })), steady);
    EXPECT_EQ(kind_of(days(400, [](int day) { return day % 7 == 6 ? 0 : 20; })), steady) << "closed on Sundays";
    EXPECT_EQ(kind_of(days(400, [](int day) { return day % 7 == 0 ? 20 : 0; })), steady) << "once a week";
    EXPECT_EQ(kind_of(days(400, [](int day) { return day >= 212 && day < 243 ? 0 : 20; })), steady) << "a hole";
    EXPECT_EQ(kind_of(days(400, [](int day) { return day % 30 == 10 ? 0 : 20; })), steady) << "some days are missing";
}

TEST(Steadiness, DaysThatAreOftenEmptyAreNot) {
    std::mt19937 random(7);
    for (double share : {0.3, 0.5, 0.7, 0.9}) {
        std::bernoulli_distribution empty(share);
        EXPECT_EQ(kind_of(days(400, [&](int) { return empty(random) ? 0 : 3; })), unsteady) << share;
    }
    EXPECT_EQ(kind_of(days(800, [](int day) { return day % 365 < 120 ? 50 : 0; })), unsteady) << "a season";
    EXPECT_EQ(kind_of(days(400, [](int day) { return day % 30 == 0 ? 50 : 0; })), unsteady) << "once a month";
}

TEST(Steadiness, ADeliveryDayIsNot) {
    auto series = days(400, [](int) { return 20; });
    for (int day = 402; day < 410; day++) {
        Slice slice;
        slice.begin = monday + day * wall_day, slice.rows = 10;
        series.slices.push_back(slice);
    }
    const auto found = judge_steadiness(series, 0);
    EXPECT_EQ(found.kind, unsteady);
    EXPECT_EQ(found.reason, "80 of 8080 rows are dated in the future");
    series.slices.resize(400);
    EXPECT_EQ(kind_of(series), steady);
    EXPECT_EQ(kind_of(series, 4000), unsteady) << "a third of the rows have no time";
    EXPECT_EQ(kind_of(series, 100), steady);
    Slice slip;
    slip.begin = monday + 36500 * wall_day, slip.rows = 1;
    series.slices.push_back(slip);
    EXPECT_EQ(kind_of(series), steady) << "a slip of the pen";
}

TEST(Steadiness, FewDaysTellNothing) {
    EXPECT_EQ(kind_of(days(0, [](int) { return 1; })), too_few);
    EXPECT_EQ(kind_of(days(13, [](int) { return 1; })), too_few);
    EXPECT_EQ(kind_of(days(331, [](int day) { return day == 0 ? 1 : 0; })), too_few) << "one row";
    EXPECT_EQ(kind_of(days(30, [](int day) { return day % 3 == 0 ? 1 : 0; })), too_few) << "may become once a week";
    EXPECT_EQ(kind_of(days(20, [](int day) { return day % 7 == 6 ? 0 : 1; })), too_few) << "nor are Sundays known";
}

TEST(Steadiness, WhatHasEndedIsNot) {
    EXPECT_EQ(kind_of(days(400, [](int day) { return day < 300 ? 20 : 0; })), unsteady);
    const auto found = judge_steadiness(days(400, [](int day) { return day < 397 ? 20 : 0; }), 0);
    EXPECT_EQ(found.kind, steady);
    EXPECT_EQ(found.lag, 3);
    // A Sunday is no delay.
    EXPECT_EQ(judge_steadiness(days(350, [](int day) { return day % 7 == 6 ? 0 : 20; }), 0).lag, 0);
}

TEST(Steadiness, RowsThatMove) {
    EXPECT_FALSE(moves_too_much(0, 100, true));
    EXPECT_TRUE(moves_too_much(1, 100000, true));
    EXPECT_FALSE(moves_too_much(1, 100, false));
    EXPECT_TRUE(moves_too_much(3, 100, false));
}

// Random streams that are filled with some chance each day, judged day by day from their 400th on: no warning while
// nothing is wrong, and one where something is.
TEST(Steadiness, NoHealthyStreamWarnsAndEachStoppedOneDoes) {
    const int given = GTEST_FLAG_GET(random_seed);
    const unsigned seed = given != 0 ? static_cast<unsigned>(given) : 11;
    RecordProperty("seed", static_cast<int>(seed));
    std::mt19937 random(seed);
    int judged = 0, warned = 0;
    for (int stream = 0; stream < 60; stream++) {
        std::poisson_distribution<std::int64_t> sales(std::exp2(stream % 10 - 1));  // half a row a day to 256
        const bool closed = stream % 3 == 0, august = stream % 4 == 0;
        std::vector<std::int64_t> rows;
        for (int day = 0; day < 800; day++) {
            const bool holidays = august && day % 365 >= 212 && day % 365 < 230;
            rows.push_back((closed && day % 7 == 6) || holidays ? 0 : sales(random));
        }
        auto until = [&](int day) {
            auto series = days(day, [&](int n) { return rows[static_cast<std::size_t>(n)]; });
            series.due = monday + day * wall_day;
            series.read_since_due = true;
            series.settled_until = series.now;
            return series;
        };
        const auto first = judge_steadiness(until(400), 0);
        if (first.kind != steady) continue;
        judged++;
        auto worst = [&](int day) {
            auto series = until(day);
            series.lag = first.lag;
            series.first_read = monday + 400 * wall_day;
            Severity severity = Severity::ok;
            for (const Gap& gap : find_gaps(judge(series))) severity = std::max(severity, severity_of(gap, {}));
            return severity;
        };
        for (int day = 400; day < 442; day++) warned += worst(day) >= Severity::warning ? 1 : 0;
        for (int day = 442; day < 475; day++) rows[static_cast<std::size_t>(day)] = 0;
        EXPECT_GE(worst(475), Severity::warning) << "stream " << stream << " seed " << seed;
    }
    EXPECT_GT(judged, 30);
    EXPECT_EQ(warned, 0) << "seed " << seed;
}

}  // namespace
}  // namespace insync
