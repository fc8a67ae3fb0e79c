// What sources say about waiting, and what is made of it.
#include <gtest/gtest.h>

#include "bgworker/connector/rest/http/retry_policy.hpp"

namespace insync::rest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t now = 1767225600;  // 2026-01-01T00:00:00Z
constexpr milliseconds day = std::chrono::hours(24);

HttpResponse with(Headers headers) {
    HttpResponse response;
    response.headers = std::move(headers);
    return response;
}

std::optional<milliseconds> asked(const std::string& value) {
    return retry_after(with({{"retry-after", value}}), now);
}

TEST(RestManners, DatesOfHeaders) {
    EXPECT_EQ(parse_http_date("Thu, 01 Jan 2026 00:00:00 GMT"), now);
    EXPECT_EQ(parse_http_date("Thursday, 01-Jan-26 00:00:00 GMT"), now);
    EXPECT_EQ(parse_http_date("Thu Jan  1 00:00:00 2026"), now);
    EXPECT_FALSE(parse_http_date("soon"));
    EXPECT_FALSE(parse_http_date(""));
    EXPECT_EQ(utc_text(now), "2026-01-01T00:00:00Z");
}

TEST(RestManners, RetryAfter) {
    EXPECT_EQ(asked("120"), seconds(120));
    EXPECT_EQ(asked(" 2.0 "), seconds(2));
    EXPECT_EQ(asked("0"), seconds(0));
    EXPECT_EQ(asked("Thu, 01 Jan 2026 00:00:30 GMT"), seconds(30));
    EXPECT_EQ(asked("Wed, 31 Dec 2025 00:00:30 GMT"), seconds(0)) << "in the past";
    EXPECT_EQ(asked("99999999999999999999999"), day);
    EXPECT_EQ(asked("Thu, 01 Jan 2037 00:00:30 GMT"), day);
    for (const char* none : {"", "-5", "soon", "5 minutes or so:", "nan", "inf", "0x10"})
        EXPECT_FALSE(asked(none)) << none;
    EXPECT_FALSE(retry_after(with({}), now));
}

TEST(RestManners, ADateIsMeasuredBySourcesOwnClock) {
    const auto response =
        with({{"date", "Thu, 01 Jan 2026 01:00:00 GMT"}, {"retry-after", "Thu, 01 Jan 2026 01:00:07 GMT"}});
    EXPECT_EQ(retry_after(response, now), seconds(7));
}

TEST(RestManners, RateLimitHeaders) {
    auto reset = [](Headers headers) { return until_reset(with(std::move(headers)), now); };
    const std::string epoch = std::to_string(now + 90);
    EXPECT_EQ(reset({{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", epoch}}), seconds(90));
    EXPECT_EQ(reset({{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", epoch + "000"}}), seconds(90));
    EXPECT_EQ(reset({{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "45"}}), seconds(45));
    EXPECT_EQ(reset({{"ratelimit-remaining", "0"}, {"ratelimit-reset", "45"}}), seconds(45));
    EXPECT_EQ(reset({{"ratelimit", "limit=100, remaining=0, reset=5"}}), seconds(5));
    EXPECT_EQ(reset({{"ratelimit", "\"default\";r=0;t=6"}}), seconds(6));
    EXPECT_EQ(reset({{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", std::to_string(now - 5)}}), seconds(0));
    EXPECT_EQ(reset({{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", std::to_string(now + 999999)}}), day);
    EXPECT_FALSE(reset({{"x-ratelimit-remaining", "1"}, {"x-ratelimit-reset", epoch}}));
    EXPECT_FALSE(reset({{"x-ratelimit-remaining", "0"}}));
    EXPECT_FALSE(reset({{"x-ratelimit-remaining", "none"}, {"x-ratelimit-reset", epoch}}));
    EXPECT_FALSE(reset({{"ratelimit", "limit=100, remaining=7, reset=5"}}));
}

TEST(RestManners, ABucketIsNotFilledToTheBrim) {
    EXPECT_FALSE(until_drained("32/40"));
    EXPECT_EQ(until_drained("36/40"), seconds(2));
    EXPECT_EQ(until_drained("40/40"), seconds(4));
    EXPECT_EQ(until_drained("80 / 80"), seconds(4));
    EXPECT_EQ(until_drained("999999/1"), seconds(20));
    for (const char* none : {"", "40", "40/0", "a/b", "/40", "40/", "-40/40"})
        EXPECT_FALSE(until_drained(none)) << none;
}

TEST(RestManners, BackingOffDoublesWithinBounds) {
    for (int failed = 1; failed < 100; failed++) {
        EXPECT_GT(back_off(failed, 0), milliseconds(0));
        EXPECT_LE(back_off(failed, 1), seconds(30));
        EXPECT_LE(back_off(failed, 0), back_off(failed, 1));
        EXPECT_LE(back_off(failed, 0), back_off(failed + 1, 0));
    }
    EXPECT_EQ(back_off(2, 1), 2 * back_off(1, 1));
}

TEST(RestManners, MeaningOfStatuses) {
    const std::vector<std::pair<std::string, std::string>> on_status{
        {"404", "empty"}, {"4xx", "empty"}, {"5XX", "fail"}};
    EXPECT_EQ(meaning_of(404, on_status), StatusMeaning::empty);
    EXPECT_EQ(meaning_of(410, on_status), StatusMeaning::empty);
    EXPECT_EQ(meaning_of(503, on_status), StatusMeaning::fail);
    EXPECT_FALSE(meaning_of(429, on_status)) << "a class doesn't make a refusal for now an empty answer";
    EXPECT_FALSE(meaning_of(401, on_status));
    EXPECT_EQ(meaning_of(429, {{"429", "fail"}}), StatusMeaning::fail);
    EXPECT_FALSE(meaning_of(200, on_status));
    EXPECT_EQ(meaning_of(409, {{"409", "retry"}}), StatusMeaning::retry);
}

}  // namespace
}  // namespace insync::rest
