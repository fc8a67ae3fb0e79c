// A total that stands and that all rows came to is the only proof that no row is missing.
#include "bgworker/connector/rest/gap_watch.hpp"

#include <gtest/gtest.h>

namespace insync::rest {
namespace {

TEST(GapWatch, TheTotalThatAllRowsComeToMeansNoGap) {
    GapWatch watch;
    watch.note_page(3, {1, 2});
    watch.note_page(3, {3});
    EXPECT_FALSE(watch.may_have_gaps());
}

TEST(GapWatch, ARowOnTwoPagesHidesAnotherOne) {
    GapWatch watch;
    watch.note_page(3, {1, 2});
    watch.note_page(3, {2});
    EXPECT_TRUE(watch.may_have_gaps());
}

TEST(GapWatch, ATotalThatChangesProvesNothing) {
    GapWatch watch;
    watch.note_page(3, {1, 2});
    watch.note_page(2, {});
    EXPECT_TRUE(watch.may_have_gaps());
    watch.note_page(3, {3});  // a row came and another one went
    EXPECT_TRUE(watch.may_have_gaps());
}

TEST(GapWatch, WithoutATotalNothingIsProved) {
    GapWatch watch;
    watch.note_page(std::nullopt, {1, 2});
    EXPECT_TRUE(watch.may_have_gaps());
    watch.note_page(2, {});
    EXPECT_TRUE(watch.may_have_gaps());
}

}  // namespace
}  // namespace insync::rest
