// How durations, sizes, shares and connection strings are read and written.
#include "bgworker/options/values.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "bgworker/options/connection_string.hpp"

namespace insync {
namespace {

constexpr std::int64_t max_int64 = std::numeric_limits<std::int64_t>::max();
using std::chrono::milliseconds;

struct DurationCase {
    const char* text;
    std::int64_t ms;
};

TEST(Duration, ReadsTheFormsOfIntervals) {
    const DurationCase cases[] = {
        {"10 seconds", 10'000},
        {"1 min", 60'000},
        {"500ms", 500},
        {"2 hours 30 minutes", 9'000'000},
        {"00:05:00", 300'000},
        {"00:05", 300'000},
        {"1 day", 86'400'000},
        {"90", 90'000},
        {"  1 DAY  02:00:00 ", 93'600'000},
        {"1h30m", 5'400'000},
        {"1.5 h", 5'400'000},
        {".5 s", 500},
        {"00:00:01.250", 1'250},
        {"100:00:00", 360'000'000},
        {"1 week", 604'800'000},
        {"0", 0},
        {"0.0009 s", 0},
        {"36525 days", 36525LL * 86'400'000},
    };
    for (const auto& [text, ms] : cases) {
        auto parsed = parse_duration(text);
        ASSERT_TRUE(parsed) << text << ": " << parsed.error;
        EXPECT_EQ(parsed->count(), ms) << text;
    }
}

struct ErrorCase {
    std::string text;
    std::string error;
};

TEST(Duration, SaysWhatIsWrong) {
    const ErrorCase cases[] = {
        {"", "It is empty."},
        {" \t ", "It is empty."},
        {"-1 min", "It is negative."},
        {"1 day -2 hours", "It is negative."},
        {"10 minuts", "\"minuts\" is not a unit of time."},
        {"10 %", "\"%\" is not a unit of time."},
        {"soon", "\"soon\" is not a number with a unit of time."},
        {"infinity", "\"infinity\" is not a number with a unit of time."},
        {"1 month", "Months and years have no fixed length."},
        {"2 yrs", "Months and years have no fixed length."},
        {"1 day 90", "\"90\" has no unit of time."},
        {"1 min 1 min", "A unit of time occurs twice."},
        {"1 h 00:10:00", "A unit of time occurs twice."},
        {"1:60", "\"1:60\" is not a time of the form hours:minutes:seconds."},
        {"1.5:00", "\"1.5:00\" is not a time of the form hours:minutes:seconds."},
        {"1:00:00x", "\"1:00:00x\" is not a time of the form hours:minutes:seconds."},
        {"1:", "\"1:\" is not a time of the form hours:minutes:seconds."},
        {"36526 days", "It is longer than 100 years."},
        {"36525 days 1 ms", "It is longer than 100 years."},
        {"99999999999999999999 s", "It is longer than 100 years."},
        {"9223372036854775807 weeks", "It is longer than 100 years."},
        {"9223372036854775807:59:59", "It is longer than 100 years."},
        {"1 ago", "\"ago\" is not a unit of time."},
    };
    for (const auto& [text, error] : cases) {
        auto parsed = parse_duration(text);
        EXPECT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error, error) << text;
    }
}

TEST(Duration, SurvivesHostileText) {
    EXPECT_FALSE(parse_duration(std::string_view("10\0 s", 5)));
    EXPECT_FALSE(parse_duration(std::string_view("\0", 1)));
    EXPECT_FALSE(parse_duration(std::string(5'000'000, '9')));
    EXPECT_FALSE(parse_duration(std::string(5'000'000, 'm')));
    EXPECT_FALSE(parse_duration("1 \xC3\xA9"));
    EXPECT_TRUE(parse_duration("0." + std::string(1'000'000, '9')));
}

TEST(Duration, QuotesNoMoreThanAPieceOfALongText) {
    EXPECT_LT(parse_duration("1 " + std::string(100'000, 'x')).error.size(), 200u);
}

TEST(Duration, IsWrittenInTheLargestUnitThatFits) {
    const DurationCase cases[] = {
        {"0 seconds", 0},       {"1 millisecond", 1},    {"1500 milliseconds", 1500}, {"1 second", 1000},
        {"90 seconds", 90'000}, {"10 minutes", 600'000}, {"1 hour", 3'600'000},       {"7 days", 604'800'000},
    };
    for (const auto& [text, ms] : cases) {
        EXPECT_EQ(format_duration(milliseconds(ms)), text);
        EXPECT_EQ(parse_duration(text)->count(), ms);
    }
}

TEST(Duration, IsSaidInAMessageAsPeopleSayIt) {
    const DurationCase cases[] = {
        {"0 seconds", 0},
        {"250 milliseconds", 250},
        {"1 second", 1004},
        {"1.5 seconds", 1500},
        {"10 seconds", 9970},
        {"59 seconds", 59'400},
        {"1 minute", 59'600},
        {"1 minute 30 seconds", 90'000},
        {"10 minutes 5 seconds", 605'001},
        {"1 hour", 3'599'999},
        {"24 hours", 86'399'995},
        {"25 hours 1 minute", 90'060'000},
        {"2 days", 172'799'999},
        {"7 days 1 hour", 608'400'000},
        {"3650 days", 315'360'000'000},
    };
    for (const auto& [text, ms] : cases) EXPECT_EQ(rounded_duration(milliseconds(ms)), text) << ms;
}

TEST(Size, ReadsUnitsAsPowersOf1024) {
    const std::pair<const char*, std::int64_t> cases[] = {
        {"16MB", 16 << 20},
        {"512 kB", 512 << 10},
        {"1GB", 1 << 30},
        {"1 gb", 1 << 30},
        {"1.5 kb", 1536},
        {"4096", 4096},
        {"0", 0},
        {"10 bytes", 10},
        {"2M", 2 << 20},
        {"1TB", 1LL << 40},
        {"9223372036854775807", max_int64},
    };
    for (const auto& [text, bytes] : cases) {
        auto parsed = parse_size(text);
        ASSERT_TRUE(parsed) << text << ": " << parsed.error;
        EXPECT_EQ(*parsed, bytes) << text;
    }
}

TEST(Size, SaysWhatIsWrong) {
    const ErrorCase cases[] = {
        {"", "It is empty."},
        {"-1", "It is negative."},
        {"big", "\"big\" is not a size."},
        {"16 XB", "\"XB\" is not a unit of size."},
        {"16 MB 1", "\"MB 1\" is not a unit of size."},
        {"1 kb k", "\"kb k\" is not a unit of size."},
        {"9223372036854775807 kB", "It is too large."},
        {"8388608.999999 TB", "It is too large."},
        {"99999999999999999999", "It is too large."},
        {std::string("1\0MB", 4), "\"?MB\" is not a unit of size."},
    };
    for (const auto& [text, error] : cases) {
        auto parsed = parse_size(text);
        EXPECT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error, error) << text;
    }
}

TEST(Size, IsWrittenInTheLargestUnitThatFits) {
    EXPECT_EQ(format_size(64 << 10), "64 kB");
    EXPECT_EQ(format_size(1 << 30), "1 GB");
    EXPECT_EQ(format_size(1000), "1000 bytes");
    EXPECT_EQ(format_size(0), "0 bytes");
}

TEST(Boolean, ReadsThePostgresSpellings) {
    for (const char* text : {"true", "T", "yes", "y", "ON", "1", " true "}) {
        auto parsed = parse_boolean(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_TRUE(*parsed) << text;
    }
    for (const char* text : {"false", "F", "no", "n", "Off", "0"}) {
        auto parsed = parse_boolean(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_FALSE(*parsed) << text;
    }
}

TEST(Boolean, RefusesEverythingElse) {
    for (const char* text : {"", "maybe", "truee", "t yes", "2", "null"}) {
        EXPECT_FALSE(parse_boolean(text)) << text;
    }
}

TEST(Integer, ReadsTheWholeRange) {
    EXPECT_EQ(*parse_integer("9223372036854775807"), max_int64);
    EXPECT_EQ(*parse_integer("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(*parse_integer(" +007 "), 7);
}

TEST(Integer, RefusesWhatIsNone) {
    for (const char* text : {"", "-", "1.5", "1e3", "0x10", "1 2", "--1"}) {
        EXPECT_FALSE(parse_integer(text)) << text;
    }
    EXPECT_EQ(parse_integer("9223372036854775808").error, "It is out of range.");
    EXPECT_EQ(parse_integer("-9223372036854775809").error, "It is out of range.");
}

TEST(ShareOrCount, ReadsAShare) {
    EXPECT_DOUBLE_EQ(*parse_share_or_count("5%")->share, 0.05);
    EXPECT_DOUBLE_EQ(*parse_share_or_count("0.5 %")->share, 0.005);
    EXPECT_DOUBLE_EQ(*parse_share_or_count("100%")->share, 1);
}

TEST(ShareOrCount, ReadsACount) {
    auto parsed = parse_share_or_count("1000");
    ASSERT_TRUE(parsed);
    EXPECT_FALSE(parsed->share);
    EXPECT_EQ(parsed->count, 1000);
}

TEST(ShareOrCount, RefusesWhatIsNeither) {
    for (const char* text :
         {"", "%", "5%%", "-5%", "-1", "101%", "100.000001%", "99999999999999999999%", "five", "5 rows"}) {
        EXPECT_FALSE(parse_share_or_count(text)) << text;
    }
}

TEST(ShareOrCount, IsExceededOnlyByMoreThanTheLimit) {
    for (int percent = 1; percent <= 100; percent++) {
        auto limit = parse_share_or_count(std::to_string(percent) + "%");
        EXPECT_FALSE(limit->exceeded_by(percent, 100)) << percent;
        EXPECT_TRUE(limit->exceeded_by(percent + 1, 100)) << percent;
    }
    EXPECT_FALSE(parse_share_or_count("10")->exceeded_by(10, 20));
    EXPECT_TRUE(parse_share_or_count("10")->exceeded_by(11, 1'000'000));
    EXPECT_TRUE(parse_share_or_count("0")->exceeded_by(1, 1));
    EXPECT_FALSE(parse_share_or_count("0%")->exceeded_by(0, 0));
}

TEST(Lookback, DigitsAloneAreACount) {
    EXPECT_EQ(*parse_lookback("1000"), Lookback(std::int64_t{1000}));
}

TEST(Lookback, AnythingElseIsATime) {
    EXPECT_EQ(*parse_lookback("10 minutes"), Lookback(milliseconds(600'000)));
    EXPECT_EQ(*parse_lookback("00:10:00"), Lookback(milliseconds(600'000)));
}

TEST(Lookback, RefusesNegativeAndHugeValues) {
    for (const char* text : {"", "-1000", "-1 min", "99999999999999999999", "many"}) {
        EXPECT_FALSE(parse_lookback(text)) << text;
    }
}

TEST(ConnectionString, ReadsKeywordsInOrder) {
    auto parsed = parse_connection_string(" Driver = {ODBC; Driver 18} ; Server=tcp:10.0.0.1,1433;;Encrypt=yes; ");
    ASSERT_TRUE(parsed) << parsed.error;
    EXPECT_EQ(*parsed,
              (ConnectionKeywords{{"Driver", "ODBC; Driver 18"}, {"Server", "tcp:10.0.0.1,1433"}, {"Encrypt", "yes"}}));
}

TEST(ConnectionString, DoublesClosingBraces) {
    auto parsed = parse_connection_string("a={x}}y};b={}}};c={};d=x{y}");
    ASSERT_TRUE(parsed) << parsed.error;
    EXPECT_EQ(*parsed, (ConnectionKeywords{{"a", "x}y"}, {"b", "}"}, {"c", ""}, {"d", "x{y}"}}));
}

TEST(ConnectionString, KeepsEqualsSignsInValues) {
    EXPECT_EQ(*parse_connection_string("key=a=b;"), (ConnectionKeywords{{"key", "a=b"}}));
}

TEST(ConnectionString, SaysWhereItIsWrong) {
    const ErrorCase cases[] = {
        {"", "It is empty."},
        {" ;; ", "It is empty."},
        {"Driver", "There is no \"=\" in the part that begins at position 1."},
        {"a=b; hunter2;c=d", "There is no \"=\" in the part that begins at position 6."},
        {"a=b;=c", "There is no keyword before the \"=\" at position 5."},
        {"a={b", "There is no \"}\" for the \"{\" at position 3."},
        {"a={b}}", "There is no \"}\" for the \"{\" at position 3."},
        {"a={b}c", "There is something else than \";\" after the \"}\" at position 6."},
        {"{a}=b", "There is a brace in the keyword that begins at position 1."},
        {std::string("a=b\0;", 5), "There is a zero byte at position 4."},
    };
    for (const auto& [text, error] : cases) {
        auto parsed = parse_connection_string(text);
        EXPECT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error, error) << text;
    }
}

TEST(ConnectionString, SurvivesHostileText) {
    EXPECT_FALSE(parse_connection_string("a={" + std::string(3'000'001, '}') + "x"));
    EXPECT_FALSE(parse_connection_string(std::string(3'000'000, '=')));
    EXPECT_TRUE(parse_connection_string("a=b" + std::string(3'000'000, ';')));
}

TEST(ConnectionString, KnowsKeywordsInTheirSpellings) {
    EXPECT_EQ(option_of_keyword("User ID"), "user");
    EXPECT_EQ(option_of_keyword("pwd"), "password");
    EXPECT_EQ(option_of_keyword("HOSTNAME"), "host");
    EXPECT_EQ(option_of_keyword("Encrypt"), "");
}

TEST(QuoteForMessage, ClipsAtAWholeCharacter) {
    std::string text = std::string(59, 'a') + "éé";
    EXPECT_EQ(quote_for_message(text), "\"" + std::string(59, 'a') + "...\"");
}

TEST(QuoteForMessage, ReplacesControlCharacters) {
    EXPECT_EQ(quote_for_message(std::string_view("a\0b\nc", 5)), "\"a?b?c\"");
}

}  // namespace
}  // namespace insync
