// Sends requests with all that a source asks for beside the request itself; see session.hpp.
#include "bgworker/connector/rest/http/session.hpp"

#include <algorithm>
#include <ctime>
#include <random>
#include <utility>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/answer_excerpt.hpp"
#include "bgworker/connector/rest/http/auth.hpp"
#include "bgworker/connector/rest/http/charset.hpp"
#include "bgworker/connector/rest/http/origins.hpp"
#include "bgworker/connector/rest/http/rate_limit.hpp"
#include "bgworker/connector/rest/http/retry_policy.hpp"
#include "bgworker/connector/rest/http/url.hpp"
#include "bgworker/options/values.hpp"

namespace insync::rest {

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int most_redirects = 5;

HttpLimits limits_of(const OpenRequest& request, const Settings& settings) {
    HttpLimits limits;
    limits.connect_timeout = milliseconds(request.connect_timeout_ms);
    if (const auto timeout = settings.duration("timeout")) limits.timeout = *timeout;
    if (const auto timeout = settings.duration("stall_timeout")) limits.stall_timeout = *timeout;
    if (const auto size = settings.size("max_response"); size > 0) limits.max_response = static_cast<std::size_t>(size);
    limits.tls_ca = settings.text("tls_ca");
    limits.proxy = settings.text("proxy");
    return limits;
}

// With the headers that every request has.
HttpRequest completed(HttpRequest request) {
    if (!has_header(request.headers, "accept")) request.headers.emplace_back("Accept", "application/json");
    if (!has_header(request.headers, "user-agent")) request.headers.emplace_back("User-Agent", "pg_insync");
    if (request.body && !has_header(request.headers, "content-type")) {
        request.headers.emplace_back("Content-Type", "application/json");
    }
    return request;
}

bool is_redirect(long status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

double seconds_of(milliseconds duration) {
    return static_cast<double>(duration.count()) / 1000;
}

}  // namespace

struct Session::State {
    State(const OpenRequest& request, const Settings& settings, Permits& permits, FrameWriter& out_)
        : base_url(settings.text("base_url")),
          origin(origin_of(base_url)),
          origins(settings),
          auth(request, settings),
          http(limits_of(request, settings), [this] { out.log("debug", "waiting for " + origin); }),
          rate(settings, origin, permits, out_),
          out(out_),
          rate_header(to_lower(settings.text("rate_header"))) {
        if (origin.empty()) {
            throw Failure(FailureClass::config, "option base_url is not an http or https URL");
        }
        if (shown_url(base_url, {}) != base_url) {
            throw Failure(FailureClass::config, "option base_url holds credentials", "",
                          "They belong to the user mapping; option auth says how they are sent.");
        }
    }

    std::string base_url, origin;
    Origins origins;
    Auth auth;
    HttpClient http;
    RateLimiter rate;
    FrameWriter& out;
    std::string rate_header;
    int retries = 0;
    std::vector<std::pair<std::string, std::string>> on_status;

    std::optional<std::int64_t> source_now;  // when that answer came …
    Clock::time_point source_now_noted{};    // … by our own clock
    int throttled = 0;                       // times in a row that the reader was told to wait
    bool was_told = false;
    std::mt19937 random{std::random_device{}()};

    double chance() { return std::uniform_real_distribution<double>(0, 1)(random); }

    // Counts the tries of one request.
    struct Tries {
        int failed = 0;
        Clock::time_point start = Clock::now();
    };

    // True if the request is to be sent again, after the wait that the source asked for, or one of our own; false where
    // it was tried often enough or for long enough.
    bool again(Tries& tries, std::optional<milliseconds> asked, const std::string& reason) {
        if (tries.failed >= retries) return false;
        tries.failed++;
        milliseconds wait = back_off(tries.failed, chance());
        const bool is_asked = asked && asked->count() > 0;
        // The jitter comes on top: before the time that the source named the request would be in vain.
        if (is_asked) wait = *asked + wait / 4;
        if (Clock::now() - tries.start + wait > RateLimiter::longest_silence) return false;
        out.log("debug", "trying again in " + rounded_duration(wait) + ": " + reason);
        if (is_asked) {
            rate.be_silent(wait, "Retry-After or a header like it");
        } else {
            rate.sleep(wait, reason);
        }
        return true;
    }

    // ---------------------------------------------------------------------------------------------------- exchanging

    HttpResponse exchange(const HttpRequest& request) {
        HttpResponse response = http.send(request);
        rate.note_exchange();
        if (response.status < 300)
            response.body = utf8_body(std::move(response.body), response.header("content-type").value_or(""));
        return response;
    }

    // What an answer of the source tells beside what was asked for.
    void take_note(const HttpResponse& response) {
        const auto date = response.header("date");
        const auto now = date ? parse_http_date(*date) : std::nullopt;
        if (now) {
            source_now = now;
            source_now_noted = Clock::now();
        }
        if (const auto wait = until_reset(response, time(nullptr))) rate.be_silent(*wait, "its rate limit headers");
        const auto bucket = rate_header.empty() ? std::nullopt : response.header(rate_header);
        const auto wait = bucket ? until_drained(*bucket) : std::nullopt;
        if (wait) rate.be_silent(*wait, "header " + rate_header);
    }

