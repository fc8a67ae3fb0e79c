// Values to binary fields, UTF-8, and frames.
#include <cstring>

#include <gtest/gtest.h>

#include "bgworker/connector/values/decimal.hpp"
#include "bgworker/connector/values/row_encoder.hpp"
#include "bgworker/connector/values/utf8.hpp"
#include "tests/unit/connector/frames.hpp"

namespace insync {
namespace {

using namespace std::string_literals;

// The bytes of one field, or the fault's SQLSTATE in brackets.
std::string encoded(Transport type, const std::string& text, const EncodeOptions& options = {}) {
    test::Capture capture;
    capture.writer.begin_row(1);
    const Fault fault = encode_text(capture.writer, type, text, options);
    if (fault != Fault::none) return "["s + sqlstate_of(fault) + "]";
    capture.writer.end_row();
    const auto rows = capture.rows();
    return rows.at(0).at(0).value_or("NULL");
}

std::string int64_bytes(std::int64_t value) {
    std::string bytes;
    wire::append_int64(bytes, value);
    return bytes;
}

// A numeric as ndigits, weight, sign, dscale and digits.
std::string numeric(int weight, int sign, int scale, std::vector<int> digits) {
    std::string bytes;
    wire::append_int16(bytes, static_cast<std::int16_t>(digits.size()));
    wire::append_int16(bytes, static_cast<std::int16_t>(weight));
    wire::append_int16(bytes, static_cast<std::int16_t>(sign));
    wire::append_int16(bytes, static_cast<std::int16_t>(scale));
    for (int digit : digits) wire::append_int16(bytes, static_cast<std::int16_t>(digit));
    return bytes;
}

TEST(ConnectorNumeric, KeepsEveryDigitAndTheScale) {
    EXPECT_EQ(encoded(Transport::numeric, "12345.6789"), numeric(1, 0, 4, {1, 2345, 6789}));
    EXPECT_EQ(encoded(Transport::numeric, "-0.50"), numeric(-1, 0x4000, 2, {5000}));
    EXPECT_EQ(encoded(Transport::numeric, "10000"), numeric(1, 0, 0, {1}));
    EXPECT_EQ(encoded(Transport::numeric, "0.00001"), numeric(-2, 0, 5, {1000}));
    EXPECT_EQ(encoded(Transport::numeric, "0.000"), numeric(0, 0, 3, {}));
    EXPECT_EQ(encoded(Transport::numeric, ".5"), numeric(-1, 0, 1, {5000}));
    EXPECT_EQ(encoded(Transport::numeric, "007"), numeric(0, 0, 0, {7}));
    EXPECT_EQ(encoded(Transport::numeric, "18446744073709551615"), numeric(4, 0, 0, {1844, 6744, 737, 955, 1615}));
}

TEST(ConnectorNumeric, ReadsExponents) {
    EXPECT_EQ(encoded(Transport::numeric, "1.5e3"), numeric(0, 0, 0, {1500}));
    EXPECT_EQ(encoded(Transport::numeric, "1.0e+300").substr(0, 8), numeric(75, 0, 0, {1}).substr(0, 8));
    EXPECT_EQ(encoded(Transport::numeric, "25E-4"), numeric(-1, 0, 4, {25}));
}

TEST(ConnectorNumeric, KnowsSpecialValues) {
    EXPECT_EQ(encoded(Transport::numeric, "NaN"), numeric(0, 0xC000, 0, {}));
    EXPECT_EQ(encoded(Transport::numeric, "-Infinity"), numeric(0, 0xF000, 0, {}));
}

TEST(ConnectorNumeric, RefusesWhatIsNoNumber) {
    for (const char* text : {"", "abc", "1.2.3", "1e", "12a", "--1", "1e999999", "1,5", "1e+-5"}) {
        EXPECT_EQ(encoded(Transport::numeric, text), "[22P02]") << text;
    }
}

TEST(ConnectorIntegers, AreCheckedForRange) {
    EXPECT_EQ(encoded(Transport::int2, "-32768"), "\x80\x00"s);
    EXPECT_EQ(encoded(Transport::int2, "32768"), "[22003]");
    EXPECT_EQ(encoded(Transport::int8, "9223372036854775807"), int64_bytes(INT64_MAX));
    EXPECT_EQ(encoded(Transport::int8, "9223372036854775808"), "[22003]");
    EXPECT_EQ(encoded(Transport::int8, "3.5"), "[22P02]");
    EXPECT_EQ(encoded(Transport::int4, ""), "[22P02]");
    EXPECT_EQ(encoded(Transport::int2, "+5"), "\x00\x05"s);
}

TEST(ConnectorIntegers, HaveOneSign) {
    for (const char* text : {"+-5", "-+5", "++5", "--5", "+"}) {
        EXPECT_EQ(encoded(Transport::int8, text), "[22P02]") << text;
        EXPECT_EQ(encoded(Transport::float8, text), "[22P02]") << text;
    }
}

TEST(ConnectorBooleans, TakeUsualWordsOnly) {
    EXPECT_EQ(encoded(Transport::boolean, "TRUE"), "\x01"s);
    EXPECT_EQ(encoded(Transport::boolean, "0"), "\x00"s);
    EXPECT_EQ(encoded(Transport::boolean, "maybe"), "[22P02]");
}

TEST(ConnectorTimes, CountFromTheYear2000) {
    EXPECT_EQ(encoded(Transport::timestamp, "2000-01-01 00:00:00"), int64_bytes(0));
    EXPECT_EQ(encoded(Transport::timestamp, "2000-01-01T00:00:01.5"), int64_bytes(1500000));
    EXPECT_EQ(encoded(Transport::timestamp, "1999-12-31 23:59:59.999999"), int64_bytes(-1));
    EXPECT_EQ(encoded(Transport::date, "2000-03-01"), "\x00\x00\x00\x3C"s);
    EXPECT_EQ(encoded(Transport::date, "1999-12-31"), "\xFF\xFF\xFF\xFF"s);
    EXPECT_EQ(encoded(Transport::time, "24:00:00"), int64_bytes(86400000000));
    EXPECT_EQ(encoded(Transport::timestamptz, "2000-01-01 02:00:00+02:00"), int64_bytes(0));
    EXPECT_EQ(encoded(Transport::timestamptz, "2000-01-01 00:00:00 -00:30"), int64_bytes(1800000000));
}

TEST(ConnectorTimes, TheSeventhDigitIsCutTowardsThePast) {
    EXPECT_EQ(encoded(Transport::timestamp, "2000-01-01 00:00:00.9999999"), int64_bytes(999999));
    EXPECT_EQ(encoded(Transport::timestamp, "1999-12-31 23:59:59.9999999"), int64_bytes(-1));
}

TEST(ConnectorTimes, PostgresqlTextsOutsideTheUsualRange) {
    EXPECT_EQ(encoded(Transport::timestamp, "infinity"), int64_bytes(INT64_MAX));
    EXPECT_EQ(encoded(Transport::date, "-infinity"), "\x80\x00\x00\x00"s);
    EXPECT_EQ(encoded(Transport::date, "0044-03-15 BC"), "\xFF\xF4\x9D\x7B"s);
    EXPECT_EQ(encoded(Transport::date, "12000-01-01"), "\x00\x37\xBB\x49"s);
    EXPECT_EQ(encoded(Transport::timestamp, "0044-03-15 01:02:03 BC"), "\xFF\x1A\xF9\xDF\xCA\x43\x98\xC0"s);
    EXPECT_EQ(encoded(Transport::timestamp, "12000-02-29 00:00:00"), "\x04\x61\x25\x71\x56\x2D\x80\x00"s);
    EXPECT_EQ(encoded(Transport::timestamp, "300000-01-01 00:00:00"), "[22007]");
}

TEST(ConnectorTimes, YearsThatPostgresqlHasNot) {
    EXPECT_EQ(encoded(Transport::timestamp, "294276-12-31 23:59:59"), int64_bytes(9223371331199000000));
    for (const char* text :
         {"294277-01-01 00:00:00", "294900-01-01 00:00:00", "5890000-01-01 00:00:00", "5890000-01-01 00:00:00 BC"}) {
        EXPECT_EQ(encoded(Transport::timestamp, text), "[22007]") << text;
    }
    EXPECT_EQ(encoded(Transport::date, "5890000-01-01"), "[22007]");
    EXPECT_EQ(encoded(Transport::date, "5890000-01-01 BC"), "[22007]");
}

TEST(ConnectorTimes, AYearOfTwoDigitsIsNotGuessed) {
    for (const char* text : {"99-01-01", "7-01-01", "024-01-01", "44-03-15 BC"}) {
        EXPECT_EQ(encoded(Transport::date, text), "[22007]") << text;
    }
}

TEST(ConnectorTimes, RefusesDatesThatDoNotExist) {
    for (const char* text : {"2023-02-29", "2024-13-01", "2024-01-01 24:01:00", "yesterday", "", "2024-1-1"}) {
        EXPECT_EQ(encoded(Transport::timestamp, text), "[22007]") << text;
    }
    EXPECT_EQ(encoded(Transport::date, "2024-01-01 10:00:00"), "[22007]");
    EXPECT_EQ(encoded(Transport::time, "-01:00:00"), "[22007]");
}

TEST(ConnectorTimes, ZeroDatesFollowThePolicy) {
    EncodeOptions options;
    options.source_has_zero_dates = true;
    EXPECT_EQ(encoded(Transport::timestamp, "0000-00-00 00:00:00", options), "NULL");
    EXPECT_EQ(encoded(Transport::date, "2024-05-00", options), "NULL");
    options.null_zero_dates = false;
    EXPECT_EQ(encoded(Transport::date, "0000-00-00", options), "[22007]");
}

TEST(ConnectorUuids, AnySpelling) {
    const std::string bytes = "\x12\x3E\x45\x67\xE8\x9B\x12\xD3\xA4\x56\x42\x66\x55\x44\x00\x00"s;
    EXPECT_EQ(encoded(Transport::uuid, "123e4567-e89b-12d3-a456-426655440000"), bytes);
    EXPECT_EQ(encoded(Transport::uuid, "{123E4567-E89B-12D3-A456-426655440000}"), bytes);
    EXPECT_EQ(encoded(Transport::uuid, "123e4567"), "[22P02]");
}

TEST(ConnectorJson, OnlyWhatJsonbCanHold) {
    EXPECT_EQ(encoded(Transport::jsonb, "{\"a\": 1}"), "\x01{\"a\": 1}");
    EXPECT_EQ(encoded(Transport::jsonb, "{a: 1}"), "[22P02]");
    EXPECT_EQ(encoded(Transport::jsonb, "\"\\u0000\""), "[22P02]");
    EXPECT_EQ(encoded(Transport::jsonb, "\"\\\\u0000\""), "\x01\"\\\\u0000\"");
    EXPECT_EQ(encoded(Transport::jsonb, std::string(5000, '[') + std::string(5000, ']')), "[22P02]");
}

TEST(ConnectorText, DamagedTextIsReplacedOrRefused) {
    EncodeOptions refuse;
    refuse.replace_text = false;
    EXPECT_EQ(encoded(Transport::text, "gr\xFC\xDF"), "gr\xEF\xBF\xBD\xEF\xBF\xBD");
    EXPECT_EQ(encoded(Transport::text, "a\0b"s),
              "a\xEF\xBF\xBD"
              "b");
    EXPECT_EQ(encoded(Transport::text, "a\0b"s, refuse), "[22021]");
    EXPECT_EQ(encoded(Transport::text, "grüß 😀", refuse), "grüß 😀");
}

TEST(ConnectorUtf8, KnowsWhatPostgresqlTakes) {
    EXPECT_TRUE(is_valid_utf8("plain ASCII that is longer than a word"));
    EXPECT_TRUE(is_valid_utf8("€ 😀 \xF4\x8F\xBF\xBF"));
    for (const char* text : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80", "abcdefgh\xFF"}) {
        EXPECT_FALSE(is_valid_utf8(text));
    }
    EXPECT_FALSE(is_valid_utf8("12345678\0"s));
    EXPECT_EQ(replaced_utf8("a\xE2\x82z"), "a\xEF\xBF\xBDz");
    EXPECT_EQ(utf8_prefix("a€", 2), "a");
}

TEST(ConnectorFrames, ARowIsKeptOrDroppedWhole) {
    test::Capture capture;
    capture.writer.begin_row(1);
    encode_integer(capture.writer, Transport::int4, 1);
    capture.writer.end_row();
    capture.writer.begin_row(2);
    encode_integer(capture.writer, Transport::int4, 2);
    capture.writer.drop_row();
    capture.writer.drop_row();
    capture.writer.begin_row(1);
    capture.writer.append_null();
    capture.writer.end_row();
    const auto rows = capture.rows();
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0][0], "\0\0\0\1"s);
    EXPECT_EQ(rows[1][0], std::nullopt);
}

TEST(ConnectorFrames, RowsStandBeforeThePositionThatHoldsForThem) {
    test::Capture capture;
    capture.writer.begin_row(1);
    capture.writer.append_null();
    capture.writer.end_row();
    capture.writer.send(wire::FrameType::position, {{"rows", 1}, {"watermark", "bad \xFF text"}});
    const auto frames = capture.frames();
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_EQ(frames[0].type, 'R');
    EXPECT_EQ(frames[1].type, 'P');
    EXPECT_EQ(frames[1].json()["rows"], 1);
}

TEST(ConnectorFrames, AHugeRowIsOneFrame) {
    test::Capture capture;
    const std::string huge(5u << 20, 'x');
    capture.writer.begin_row(1);
    encode_bytes(capture.writer, huge);
    capture.writer.end_row();
    const auto rows = capture.rows();
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0][0], huge);
}

}  // namespace
}  // namespace insync
