// Encodings of answers.
#include <gtest/gtest.h>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/charset.hpp"

namespace insync::rest {
namespace {

using namespace std::string_literals;

TEST(RestCharset, IsFoundAmongTheParameters) {
    EXPECT_EQ(charset_of("application/json"), "");
    EXPECT_EQ(charset_of("application/json; charset=UTF-8"), "utf-8");
    EXPECT_EQ(charset_of("text/json;profile=x ; Charset=\"ISO-8859-1\";q=1"), "iso-8859-1");
    EXPECT_EQ(charset_of("text/json; notcharset=a"), "");
}

TEST(RestCharset, TextOfOneByteACharacterBecomesUtf8) {
    EXPECT_EQ(utf8_body("\"a\xF1o \x80\"", "application/json; charset=ISO-8859-1"), "\"a\u00F1o \u20AC\"");
    EXPECT_EQ(utf8_body("\xE9", "text/json; charset=windows-1252"), "\u00E9");
    EXPECT_EQ(utf8_body("\xA4", "text/json; charset=iso-8859-15"), "\u20AC");
    const std::string half(10000, '\xE9');
    EXPECT_EQ(utf8_body(half, "text/json; charset=latin1").size(), 20000u);
}

TEST(RestCharset, WhatIsUtf8StaysWhateverItIsCalled) {
    EXPECT_EQ(utf8_body("\u00F1", "text/json; charset=iso-8859-1"), "\u00F1");
    EXPECT_EQ(utf8_body("\xEF\xBB\xBF[]", "application/json"), "[]");
    EXPECT_EQ(utf8_body("\xF1", "application/json"), "\xF1");  // encode_value() sees to it
}

TEST(RestCharset, WideTextIsConverted) {
    EXPECT_EQ(utf8_body("\xFF\xFE[\0]\0"s, "application/json; charset=utf-16"), "[]");
    EXPECT_EQ(utf8_body("[\0]\0"s, "application/json; charset=utf-16le"), "[]");
}

TEST(RestCharset, UnknownOnesAndBytesThatAreNoneAreRefused) {
    EXPECT_THROW((void)utf8_body("\xE9", "text/json; charset=klingon"), Failure);
    EXPECT_THROW((void)utf8_body("\xE9", "text/json; charset=shift_jis"), Failure);
    EXPECT_THROW((void)utf8_body("\x81", "text/json; charset=windows-1252"), Failure);
}

}  // namespace
}  // namespace insync::rest