    void ensure_token() {
        if (!auth.needs_token(Clock::now())) return;
        const HttpRequest request = completed(auth.token_request());
        Tries tries;
        for (;;) {
            HttpResponse response;
            try {
                response = exchange(request);
            } catch (const Failure& failure) {
                if (failure.kind != FailureClass::transient || !again(tries, std::nullopt, failure.message)) throw;
                continue;
            }
            const auto asked = retry_after(response, time(nullptr));
            if (may_pass(response.status)) {
                const std::string reason = "the token endpoint answered " + status_text(response.status);
                if (again(tries, asked, reason)) continue;
                throw_unavailable(response.status, reason, "", asked);
            }
            if (is_redirect(response.status)) {
                throw Failure(FailureClass::config, "the token endpoint redirects",
                              "It answered " + status_text(response.status) + ".", "Set option token_url.");
            }
            auth.accept_token(response, Clock::now());
            return;
        }
    }

    HttpResponse send(const HttpRequest& original) {
        throttled = was_told ? throttled : 0;
        was_told = false;
        HttpRequest request = completed(original);
        request.url = resolved(base_url, request.url);
        check_origin(request);
        Tries tries;
        bool was_renewed = false;
        for (int redirects = 0;;) {
            ensure_token();
            rate.wait();
            HttpResponse response;
            try {
                response = exchange(auth.authorized(request));
            } catch (const Failure& failure) {
                if (failure.kind != FailureClass::transient || !again(tries, std::nullopt, failure.message)) throw;
                continue;
            }
            take_note(response);
            response.url = request.url;
            if (response.status == 401 && auth.can_renew() && !was_renewed) {
                was_renewed = true;
                auth.forget_token();
                continue;
            }
            if (request.accepts_any) return response;
            if (std::count(request.accepted.begin(), request.accepted.end(), response.status) > 0) return response;
            if (is_limited(response)) {
                const auto asked = wait_asked(response);
                if (again(tries, asked, answered(response.status))) continue;
                fail(response, request, asked);
            }
            const auto meaning = meaning_of(response.status, on_status);
            if (meaning == StatusMeaning::empty) {
                response.body.clear();
                return response;
            }
            if (meaning == StatusMeaning::retry || (!meaning && may_pass(response.status))) {
                const auto asked = wait_asked(response);
                if (again(tries, asked, answered(response.status))) continue;
                fail(response, request, asked);
            }
            if (!meaning && is_redirect(response.status) && response.header("location")) {
                follow(request, response, ++redirects);
                continue;
            }
            if (!meaning && (response.status / 100 == 2 || response.status == 304)) return response;
            fail(response, request, std::nullopt);
        }
    }

    // ---------------------------------------------------------------------------------------------------- deciding

    std::string answered(long status) const { return origin + " answered " + status_text(status); }

    std::optional<milliseconds> wait_asked(const HttpResponse& response) const {
        const auto asked = retry_after(response, time(nullptr));
        return asked && asked->count() > 0 ? asked : until_reset(response, time(nullptr));
    }

    // GitHub says 403 where others say 429.
    bool is_limited(const HttpResponse& response) const {
        return response.status == 403 && (until_reset(response, time(nullptr)) || response.header("retry-after"));
    }

    std::string quoted(const HttpResponse& response) const {
        const std::string text = quoted_text(auth.masked(response.body.substr(0, longest_masked)));
        return text.empty() ? "The answer is empty." : "The answer: " + text;
    }

    // What the source names may hold what it was told.
    std::string resolved(const std::string& base, const std::string& reference) const {
        try {
            return resolve_url(base, reference);
        } catch (Failure& failure) {
            failure.detail = auth.masked(failure.detail);
            throw;
        }
    }

    // Those of the user mapping, or what looks like some among the headers that options set.
    bool takes_credentials(const HttpRequest& request) const {
        return auth.sends_credentials() ||
               std::any_of(request.headers.begin(), request.headers.end(),
                           [&](const auto& header) { return auth.is_secret_header(header.first); });
    }

    // The answers of an API could have this machine ask what only it can reach, credentials or not.
    void check_origin(const HttpRequest& request) const {
        const std::string other = origin_of(request.url);
        if (origins.allow(other)) return;
        throw Failure(FailureClass::config,
                      takes_credentials(request) ? "the next request would take the credentials to another server"
                                                 : "the next request would go to another server",
                      "It would go to " + other + ", and base_url is at " + origin + ".", Origins::hint(other));
    }

