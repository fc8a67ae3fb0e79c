// The message of a GraphQL error, and how long a throttled request waits.
#include "bgworker/connector/rest/answer/graph_error.hpp"

#include <gtest/gtest.h>

namespace insync::rest {
namespace {

constexpr const char* throttled = R"([{"message": "Throttled", "extensions": {"code": "THROTTLED"}}])";

TEST(GraphError, TheFirstMessageIsTold) {
    const GraphError error = graph_error("{}", R"([{"message": "no field x"}, {"message": "no field y"}])");
    EXPECT_EQ(error.message, "no field x");
    EXPECT_FALSE(error.wait);
}

TEST(GraphError, WhatIsNoListOfMessagesIsToldAsItIs) {
    EXPECT_EQ(graph_error("{}", R"("broken")").message, "broken");
    EXPECT_EQ(graph_error("{}", R"([{"code": 7}])").message, R"([{"code": 7}])");
    EXPECT_EQ(graph_error("{}", "[not JSON").message, "[not JSON");
}

TEST(GraphError, AThrottledRequestWaitsUntilItsCostIsRestored) {
    const GraphError error = graph_error(R"({"extensions": {"cost": {"requestedQueryCost": 300, "throttleStatus":
        {"currentlyAvailable": 100, "restoreRate": 50}}}})",
                                         throttled);
    ASSERT_TRUE(error.wait);
    EXPECT_DOUBLE_EQ(*error.wait, 4);
}

TEST(GraphError, AThrottledRequestWithoutACostWaitsASecondAndNeverLongerThanAMinute) {
    EXPECT_DOUBLE_EQ(*graph_error("{}", throttled).wait, 1);
    const char* dear = R"({"extensions": {"cost": {"requestedQueryCost": 1e9, "throttleStatus": {"restoreRate": 1}}}})";
    EXPECT_DOUBLE_EQ(*graph_error(dear, throttled).wait, 60);
}

}  // namespace
}  // namespace insync::rest
