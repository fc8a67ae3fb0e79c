// What a slice usually holds, learned from its neighbours: noise, seasons and growth aren't short, a day cut to 1% is.
#include "bgworker/gaps/expected_volume.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "bgworker/gaps/gaps.hpp"

namespace insync {
namespace {

constexpr WallUs monday = 19723 * wall_day;  // 2024-01-01

// --gtest_random_seed=N has these tests look at other series.
unsigned seed_or(unsigned usual) {
    int given = GTEST_FLAG_GET(random_seed);
    return given != 0 ? static_cast<unsigned>(given) : usual;
}

struct Shop {
    std::vector<double> rows;    // of each day from that Monday on
    std::vector<double> levels;  // of which they are noise
};

Shop steady(std::size_t days, double rows) {
    return {std::vector<double>(days, rows), {}};
}

// A shop with a pattern of the week, a December of three times the volume, growth to ten times in three years, and
// noise: the logarithm of a day's rows varies by `sigma`.
Shop open_shop(std::mt19937& random, double base, double sigma, bool grows, int days = 400) {
    std::normal_distribution<double> noise(0, sigma);
    std::uniform_real_distribution<double> share(0.3, 2);
    double week[7];
    for (double& day : week) day = share(random);
    Shop shop;
    for (int day = 0; day < days; day++) {
        double level = base * week[day % 7];
        if (grows) level *= std::pow(10, day / (3 * 365.0));
        if (day % 365 >= 334) level *= 3;
        shop.levels.push_back(level);
        std::poisson_distribution<std::int64_t> count(level * std::exp(noise(random)));
        shop.rows.push_back(static_cast<double>(count(random)));
    }
    return shop;
}

Series series_of(const Shop& shop) {
    Series series;
    for (std::size_t day = 0; day < shop.rows.size(); day++) {
        Slice slice;
        slice.begin = monday + static_cast<WallUs>(day) * wall_day;
        slice.rows = static_cast<std::int64_t>(shop.rows[day]);
        series.slices.push_back(slice);
    }
    series.now = series.due = monday + static_cast<WallUs>(shop.rows.size()) * wall_day;
    return series;
}

std::vector<int> short_days(const Series& series) {
    std::vector<int> days;
    for (const Judged& item : judge(series)) {
        if (item.verdict == Verdict::fewer) days.push_back(static_cast<int>((item.begin - monday) / wall_day));
    }
    return days;
}

TEST(ExpectedVolume, NoNormalDayIsShort) {
    const unsigned seed = seed_or(20261122);
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    for (int i = 0; i < 1000; i++) {
        double sigma = 0.5 * (i % 10 + 1) / 10;
        double base = std::pow(10, 1 + i % 4);
        auto found = short_days(series_of(open_shop(random, base, sigma, i % 2 == 0)));
        EXPECT_TRUE(found.empty()) << "series " << i << " of noise " << sigma << ", day " << found[0] << " of "
                                   << found.size();
    }
}

TEST(ExpectedVolume, NoNormalDayOfAYoungStreamIsShort) {
    const unsigned seed = seed_or(7);
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    int falsely = 0;
    for (int i = 0; i < 1000; i++) {
        auto shop = open_shop(random, 2000, 0.3, false, 9 + i % 60);
        falsely += static_cast<int>(short_days(series_of(shop)).size());
    }
    EXPECT_EQ(falsely, 0);
}

TEST(ExpectedVolume, ADayThatWasCutToAHundredthIsAlwaysFound) {
    const unsigned seed = seed_or(42);
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    for (int i = 0; i < 1000; i++) {
        auto shop = open_shop(random, 20000, 0.5 * (i % 10 + 1) / 10, i % 2 == 0);
        std::size_t day = 1 + random() % (shop.rows.size() - 1);
        shop.rows[day] = std::floor(shop.levels[day] / 100);
        EXPECT_EQ(short_days(series_of(shop)), std::vector{static_cast<int>(day)}) << "series " << i;
    }
}

TEST(ExpectedVolume, FortyRowsWhereTwentyThousandAreUsual) {
    Shop shop = steady(60, 20000);
    shop.rows[33] = 40;
    EXPECT_EQ(short_days(series_of(shop)), std::vector{33});
    for (const Judged& item : judge(series_of(shop))) {
        if (item.verdict == Verdict::fewer) {
            EXPECT_EQ(item.expected, 20000);
        }
    }
}

TEST(ExpectedVolume, SeveralCutDaysDoNotHideEachOther) {
    Shop shop = steady(200, 5000);
    std::vector<int> cut;
    for (int day = 60; day < 74; day++) cut.push_back(day), shop.rows[static_cast<std::size_t>(day)] = 30;
    EXPECT_EQ(short_days(series_of(shop)), cut);
}

TEST(ExpectedVolume, SmallVolumesAreNeverShort) {
    Shop shop = steady(60, 9);
    shop.rows[33] = 1;
    EXPECT_TRUE(short_days(series_of(shop)).empty());
}

TEST(ExpectedVolume, NothingIsKnownOfAFewDays) {
    Shop shop = steady(8, 20000);
    shop.rows[5] = 40;
    EXPECT_TRUE(short_days(series_of(shop)).empty());  // 7 others
    shop.rows.push_back(20000);
    EXPECT_EQ(short_days(series_of(shop)), std::vector{5});
}

TEST(ExpectedVolume, TheShareIsAnOption) {
    Shop shop = steady(60, 20000);
    shop.rows[20] = 11000;
    auto series = series_of(shop);
    EXPECT_TRUE(short_days(series).empty());
    series.short_below = 0.6;
    EXPECT_EQ(short_days(series), std::vector{20});
    series.short_below = 0;
    series.slices[30].rows = 1;
    EXPECT_TRUE(short_days(series).empty());
}

TEST(ExpectedVolume, TheFirstDayMayHaveBegunAtNoon) {
    Shop shop = steady(60, 20000);
    shop.rows[0] = 100;
    EXPECT_TRUE(short_days(series_of(shop)).empty());
}

TEST(ExpectedVolume, GroupsHaveTheirOwnNoise) {
    // Mondays hold anything from 10 to 10,000; other days are as good as constant.
    std::mt19937 random(5);
    Shop shop;
    for (int day = 0; day < 350; day++) {
        double level = day % 7 == 0 ? std::pow(10, 1 + 3 * std::generate_canonical<double, 32>(random)) : 1000;
        shop.rows.push_back(std::floor(level));
    }
    EXPECT_TRUE(short_days(series_of(shop)).empty());
    shop.rows[100] = 100;
    EXPECT_EQ(short_days(series_of(shop)), std::vector{100});
}

TEST(ExpectedVolume, HoursAreComparedWithTheSameHourOfTheWeek) {
    Series series;
    series.unit = SliceUnit::hour;
    for (int hour = 0; hour < 24 * 7 * 10; hour++) {
        Slice slice;
        slice.begin = monday + hour * wall_hour;
        slice.rows = hour % 24 < 8 ? 20 : 4000;
        series.slices.push_back(slice);
    }
    series.now = series.due = monday + 24 * 7 * 10 * wall_hour;
    series.slices[24 * 7 * 5 + 12].rows = 20;  // as at night
    auto gaps = find_gaps(judge(series));
    ASSERT_EQ(gaps.size(), 1u);
    EXPECT_EQ(gaps[0].kind, Verdict::fewer);
    EXPECT_EQ(gaps[0].begin, monday + (24 * 7 * 5 + 12) * wall_hour);
    EXPECT_EQ(gaps[0].expected, 4000);
}

// WeekdayPattern

std::vector<WeekdayPattern::Day> days(int count, const std::function<bool(int)>& empty) {
    std::vector<WeekdayPattern::Day> all;
    for (int day = 0; day < count; day++) all.push_back({monday + day * wall_day, empty(day)});
    return all;
}

TEST(WeekdayPattern, SundaysOfAClosedShop) {
    WeekdayPattern habits(SliceUnit::day, days(100, [](int day) { return day % 7 == 6 && day != 34; }));
    EXPECT_TRUE(habits.usually_empty(monday + 6 * wall_day));
    EXPECT_FALSE(habits.usually_empty(monday + 5 * wall_day));
}

TEST(WeekdayPattern, AHoleIsNoHabit) {
    WeekdayPattern habits(SliceUnit::day, days(400, [](int day) { return day >= 20 && day < 380; }));
    for (int day = 0; day < 7; day++) EXPECT_FALSE(habits.usually_empty(monday + day * wall_day));
}

TEST(WeekdayPattern, SomeTablesGainRowsNowAndThen) {
    WeekdayPattern habits(SliceUnit::day, days(400, [](int day) { return day % 9 != 0; }));
    for (int day = 0; day < 7; day++) EXPECT_TRUE(habits.usually_empty(monday + day * wall_day));
    WeekdayPattern monthly(SliceUnit::day, days(400, [](int day) { return day % 30 != 0; }));
    for (int day = 0; day < 7; day++) EXPECT_TRUE(monthly.usually_empty(monday + day * wall_day));
}

TEST(WeekdayPattern, FewDaysAreNoHabit) {
    WeekdayPattern habits(SliceUnit::day, days(20, [](int day) { return day % 7 == 6; }));
    EXPECT_FALSE(habits.usually_empty(monday + 6 * wall_day));
}

TEST(WeekdayPattern, DaysThatAreEmptyByChanceAreUsual) {
    // Of 400 days with 5 rows each, two in a row are empty in one stream of 55, three in one of 8,000; a day with 12 is
    // empty in one of 400.
    WeekdayPattern habits(SliceUnit::day, days(400, [](int) { return false; }));
    EXPECT_EQ(habits.usual_stretch(5), 2u);
    EXPECT_EQ(habits.usual_stretch(11), 1u);
    EXPECT_EQ(habits.usual_stretch(12), 0u);
}

TEST(WeekdayPattern, NightsOfHours) {
    std::vector<WeekdayPattern::Day> hours;
    for (int hour = 0; hour < 24 * 7 * 8; hour++) {
        bool sunday = hour / 24 % 7 == 6;
        hours.push_back({monday + hour * wall_hour, sunday || hour % 24 < 9 || hour % 24 > 20});
    }
    WeekdayPattern habits(SliceUnit::hour, hours);
    EXPECT_TRUE(habits.usually_empty(monday + 3 * wall_hour));
    EXPECT_TRUE(habits.usually_empty(monday + (6 * 24 + 12) * wall_hour));
    EXPECT_FALSE(habits.usually_empty(monday + 12 * wall_hour));
}

}  // namespace
}  // namespace insync
