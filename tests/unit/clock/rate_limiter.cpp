// Requests to a server follow each other at its pace, whoever asks; servers don't wait for each other.
#include "bgworker/clock/rate_limiter.hpp"

#include <gtest/gtest.h>

#include <array>

namespace insync {
namespace {

TEST(RequestSlot, TurnsFollowEachOtherAtTheInterval) {
    std::array<RequestSlot, 4> slots{};
    EXPECT_EQ(next_slot(slots, 1, 7, 1000, 100, 0), 1000);
    EXPECT_EQ(next_slot(slots, 1, 7, 1000, 100, 0), 1100);
    EXPECT_EQ(next_slot(slots, 1, 7, 1050, 100, 0), 1200);
    EXPECT_EQ(next_slot(slots, 1, 7, 5000, 100, 0), 5000) << "a pause isn't saved up";
}

TEST(RequestSlot, IsEachServersOwn) {
    std::array<RequestSlot, 4> slots{};
    next_slot(slots, 1, 7, 1000, 100, 0);
    EXPECT_EQ(next_slot(slots, 1, 8, 1000, 100, 0), 1000);
    EXPECT_EQ(next_slot(slots, 2, 7, 1000, 100, 0), 1000);
    EXPECT_EQ(next_slot(slots, 1, 7, 1000, 100, 0), 1100);
}

TEST(RequestSlot, AHoldIsEverybodys) {
    std::array<RequestSlot, 4> slots{};
    EXPECT_EQ(next_slot(slots, 1, 7, 1000, 0, 500), 1500);
    EXPECT_EQ(next_slot(slots, 1, 7, 1001, 0, 0), 1500);
    EXPECT_EQ(next_slot(slots, 1, 7, 1002, 10, 200), 1500) << "a shorter one doesn't lift it";
    EXPECT_EQ(next_slot(slots, 1, 7, 1003, 0, 0), 1510);
}

TEST(RequestSlot, WithoutRoomTheOneThatIsFreeSoonestGoes) {
    std::array<RequestSlot, 2> slots{};
    next_slot(slots, 1, 1, 1000, 900, 0);
    next_slot(slots, 1, 2, 1000, 100, 0);
    EXPECT_EQ(next_slot(slots, 1, 3, 1000, 50, 0), 1000);
    EXPECT_EQ(next_slot(slots, 1, 1, 1000, 0, 0), 1900) << "it kept its slot";
}

}  // namespace
}  // namespace insync
