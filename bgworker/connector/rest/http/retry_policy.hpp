// How long to wait: what sources say in headers, and the time between tries where they say nothing. Pure.
//
// No wait is longer than a day, whatever a header says.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bgworker/connector/rest/http/http.hpp"

namespace insync::rest {

// A date as HTTP headers have it, as seconds since 1970; nothing where it is none.
std::optional<std::int64_t> parse_http_date(std::string_view text);

// Seconds since 1970 as 2026-01-31T10:00:00Z.
std::string utc_text(std::int64_t seconds);

// Retry-After, seconds or a date; nothing where there is none that can be read. Dates are measured against the answer's
// own Date, as clocks differ; `now` (seconds since 1970) stands in for a missing one.
std::optional<std::chrono::milliseconds> retry_after(const HttpResponse& response, std::int64_t now);

// The time until more requests are allowed, where the answer says that none is left: x-ratelimit-remaining and -reset
// (seconds since 1970, or from now), RateLimit-Remaining and -Reset, RateLimit.
std::optional<std::chrono::milliseconds> until_reset(const HttpResponse& response, std::int64_t now);

// A header such as "32/40", requests used of those allowed in a bucket that drains by a twentieth a second: the time
// until it is down to four fifths. Nothing where there is no need to wait, or where the header says something else.
std::optional<std::chrono::milliseconds> until_drained(std::string_view used_of_allowed);

// The wait before the try after `failed` tries (1 and more) that failed: half a second, doubled each time up to half a
// minute; up to a half of it is left to `chance` (0 to 1), so that those who failed together don't come back together.
std::chrono::milliseconds back_off(int failed, double chance);

enum class StatusMeaning { fail, retry, empty };

// What the option on_status says of a status: by itself, or by its class ("5xx"). A class covers neither statuses that
// ask for another try (408, 425, 429) nor refused credentials (401): nobody who calls 4xx empty means these.
std::optional<StatusMeaning> meaning_of(long status, const std::vector<std::pair<std::string, std::string>>& on_status);

// True for the statuses after which the same request may succeed: 408, 425, 429 and 5xx.
bool may_pass(long status);

}  // namespace insync::rest
