// Which version of a row is the newest; and memory that goes to a file.
#include <gtest/gtest.h>

#include <string>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/newest_versions.hpp"

namespace insync::rest {
namespace {

constexpr auto number = WatermarkKind::integer;
constexpr auto time = WatermarkKind::time;

TEST(RestVersions, OlderRowsOfAKeyAreLeftOut) {
    Versions versions;
    EXPECT_TRUE(versions.admit("a", time, "2025-01-01T10:00:00Z"));
    EXPECT_FALSE(versions.admit("a", time, "2025-01-01T09:59:59.999Z"));
    EXPECT_TRUE(versions.admit("b", time, "2025-01-01T09:00:00Z")) << "another key";
    EXPECT_TRUE(versions.admit("a", time, "2025-01-01T11:00:00+01:00")) << "the same time in another form";
    EXPECT_TRUE(versions.admit("a", time, "2025-01-01T10:00:00.0000001Z"));
    EXPECT_FALSE(versions.admit("a", time, "2025-01-01T10:00:00Z")) << "the greatest counts, of any length";
}

TEST(RestVersions, NumbersAndTextsAreComparedAsSuch) {
    Versions versions;
    EXPECT_TRUE(versions.admit("a", number, "9"));
    EXPECT_TRUE(versions.admit("a", number, "10"));
    EXPECT_FALSE(versions.admit("a", number, "9.5"));
    EXPECT_TRUE(versions.admit("b", WatermarkKind::text, "10"));
    EXPECT_TRUE(versions.admit("b", WatermarkKind::text, "9"));
    EXPECT_FALSE(versions.admit("b", WatermarkKind::text, "10"));
}

TEST(RestVersions, WhatCantBeComparedIsTakenAsItComes) {
    Versions versions;
    EXPECT_TRUE(versions.admit("a", number, "10"));
    EXPECT_TRUE(versions.admit("a", number, "soon"));
    EXPECT_FALSE(versions.admit("a", number, "9"));
    EXPECT_TRUE(versions.admit("b", number, "soon"));
    EXPECT_TRUE(versions.admit("b", number, "1"));
}

TEST(RestVersions, AreForgotten) {
    Versions versions;
    EXPECT_TRUE(versions.admit("a", number, "10"));
    versions.clear();
    EXPECT_TRUE(versions.admit("a", number, "9"));
    EXPECT_FALSE(versions.admit("a", number, "8"));
}

TEST(RestVersions, MoreThanFitIntoMemoryAreKeptInAFile) {
    Versions versions(1u << 20);
    constexpr int keys = 50000;
    for (int key = 0; key < keys; key++) ASSERT_TRUE(versions.admit(std::to_string(key), number, "1000000"));
    EXPECT_GT(versions.file_bytes(), 1u << 20);
    for (int key = 0; key < keys; key++) {
        ASSERT_FALSE(versions.admit(std::to_string(key), number, "999999"));
        ASSERT_TRUE(versions.admit(std::to_string(key), number, "1000000"));
    }
    versions.clear();
    EXPECT_EQ(versions.file_bytes(), 0u);
}

TEST(SpillMemory, WithoutRoomForAFile) {
    SpillMemory memory(1u << 20, {"/nowhere", "/dev/null"});
    void* piece = memory.allocate(1u << 20);
    EXPECT_EQ(memory.file_bytes(), 0u);
    EXPECT_THROW((void)memory.allocate(1), Failure);
    memory.deallocate(piece, 1u << 20);
}

TEST(SpillMemory, OnAFullDisk) {
    SpillMemory memory(0);
    EXPECT_THROW((void)memory.allocate(std::size_t{1} << 62), Failure) << "longer than any file";
}

}  // namespace
}  // namespace insync::rest
