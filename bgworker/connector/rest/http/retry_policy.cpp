// Reads what sources say about waiting; see retry_policy.hpp.
#include "bgworker/connector/rest/http/retry_policy.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>

#include <curl/curl.h>

#include "bgworker/options/values.hpp"

namespace insync::rest {

namespace {

using std::chrono::milliseconds;

constexpr double longest_seconds = 86400;
// Beyond this a number is no count of seconds from now: the ninth of September 2001.
constexpr double first_epoch = 1e9, first_epoch_milliseconds = 1e12;

milliseconds wait_of(double seconds) {
    return milliseconds(std::llround(std::clamp(seconds, 0.0, longest_seconds) * 1000));
}

// The number that `text` begins with; what stands behind it has to be a separator.
std::optional<double> leading_number(std::string_view text) {
    text = trim(text);
    if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;  // "inf" is a number to from_chars()
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc() && error != std::errc::result_out_of_range) return std::nullopt;
    if (error == std::errc::result_out_of_range) value = longest_seconds;
    const std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
    if (!rest.empty() && std::string_view(",;").find(rest[0]) == std::string_view::npos) return std::nullopt;
    return value;
}

std::int64_t clock_of(const HttpResponse& response, std::int64_t now) {
    const auto date = response.header("date");
    return (date ? parse_http_date(*date) : std::nullopt).value_or(now);
}

// A parameter of a structured header: remaining=0, r=0.
std::optional<double> parameter(std::string_view header, std::string_view name) {
    for (std::size_t start = 0; start < header.size();) {
        const std::size_t end = std::min(header.find_first_of(",;", start), header.size());
        const std::string_view item = trim(header.substr(start, end - start));
        const std::size_t equals = item.find('=');
        if (equals != std::string_view::npos && trim(item.substr(0, equals)) == name) {
            return leading_number(item.substr(equals + 1));
        }
        start = end + 1;
    }
    return std::nullopt;
}

milliseconds until(double reset, std::int64_t now) {
    if (reset >= first_epoch_milliseconds) reset /= 1000;
    return wait_of(reset >= first_epoch ? reset - static_cast<double>(now) : reset);
}

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view text) {
    const time_t time = curl_getdate(std::string(text).c_str(), nullptr);
    return time < 0 ? std::nullopt : std::optional<std::int64_t>(time);
}

std::string utc_text(std::int64_t seconds) {
    const time_t time = seconds;
    tm parts{};
    char text[64];
    if (gmtime_r(&time, &parts) == nullptr) return "";
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::optional<milliseconds> retry_after(const HttpResponse& response, std::int64_t now) {
    const auto header = response.header("retry-after");
    if (!header) return std::nullopt;
    if (const auto seconds = leading_number(*header)) return wait_of(*seconds);
    // A date has letters; a negative number, which the date parser would take for a time zone, hasn't.
    if (header->find(':') == std::string::npos) return std::nullopt;
    const auto date = parse_http_date(*header);
    if (!date) return std::nullopt;
    return wait_of(static_cast<double>(*date - clock_of(response, now)));
}

std::optional<milliseconds> until_reset(const HttpResponse& response, std::int64_t now) {
    now = clock_of(response, now);
    for (const char* prefix : {"x-ratelimit-", "x-rate-limit-", "ratelimit-"}) {
        const auto remaining = response.header(std::string(prefix) + "remaining");
        const auto reset = response.header(std::string(prefix) + "reset");
        if (!remaining || !reset || leading_number(*remaining) != 0.0) continue;
        if (const auto value = leading_number(*reset)) return until(*value, now);
        if (const auto date = parse_http_date(*reset)) return wait_of(static_cast<double>(*date - now));
    }
    if (const auto both = response.header("ratelimit")) {
        for (const auto& [remaining, reset] : {std::pair("remaining", "reset"), {"r", "t"}}) {
            const auto value = parameter(*both, reset);
            if (parameter(*both, remaining) == 0.0 && value) return until(*value, now);
        }
    }
    return std::nullopt;
}

std::optional<milliseconds> until_drained(std::string_view used_of_allowed) {
    // Shopify's bucket: 40 requests, of which 2 leak a second, or as many times that.
    constexpr double seconds_to_drain = 20, enough = 0.8;
    const std::size_t slash = used_of_allowed.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto used = leading_number(used_of_allowed.substr(0, slash));
    const auto allowed = leading_number(used_of_allowed.substr(slash + 1));
    if (!used || !allowed || *allowed <= 0 || *used <= enough * *allowed) return std::nullopt;
    return wait_of(std::min(*used / *allowed - enough, 1.0) * seconds_to_drain);
}

milliseconds back_off(int failed, double chance) {
    constexpr std::int64_t first = 500, longest = 30000;
    const std::int64_t whole = std::min(longest, first << std::clamp(failed - 1, 0, 16));
    return milliseconds(whole / 2 + static_cast<std::int64_t>(static_cast<double>(whole / 2) * chance));
}

std::optional<StatusMeaning> meaning_of(long status,
                                        const std::vector<std::pair<std::string, std::string>>& on_status) {
    auto named = [&](const std::string& name) -> std::optional<StatusMeaning> {
        for (const auto& [status_or_class, meaning] : on_status) {
            if (to_lower(status_or_class) != name) continue;
            return meaning == "retry"   ? StatusMeaning::retry
                   : meaning == "empty" ? StatusMeaning::empty
                                        : StatusMeaning::fail;
        }
        return std::nullopt;
    };
    if (const auto meaning = named(std::to_string(status))) return meaning;
    if (status == 401 || (status < 500 && may_pass(status))) return std::nullopt;
    return named(std::to_string(status / 100) + "xx");
}

bool may_pass(long status) {
    return status == 408 || status == 425 || status == 429 || status / 100 == 5;
}

}  // namespace insync::rest
