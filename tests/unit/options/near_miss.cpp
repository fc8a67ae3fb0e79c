// Which word is suggested for a misspelt one, and when none is.
#include "bgworker/options/near_miss.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace insync {
namespace {

const std::vector<std::string> names = {"driver", "dsn", "host", "port", "database", "connection_string", "año_fiscal"};

std::string nearest(std::string_view word) {
    return closest(word, names);
}

TEST(NearMiss, FindsAWordWithOneLetterMissing) {
    EXPECT_EQ(nearest("drivr"), "driver");
}
TEST(NearMiss, FindsAWordWithALetterTooMany) {
    EXPECT_EQ(nearest("hosts"), "host");
}
TEST(NearMiss, FindsAWordWithAWrongLetter) {
    EXPECT_EQ(nearest("porr"), "port");
}
TEST(NearMiss, CountsSwappedNeighboursAsOneChange) {
    EXPECT_EQ(nearest("dns"), "dsn");
}
TEST(NearMiss, IgnoresCaseAndGivesTheCandidatesSpelling) {
    EXPECT_EQ(nearest("DATABASE"), "database");
}
TEST(NearMiss, CountsAnAccentedLetterAsOneChange) {
    EXPECT_EQ(nearest("ano_fiscal"), "año_fiscal");
}
TEST(NearMiss, AllowsAThirdOfALongWord) {
    EXPECT_EQ(nearest("conexion_strng"), "connection_string");
}
TEST(NearMiss, FindsNothingFarAway) {
    EXPECT_EQ(nearest("lookback"), "");
}
TEST(NearMiss, FindsNothingForShortWordsThatShareNothing) {
    EXPECT_EQ(nearest("x"), "");
}
TEST(NearMiss, FindsNothingForTheEmptyWord) {
    EXPECT_EQ(nearest(""), "");
}
TEST(NearMiss, FindsNothingAmongNoCandidates) {
    EXPECT_EQ(closest("host", std::vector<std::string>{}), "");
}

TEST(NearMiss, PrefersTheNearestCandidate) {
    const std::vector<std::string_view> columns = {"updated_on", "updated_at", "updated_by"};
    EXPECT_EQ(closest("updated_att", columns), "updated_at");
}

TEST(NearMiss, PrefersTheFirstOfEquallyNearCandidates) {
    const std::vector<std::string_view> columns = {"ware", "wart"};
    EXPECT_EQ(closest("warx", columns), "ware");
}

TEST(NearMiss, SurvivesHostileWords) {
    EXPECT_EQ(nearest(std::string(10'000'000, 'a')), "");
    EXPECT_EQ(nearest(std::string_view("ho\0st", 5)), "host");
    EXPECT_EQ(nearest("\x80\xFF\xC3"), "");
    EXPECT_EQ(nearest(std::string(256, '\xBF')), "");
}

}  // namespace
}  // namespace insync