    void follow(HttpRequest& request, const HttpResponse& response, int redirects) const {
        const std::string target = resolved(request.url, *response.header("location"));
        const std::string from = origin_of(request.url), to = origin_of(target);
        const bool is_downgrade = from.starts_with("https:") && to.starts_with("http:");
        if (redirects > most_redirects) {
            throw Failure(FailureClass::config, "the source redirects in a loop",
                          "It did so " + std::to_string(redirects) + " times; the last request was " +
                              shown_request(request) + ".");
        }
        if (is_downgrade || (from != to && !origins.allow(to))) {
            throw Failure(
                FailureClass::config, "the source redirects to another server",
                shown_request(request) + " was answered with " + status_text(response.status) + " to " + to + ".",
                Origins::hint(to));
        }
        request.refuses_local = to != origin;
        const bool is_get = request.method == "GET" || request.method == "HEAD";
        if (!is_get && (response.status == 301 || response.status == 302)) {
            // Browsers turn it into a GET, others don't: there is no telling what the source wants.
            throw Failure(
                FailureClass::config, "the source redirects a " + request.method + " request",
                shown_request(request) + " was answered with " + status_text(response.status) + ".",
                "Set option path to where it leads: " + auth.masked(shown_url(target, auth.secret_parameters())) + ".");
        }
        if (response.status == 303 && !is_get) {
            request.method = "GET";
            request.body.reset();
        }
        request.url = target;
    }

    std::string shown_request(const HttpRequest& request) const {
        constexpr std::size_t longest = 500;
        std::string shown = request.method + " " + auth.masked(shown_url(request.url, auth.secret_parameters()));
        return shown.size() > longest ? shown.substr(0, longest) + "..." : shown;
    }

    [[noreturn]] void throw_unavailable(long status, const std::string& message, const std::string& detail,
                                        std::optional<milliseconds> asked) {
        const bool is_limit = status == 429 || status == 403 || (asked && asked->count() > 0);
        Failure failure(is_limit ? FailureClass::rate_limited : FailureClass::transient, message, detail);
        if (asked) {
            failure.retry_after_seconds = seconds_of(*asked);
            // The other streams of the server needn't learn it the hard way.
            if (asked->count() > 0) rate.pass_on(*asked);
        }
        throw failure;
    }

    // What an answer that isn't wanted means.
    [[noreturn]] void fail(const HttpResponse& response, const HttpRequest& request,
                           std::optional<milliseconds> asked) {
        const long status = response.status;
        const std::string message = "the source answered with " + status_text(status);
        const std::string detail = "The request was " + shown_request(request) + ". " + quoted(response);
        if (may_pass(status) || (status == 403 && asked) || meaning_of(status, on_status) == StatusMeaning::retry) {
            throw_unavailable(status, message, detail, asked);
        }
        if (status == 401 || status == 403) {
            throw Failure(FailureClass::auth, message, detail,
                          !auth.sends_credentials()
                              ? "Option auth of the server says how requests are authorized."
                              : "Check the credentials of the user mapping, and what they are allowed to read.");
        }
        if (status == 404 || status == 410) {
            throw Failure(FailureClass::config, message, detail,
                          "Check base_url and path; {\"" + std::to_string(status) +
                              "\": \"empty\"} in option on_status takes it for no rows.");
        }
        throw Failure(status / 100 == 4 ? FailureClass::config : FailureClass::source, message, detail);
    }
};

Session::Session(const OpenRequest& request, const Settings& settings, Permits& permits, FrameWriter& out)
    : state_(std::make_unique<State>(request, settings, permits, out)) {
    use(settings);
}

Session::~Session() = default;

void Session::use(const Settings& settings) {
    state_->retries = static_cast<int>(settings.number("retries"));
    state_->on_status = settings.object("on_status");
}

HttpResponse Session::send(const HttpRequest& request) {
    return state_->send(request);
}

void Session::wait_as_told(double seconds) {
    State& state = *state_;
    state.was_told = true;
    if (++state.throttled > std::max(state.retries, 1)) {
        Failure failure(FailureClass::rate_limited, "the source keeps answering that it limits requests");
        failure.retry_after_seconds = std::clamp(seconds, 0.0, 86400.0);
        throw failure;
    }
    const auto own = back_off(state.throttled, state.chance());
    const auto told = milliseconds(static_cast<std::int64_t>(std::clamp(seconds, 0.0, 86400.0) * 1000));
    state.rate.be_silent(std::max(own, told), "its throttle status");
}

std::optional<std::string> Session::source_now() const {
    if (!state_->source_now) return std::nullopt;
    // The last answer may be of a run before this one.
    const auto since = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - state_->source_now_noted);
    return utc_text(*state_->source_now + since.count());
}

void Session::login() {
    state_->ensure_token();
}

std::string Session::shown(const HttpRequest& request) const {
    const Auth& auth = state_->auth;
    HttpRequest whole = auth.authorized(completed(request));
    whole.url = resolve_url(state_->base_url, whole.url);
    std::string text = whole.method + " " + shown_url(whole.url, auth.secret_parameters());
    for (const auto& [name, value] : whole.headers) {
        text += "\n" + name + ": " + (auth.is_secret_header(name) ? "***" : value);
    }
    return auth.masked(text);
}

std::uint64_t Session::requests() const {
    return state_->http.requests();
}

std::uint64_t Session::bytes_received() const {
    return state_->http.bytes_received();
}

}  // namespace insync::rest
