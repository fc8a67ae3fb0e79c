// Which watermark is later, and where the source's clock stands among them.
#include "bgworker/connector/rest/watermark_order.hpp"

#include <gtest/gtest.h>

namespace insync::rest {
namespace {

WatermarkOrder times(std::optional<std::int64_t> zone_offset_s = std::nullopt) {
    WatermarkOrder order("", zone_offset_s);
    order.set_kind(WatermarkKind::time);
    return order;
}

TEST(WatermarkOrder, TheKindFollowsFromTheFirstWatermark) {
    const WatermarkOrder order;
    EXPECT_EQ(order.kind_of(true, "5"), WatermarkKind::integer);
    EXPECT_EQ(order.kind_of(false, "2026-01-01T00:00:00Z"), WatermarkKind::time);
    EXPECT_EQ(order.kind_of(false, "abc"), WatermarkKind::text);
    EXPECT_EQ(WatermarkOrder("epoch_ms", {}).kind_of(false, "5"), WatermarkKind::integer);
}

TEST(WatermarkOrder, TimesAreComparedAsInstants) {
    EXPECT_TRUE(times().is_later("2026-01-01T00:00:01Z", "2026-01-01T01:00:00+01:00"));
    EXPECT_FALSE(times().is_later("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00"));
}

TEST(WatermarkOrder, TheFutureBeginsTwoSecondsBehindAClockOfWholeSeconds) {
    const std::string clock = "2026-01-01T00:00:00Z";
    EXPECT_FALSE(times().is_beyond("2026-01-01T00:00:02Z", clock));
    EXPECT_TRUE(times().is_beyond("2026-01-01T00:00:02.001Z", clock));
    EXPECT_FALSE(times().is_beyond("2030-01-01T00:00:00Z", std::nullopt)) << "without a clock nothing is the future";
}

TEST(WatermarkOrder, TheSoonerKeepsTheFormOfTheWatermark) {
    EXPECT_EQ(times().sooner_of("2026-01-01T05:00:00+01:00", "2026-01-01T03:00:00Z"), "2026-01-01T04:00:00+01:00");
    EXPECT_EQ(times().sooner_of("2026-01-01T01:00:00+01:00", "2026-01-01T03:00:00Z"), "2026-01-01T01:00:00+01:00");
}

TEST(WatermarkOrder, ATimeWithoutAZoneIsLeftAsItIsUnlessItsZoneIsKnown) {
    EXPECT_EQ(times().sooner_of("2026-01-01 05:00:00", "2026-01-01T03:00:00Z"), "2026-01-01 05:00:00");
    EXPECT_EQ(times(3600).sooner_of("2026-01-01 05:00:00", "2026-01-01T03:00:00Z"), "2026-01-01 04:00:00");
}

TEST(WatermarkOrder, ANumberThatIsATimeIsComparedWithTheClock) {
    WatermarkOrder order("epoch", std::nullopt);
    order.set_kind(WatermarkKind::integer);
    EXPECT_TRUE(order.is_time());
    EXPECT_EQ(order.sooner_of("1767225700", "2026-01-01T00:00:00Z"), "1767225600");
    EXPECT_EQ(order.less_lookback("1767225600", "600"), "1767225000");
}

TEST(WatermarkOrder, ALookbackKeepsTheForm) {
    EXPECT_EQ(times().less_lookback("2026-01-01T00:10:00Z", "600"), "2026-01-01T00:00:00Z");
    WatermarkOrder texts;
    texts.set_kind(WatermarkKind::text);
    EXPECT_EQ(texts.less_lookback("abc", "600"), "abc");
}

}  // namespace
}  // namespace insync::rest
