// Pauses after failures.
#include "bgworker/clock/back_off.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace insync {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(BackOff, DoublesToAnHour) {
    BackOff back_off{minutes(1), true, 3};
    const minutes expected[] = {minutes(1), minutes(2), minutes(4), minutes(8), minutes(16), minutes(32), minutes(60)};
    long failures = 1;
    for (auto pause : expected) EXPECT_EQ(back_off.pause_after(failures++), pause) << failures;
    EXPECT_EQ(back_off.pause_after(std::numeric_limits<int>::max()), hours(1));
}

TEST(BackOff, FixedRetriesGrowOnlyWhenTheyAreUsedUp) {
    BackOff back_off{minutes(20), false, 3};
    const minutes expected[] = {minutes(20), minutes(20), minutes(20), minutes(40), minutes(60), minutes(60)};
    long failures = 1;
    for (auto pause : expected) EXPECT_EQ(back_off.pause_after(failures++), pause) << failures;
}

TEST(BackOff, WithoutRetriesTheFirstPauseIsTheFirst) {
    for (bool doubles : {true, false}) {
        BackOff back_off{seconds(5), doubles, 0};
        EXPECT_EQ(back_off.pause_after(1), seconds(5));
        EXPECT_EQ(back_off.pause_after(2), seconds(10));
    }
}

TEST(BackOff, NeverShrinks) {
    for (milliseconds first :
         {milliseconds(1000), milliseconds(7777), milliseconds(hours(3)), milliseconds(hours(24))}) {
        for (bool doubles : {true, false}) {
            for (long retries : {0, 1, 3, 100}) {
                BackOff back_off{first, doubles, retries};
                for (long failures = 1; failures < 200; failures++) {
                    ASSERT_GE(back_off.pause_after(failures + 1), back_off.pause_after(failures));
                    ASSERT_LE(back_off.pause_after(failures), std::max<milliseconds>(first, longest_pause));
                }
            }
        }
    }
}

TEST(BackOff, RefusedLoginsAreRare) {
    EXPECT_EQ(pause_after_refused_login(1), minutes(15));
    EXPECT_EQ(pause_after_refused_login(2), minutes(30));
    EXPECT_EQ(pause_after_refused_login(3), hours(1));
    EXPECT_EQ(pause_after_refused_login(1000), hours(1));
}

TEST(BackOff, WhatASourceAsksForIsADayAtMost) {
    EXPECT_EQ(asked_pause(1500).count(), 1500);
    EXPECT_EQ(asked_pause(0).count(), 0);
    EXPECT_EQ(asked_pause(7L * 86'400'000), hours(24));
}

}  // namespace
}  // namespace insync
