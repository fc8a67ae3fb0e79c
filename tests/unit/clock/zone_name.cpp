// Names of time zones: ISO 8601 offsets mean what people mean, and what only POSIX reads so is refused.
#include "bgworker/clock/zone_name.hpp"

#include <gtest/gtest.h>

namespace insync {
namespace {

TEST(ZoneName, OffsetsCountEastOfGreenwich) {
    EXPECT_EQ(server_zone("-05:00"), "<-05:00>+05:00");
    EXPECT_EQ(server_zone("-0500"), "<-05:00>+05:00");
    EXPECT_EQ(server_zone("-05"), "<-05:00>+05:00");
    EXPECT_EQ(server_zone("+05:45"), "<+05:45>-05:45");
    EXPECT_EQ(server_zone("Z"), "UTC");
    EXPECT_EQ(server_zone("-00:00"), "UTC");
}

TEST(ZoneName, NamesStayAsTheyAre) {
    for (const char* name :
         {"", "Europe/Madrid", "UTC", "EST5EDT", "pst8pdt", "Etc/GMT0", "GMT+0", "GMT-0", "GMT0", "CET"}) {
        EXPECT_EQ(server_zone(name), name);
        EXPECT_FALSE(zone_problem(name)) << name;
    }
    for (const char* offset : {"-05:00", "+02", "+0530", "Z"}) EXPECT_FALSE(zone_problem(offset)) << offset;
}

TEST(ZoneName, WhatPosixReadsOtherwiseIsRefusedWithTheRightSpelling) {
    const std::pair<const char*, const char*> spellings[] = {
        {"UTC-5", "Write '-05:00', or '+05:00' if that is what you mean."},
        {"utc +5:30", "Write '+05:30', or '-05:30' if that is what you mean."},
        {"GMT+0200", "Write '+02:00', or '-02:00' if that is what you mean."},
        {"Etc/GMT+5", "Write '-05:00' for that, or '+05:00' for the opposite."},
        {"EST5", "Write '-05:00' for that, or '+05:00' for the opposite."},
        {"-5", "Write '-05:00'."},
        {"+5:30", "Write '+05:30'."},
        {"<-05>5", "Write '-05:00' for that, or '+05:00' for the opposite."},
        {"EST5EDT,M3.2.0,M11.1.0", "Write a name such as 'Europe/Madrid', or an offset such as '+02:00'."},
        {"+25:00", "Write a name such as 'Europe/Madrid', or an offset such as '+02:00'."},
        {"+02:0", "Write a name such as 'Europe/Madrid', or an offset such as '+02:00'."},
        {"5", "Write '+05:00'."},
    };
    for (const auto& [zone, hint] : spellings) {
        const std::optional<ZoneProblem> problem = zone_problem(zone);
        ASSERT_TRUE(problem) << zone;
        EXPECT_EQ(problem->hint, hint) << zone;
    }
}

}  // namespace
}  // namespace insync
