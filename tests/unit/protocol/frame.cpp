// Frames are cut from whatever pieces the pipe brings, and what they say is read without trust.
#include "bgworker/protocol/frame.hpp"

#include <gtest/gtest.h>

namespace insync {
namespace {

using namespace std::string_literals;

void feed(FrameReader& reader, std::string_view bytes) {
    bytes.copy(reader.reserve(bytes.size()), bytes.size());
    reader.commit(bytes.size());
}

TEST(FrameReader, CutsFramesFromSinglyBytes) {
    std::string bytes = "T\0\0\0\2{}D\0\0\0\0"s;
    FrameReader reader;
    std::vector<Frame> frames;
    for (char byte : bytes) {
        feed(reader, {&byte, 1});
        while (auto frame = reader.next(100)) frames.push_back(*frame);
    }
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_EQ(frames[0].type, wire::FrameType::result);
    EXPECT_EQ(frames[0].payload, "{}");
    EXPECT_EQ(frames[1].type, wire::FrameType::done);
    EXPECT_EQ(reader.pending(), 0u);
}

TEST(FrameReader, RefusesAFrameByItsHeader) {
    for (const std::string& header : {"Z\0\0\0\0"s, "R\0\0\0\x65"s, "R\xFF\xFF\xFF\xFF"s, "R\x7F\xFF\xFF\xFF"s}) {
        FrameReader reader;
        feed(reader, header);
        EXPECT_THROW(reader.next(100), ProtocolError);
    }
}

TEST(FrameJson, HasALimitOfNesting) {
    auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    EXPECT_NO_THROW(parse_json(nested(max_json_depth)));
    EXPECT_THROW(parse_json(nested(max_json_depth + 1)), ProtocolError);
    EXPECT_NO_THROW(parse_json("\"" + std::string(100, '[') + "\\\"" + std::string(100, '[') + "\""));
    EXPECT_THROW(parse_json("{"), ProtocolError);
}

TEST(FrameJson, AFailureIsReadWithWhatItHas) {
    auto failure =
        read_failure(parse_json(R"({"class": "auth", "message": "m", "detail": "D.", "sqlstate": "28000"})"));
    EXPECT_EQ(failure.kind, FailureClass::auth);
    EXPECT_EQ(failure.detail, "D. The source's SQLSTATE is 28000.");
    EXPECT_FALSE(failure.retry_after);
    for (const char* text : {"{}", "[]", "5", R"({"class": 1, "message": null})"}) {
        EXPECT_EQ(read_failure(parse_json(text)).kind, FailureClass::source) << text;
        EXPECT_EQ(read_failure(parse_json(text)).message, "the source reported an error without a message") << text;
    }
}

TEST(FrameJson, APermitsTimesAreWithinADay) {
    auto permit = read_permit(parse_json(R"({"interval_ms": 200, "hold_ms": 1e300})"));
    EXPECT_EQ(permit.interval.count(), 200);
    EXPECT_EQ(permit.hold.count(), 86400000);
    for (const char* text : {"{}", "[]", R"({"interval_ms": "1", "hold_ms": -5})"}) {
        EXPECT_EQ(read_permit(parse_json(text)).interval.count(), 0) << text;
        EXPECT_EQ(read_permit(parse_json(text)).hold.count(), 0) << text;
    }
}

TEST(FrameJson, ARetryIsWithinADay) {
    auto after = [](const char* seconds) {
        return read_failure(parse_json("{\"retry_after\": " + std::string(seconds) + "}")).retry_after.value().count();
    };
    EXPECT_EQ(after("1.5"), 1500);
    EXPECT_EQ(after("-3"), 0);
    EXPECT_EQ(after("1e300"), 86400000);
}

}  // namespace
}  // namespace insync
