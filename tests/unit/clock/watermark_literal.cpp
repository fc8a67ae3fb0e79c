// Watermark literals: lookback, order, layouts.
#include <gtest/gtest.h>

#include "bgworker/clock/watermark_literal.hpp"

namespace insync {
namespace {

std::string back(WatermarkKind kind, const char* literal, const char* lookback) {
    return subtract_lookback(kind, literal, lookback).value_or("refused");
}

TEST(ConnectorLiteral, LookbackKeepsTheLayoutOfATime) {
    const auto time = WatermarkKind::time;
    EXPECT_EQ(back(time, "2024-03-01 00:05:00", "600"), "2024-02-29 23:55:00");
    EXPECT_EQ(back(time, "2024-03-01 00:05:00.1234567", "600"), "2024-02-29 23:55:00.1234567");
    EXPECT_EQ(back(time, "2024-03-01T00:05:00.123Z", "1"), "2024-03-01T00:04:59.123Z");
    EXPECT_EQ(back(time, "2024-03-01 00:05:00 +02:00", "60"), "2024-03-01 00:04:00 +02:00");
    EXPECT_EQ(back(time, "2024-03-01 00:05", "60"), "2024-03-01 00:04");
    EXPECT_EQ(back(time, "20240301", "86400"), "20240229");
    EXPECT_EQ(back(time, "20240301000500", "60"), "20240301000400");
    EXPECT_EQ(back(time, "2024/03/01 00:05:00,50", "0"), "2024/03/01 00:05:00,50");
}

TEST(ConnectorLiteral, LookbackFallsTowardsThePast) {
    EXPECT_EQ(back(WatermarkKind::time, "2024-03-01", "600"), "2024-02-29");
    EXPECT_EQ(back(WatermarkKind::time, "2024-03-01 00:00:00", "0.5"), "2024-02-29 23:59:59");
    EXPECT_EQ(back(WatermarkKind::time, "2024-03-01 00:00:00.2", "0.25"), "2024-02-29 23:59:59.9");
    EXPECT_EQ(back(WatermarkKind::time, "0001-01-01 00:00:00", "600"), "0001-01-01 00:00:00");
}

TEST(ConnectorLiteral, LookbackOnNumbersHasNoLimitOf64Bits) {
    const auto integer = WatermarkKind::integer;
    EXPECT_EQ(back(integer, "1000", "1000"), "0");
    EXPECT_EQ(back(integer, "18446744073709551615", "1"), "18446744073709551614");
    EXPECT_EQ(back(integer, "-5", "10"), "-15");
    EXPECT_EQ(back(integer, "0.50", "1"), "-0.50");
    EXPECT_EQ(back(integer, "16.666667", "1.5"), "15.166667");
    EXPECT_EQ(back(integer, "abc", "1"), "refused");
    EXPECT_EQ(back(integer, "5", ""), "5");
}

TEST(ConnectorLiteral, ALookbackThatNeedsMoreDigitsThanALiteralHasIsRefused) {
    const std::string longest(36, '9');
    EXPECT_EQ(back(WatermarkKind::integer, longest.c_str(), "1"), longest.substr(1) + "8");
    EXPECT_EQ(back(WatermarkKind::integer, longest.c_str(), "0.5"), "refused");
    EXPECT_EQ(back(WatermarkKind::integer, ("-" + longest).c_str(), "1"), "refused");
}

TEST(ConnectorLiteral, LookbackOnRowversionsStopsAtZero) {
    EXPECT_EQ(back(WatermarkKind::rowversion, "0x00000000000007D1", "1"), "0x00000000000007D0");
    EXPECT_EQ(back(WatermarkKind::rowversion, "0x0000000000000001", "5"), "0x0000000000000000");
    EXPECT_EQ(back(WatermarkKind::rowversion, "07D1", "1"), "refused");
}

TEST(ConnectorLiteral, TextIsNeverMoved) {
    EXPECT_EQ(back(WatermarkKind::text, "v10", "5"), "v10");
}

TEST(ConnectorLiteral, OrdersByMeaningNotByText) {
    const auto less = std::strong_ordering::less;
    const auto equal = std::strong_ordering::equal;
    EXPECT_EQ(compare_literals(WatermarkKind::integer, "9", "10"), less);
    EXPECT_EQ(compare_literals(WatermarkKind::integer, "1.50", "1.5"), equal);
    EXPECT_EQ(compare_literals(WatermarkKind::time, "2024-01-01", "2024-01-01 00:00:00.0000001"), less);
    EXPECT_EQ(compare_literals(WatermarkKind::time, "2024-01-01 02:00:00+02:00", "2024-01-01T00:00:00Z"), equal);
    EXPECT_EQ(compare_literals(WatermarkKind::time, "soon", "2024-01-01"), std::nullopt);
    EXPECT_EQ(compare_literals(WatermarkKind::rowversion, "0x00000000000000FF", "0x0000000000000100"), less);
    EXPECT_EQ(compare_literals(WatermarkKind::text, "a", "b"), less);
}

TEST(ConnectorLiteral, SecondsBetween) {
    EXPECT_DOUBLE_EQ(seconds_between("2024-01-01 00:00:00", "2024-01-01 00:01:00.5").value(), 60.5);
    EXPECT_EQ(seconds_between("x", "2024-01-01"), std::nullopt);
}

}  // namespace
}  // namespace insync
