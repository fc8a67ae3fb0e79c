// Types of a JSON source's columns, discovered and declared, and values on their way into frames.
#include <gtest/gtest.h>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/columns.hpp"
#include "tests/unit/connector/frames.hpp"

namespace insync::rest {
namespace {

using namespace std::string_literals;

// The type that values, written as JSON, are discovered to have.
std::string guessed_of(const std::vector<std::string>& values) {
    std::string body;
    for (const std::string& value : values) body += (body.empty() ? "[{\"v\":" : ",{\"v\":") + value + "}";
    Fields fields;
    const Page page(body + "]", {}, fields, {});
    TypeGuess guess;
    for (std::size_t row = 0; row < page.rows(); row++) guess.add(page.value(row, 0));
    EXPECT_EQ(transport_for(guess.pg_type()), guess.transport());
    return guess.pg_type();
}

TEST(RestTypes, Scalars) {
    EXPECT_EQ(guessed_of({"1", "-9223372036854775808", "9223372036854775807"}), "bigint");
    EXPECT_EQ(guessed_of({"1", "9223372036854775808"}), "numeric");
    EXPECT_EQ(guessed_of({"1.5", "2"}), "numeric");
    EXPECT_EQ(guessed_of({"1e3"}), "numeric");
    EXPECT_EQ(guessed_of({"true", "false", "null"}), "boolean");
    EXPECT_EQ(guessed_of({"\"12\""}), "text");
    EXPECT_EQ(guessed_of({"\"\""}), "text");
    EXPECT_EQ(guessed_of({"null"}), "text");
    EXPECT_EQ(guessed_of({"{\"a\":1}"}), "jsonb");
    EXPECT_EQ(guessed_of({"[]", "null"}), "jsonb");
}

TEST(RestTypes, TextsOfAKnownForm) {
    EXPECT_EQ(guessed_of({"\"2026-01-31\"", "null"}), "date");
    EXPECT_EQ(guessed_of({"\"2026-01-31T10:00:00\"", "\"2026-01-31 10:00:00.123\""}), "timestamp");
    EXPECT_EQ(guessed_of({"\"2026-01-31T10:00:00Z\"", "\"2026-01-31T10:00:00.1+02:00\""}), "timestamptz");
    EXPECT_EQ(guessed_of({"\"10:00:00\""}), "time");
    EXPECT_EQ(guessed_of({"\"123e4567-e89b-12d3-a456-426655440000\""}), "uuid");
}

TEST(RestTypes, TextsThatOnlyLookLikeIt) {
    for (const char* text : {"2026-02-30", "20260131", "2026/01/31", "2026-01-31T10:00:00,5Z", "2026-01-31 ", "10:00",
                             "25:00:00", "007", "1.5", "123e4567e89b12d3a456426655440000", "NaN", "true", "1-2-3"}) {
        EXPECT_EQ(guessed_of({"\"" + std::string(text) + "\""}), "text") << text;
    }
}

TEST(RestTypes, MixturesAreTextOrJson) {
    EXPECT_EQ(guessed_of({"1", "\"a\""}), "text");
    EXPECT_EQ(guessed_of({"true", "1"}), "text");
    EXPECT_EQ(guessed_of({"\"2026-01-31\"", "\"soon\""}), "text");
    EXPECT_EQ(guessed_of({"\"2026-01-31\"", "\"2026-01-31T10:00:00\""}), "text");
    EXPECT_EQ(guessed_of({"\"2026-01-31T10:00:00\"", "\"2026-01-31T10:00:00Z\""}), "text");
    EXPECT_EQ(guessed_of({"\"2026-01-31\"", "\"\""}), "text");
    EXPECT_EQ(guessed_of({"1", "{}"}), "jsonb");
    EXPECT_EQ(guessed_of({"\"a\"", "[1]"}), "jsonb");
}

TEST(RestTypes, SourceTypesAreJsonKinds) {
    TypeGuess guess;
    EXPECT_EQ(guess.source_type(), "null");
    EXPECT_FALSE(guess.nullable());
    guess.add({Value::Kind::integer, "1"});
    guess.add({Value::Kind::decimal, "1.5"});
    EXPECT_EQ(guess.source_type(), "number");
    guess.add({Value::Kind::string, "2026-01-31"});
    guess.add({Value::Kind::absent, ""});
    EXPECT_EQ(guess.source_type(), "number, string");
    EXPECT_TRUE(guess.nullable());
}

TEST(RestDeclared, TypesByAnyOfTheirNames) {
    EXPECT_EQ(transport_for("Integer"), Transport::int4);
    EXPECT_EQ(transport_for("numeric(12, 2)"), Transport::numeric);
    EXPECT_EQ(transport_for("decimal(10,-2)"), Transport::numeric);
    EXPECT_EQ(transport_for("character varying(20)"), Transport::text);
    EXPECT_EQ(transport_for("timestamp(3) with time zone"), Transport::timestamptz);
    EXPECT_EQ(transport_for("timestamp (3)"), Transport::timestamp);
    EXPECT_EQ(transport_for("double precision"), Transport::float8);
    EXPECT_EQ(transport_for("json"), Transport::jsonb);
    for (const char* name : {"", "numeric(", "numeric(a)", "text[]", "public.mood", "numeric(1); drop"}) {
        EXPECT_EQ(transport_for(name), std::nullopt) << name;
    }
}

TEST(RestDeclared, TypeAndPointer) {
    Fields fields;
    const RestColumn total = declared_column("total", "numeric(12,2) /amounts/total", fields);
    EXPECT_EQ(total.type, Transport::numeric);
    EXPECT_EQ(total.pg_type, "numeric(12,2)");
    EXPECT_TRUE(total.is_typed);
    const RestColumn name = declared_column("name", "/customer/full name", fields);
    EXPECT_FALSE(name.is_typed);
    EXPECT_TRUE(name.is_declared);
    const RestColumn at = declared_column("at", " timestamp with time zone ", fields);
    EXPECT_EQ(at.type, Transport::timestamptz);

    const Page page(R"([{"amounts":{"total":1.50},"customer":{"full name":"N"},"at":"x"}])", {}, fields, {});
    EXPECT_EQ(page.value(0, total.field).text, "1.50");
    EXPECT_EQ(page.value(0, name.field).text, "N");
    EXPECT_EQ(page.value(0, at.field).text, "x");
}

TEST(RestDeclared, UnknownTypes) {
    Fields fields;
    try {
        declared_column("a", "timestampz /x", fields);
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.kind, FailureClass::config);
        EXPECT_EQ(failure.message, "field \"a\" cannot be declared as \"timestampz\"");
        EXPECT_EQ(failure.hint, "Perhaps you meant timestamptz.");
    }
    EXPECT_EQ(fields.size(), 0u);
}

// The bytes of a value written as JSON, or its fault's SQLSTATE in brackets.
std::string encoded(Transport type, const std::string& json, const EncodeOptions& options = {},
                    std::size_t limit = 1000) {
    Fields fields;
    const Page page("[{\"v\":" + json + "}]", {}, fields, {});
    RestColumn column;
    column.type = type;
    test::Capture capture;
    capture.writer.begin_row(1);
    const Fault fault = encode_value(capture.writer, column, page.value(0, 0), options, limit);
    if (fault != Fault::none) return "["s + sqlstate_of(fault) + "]";
    capture.writer.end_row();
    return capture.rows().at(0).at(0).value_or("NULL");
}

std::string text_encoded(Transport type, const std::string& text) {
    test::Capture capture;
    capture.writer.begin_row(1);
    EXPECT_EQ(encode_text(capture.writer, type, text, {}), Fault::none);
    capture.writer.end_row();
    return capture.rows().at(0).at(0).value_or("NULL");
}

TEST(RestValues, NumbersKeepEveryDigit) {
    EXPECT_EQ(encoded(Transport::int8, "9007199254740993"), text_encoded(Transport::int8, "9007199254740993"));
    EXPECT_EQ(encoded(Transport::numeric, "12345678901234567890.12"),
              text_encoded(Transport::numeric, "12345678901234567890.12"));
    EXPECT_EQ(encoded(Transport::numeric, "1.50"), text_encoded(Transport::numeric, "1.50"));
    EXPECT_NE(encoded(Transport::numeric, "1.50"), encoded(Transport::numeric, "1.5"));
    EXPECT_EQ(encoded(Transport::text, "1.50"), "1.50");
    EXPECT_EQ(encoded(Transport::jsonb, "12345678901234567890.120"),
              "\x01"
              "12345678901234567890.120");
}

TEST(RestValues, NumbersInColumnsOfOtherTypes) {
    EXPECT_EQ(encoded(Transport::int4, "5.00"), "\0\0\0\5"s);
    EXPECT_EQ(encoded(Transport::int4, "5.5"), "[22P02]");
    EXPECT_EQ(encoded(Transport::int4, "5e0"), "[22P02]");
    EXPECT_EQ(encoded(Transport::int2, "40000"), "[22003]");
    EXPECT_EQ(encoded(Transport::int8, "9223372036854775808"), "[22003]");
    EXPECT_EQ(encoded(Transport::numeric, "1e999999"), "[22003]");
    EXPECT_EQ(encoded(Transport::float8, "1e999"), "[22003]");
    EXPECT_EQ(encoded(Transport::boolean, "1"), "\x01"s);
    EXPECT_EQ(encoded(Transport::boolean, "2"), "[22P02]");
    EXPECT_EQ(encoded(Transport::uuid, "12345678901234567890123456789012"), "[22P02]");
}

TEST(RestValues, ANumberIsNoTime) {
    for (Transport type : {Transport::date, Transport::time, Transport::timestamp, Transport::timestamptz}) {
        for (const char* number : {"1700000000", "1700000000000", "20260131", "1.5"}) {
            EXPECT_EQ(encoded(type, number), "[22007]") << number;
        }
        EXPECT_EQ(encoded(type, "true"), "[22007]");
    }
}

TEST(RestValues, Booleans) {
    EXPECT_EQ(encoded(Transport::boolean, "true"), "\x01"s);
    EXPECT_EQ(encoded(Transport::int2, "false"), "\0\0"s);
    EXPECT_EQ(encoded(Transport::text, "false"), "false");
    EXPECT_EQ(encoded(Transport::jsonb, "true"), "\x01true");
    EXPECT_EQ(encoded(Transport::numeric, "true"), "[22P02]");
}

TEST(RestValues, StringsInColumnsOfOtherTypes) {
    EXPECT_EQ(encoded(Transport::int4, "\"12\""), "\0\0\0\x0C"s);
    EXPECT_EQ(encoded(Transport::numeric, "\"1.50\""), text_encoded(Transport::numeric, "1.50"));
    EXPECT_EQ(encoded(Transport::timestamptz, R"("2026-01-31T10:00:00\u005a")"),
              text_encoded(Transport::timestamptz, "2026-01-31T10:00:00Z"));
    EXPECT_EQ(encoded(Transport::date, "\"\""), "[22007]");
    EXPECT_EQ(encoded(Transport::boolean, "\"yes\""), "\x01"s);
    EXPECT_EQ(encoded(Transport::jsonb, R"("q\"\u0009\\")"), "\x01\"q\\\"\\u0009\\\\\"");
    EXPECT_EQ(encoded(Transport::jsonb, R"("{\"a\":1}")"), "\x01\"{\\\"a\\\":1}\"");
}

TEST(RestValues, ObjectsAndArrays) {
    EXPECT_EQ(encoded(Transport::jsonb, "{\"a\": [1.00]}"), "\x01{\"a\": [1.00]}");
    EXPECT_EQ(encoded(Transport::text, "{\"a\": [1.00]}"), "{\"a\": [1.00]}");
    EXPECT_EQ(encoded(Transport::int8, "{}"), "[22P02]");
    EXPECT_EQ(encoded(Transport::numeric, "[1]"), "[22P02]");
    EXPECT_EQ(encoded(Transport::jsonb, "[1e999999999]"), "[22P02]");
    EXPECT_EQ(encoded(Transport::jsonb, "[1e400]"), "\x01[1e400]");
}

TEST(RestValues, DamagedTextFollowsThePolicy) {
    EncodeOptions refuse;
    refuse.replace_text = false;
    for (const char* damaged : {"\"a\\u0000\"", "\"a\\udc00\"", "\"a\xFF\""}) {
        EXPECT_EQ(encoded(Transport::text, damaged), "a\xEF\xBF\xBD") << damaged;
        EXPECT_EQ(encoded(Transport::text, damaged, refuse), "[22021]") << damaged;
        EXPECT_EQ(encoded(Transport::jsonb, damaged), "\x01\"a\xEF\xBF\xBD\"") << damaged;
        EXPECT_EQ(encoded(Transport::jsonb, damaged, refuse), "[22021]") << damaged;
        EXPECT_EQ(encoded(Transport::jsonb, "["s + damaged + "]", refuse), "[22021]") << damaged;
    }
    EXPECT_EQ(encoded(Transport::jsonb, "[\"a\\u0000\", \"\\ud83d\\ude00\\udc00\", \"\xC3\"]"),
              "\x01[\"a\\ufffd\", \"\\ud83d\\ude00\\ufffd\", \"\xEF\xBF\xBD\"]");
    EXPECT_EQ(encoded(Transport::jsonb, "[\"a\tb\"]"), "\x01[\"a\\u0009b\"]");
}

TEST(RestValues, NothingIsNull) {
    EXPECT_EQ(encoded(Transport::jsonb, "null"), "NULL");
    EXPECT_EQ(encoded(Transport::text, "null"), "NULL");
    EXPECT_EQ(encoded(Transport::int4, "null"), "NULL");
}

TEST(RestValues, TooLong) {
    EXPECT_EQ(encoded(Transport::text, "\"12345\"", {}, 4), "[54000]");
    EXPECT_EQ(encoded(Transport::text, "\"1234\"", {}, 4), "1234");
}

}  // namespace
}  // namespace insync::rest
