// Waits until a request may be sent; see rate_limit.hpp.
#include "bgworker/connector/rest/http/rate_limit.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/options/values_rest.hpp"

namespace insync::rest {

namespace {

using std::chrono::milliseconds;

// Waits that somebody who watches should hear of.
constexpr milliseconds worth_telling = std::chrono::seconds(10);

}  // namespace

RateLimiter::RateLimiter(const Settings& settings, std::string who, Permits& permits, FrameWriter& out)
    : who_(std::move(who)), permits_(permits), out_(out), pause_(settings.duration("pause").value_or(milliseconds(0))) {
    if (settings.has("rate")) {
        const auto rate = parse_rate(settings.text("rate"));
        if (!rate) throw Failure(FailureClass::config, "invalid value for option \"rate\"", rate.error);
        interval_ = std::chrono::ceil<milliseconds>(*rate);
    }
    interval_ = std::max(interval_, pause_);
}

void RateLimiter::wait() {
    const auto now = Clock::now();
    auto remaining = [&](Clock::time_point end) {
        return std::max(std::chrono::ceil<milliseconds>(end - now), milliseconds(0));
    };
    const milliseconds hold = remaining(silent_until_);
    milliseconds wait = hold;
    if (interval_.count() > 0 || hold.count() > 0) wait = std::max(wait, permits_.ask(interval_, hold));
    // A slow rate makes long queues, which are the DBA's wish and end; what is far longer was asked for by the source,
    // if not of us, then of another stream.
    if (hold > longest_silence || wait > std::max(longest_silence, 10 * interval_)) {
        Failure failure(
            FailureClass::rate_limited, who_ + " asked for a pause of " + rounded_duration(wait),
            hold.count() > 0 ? "It did so in " + asked_in_ + "." : "It did so in a request of another stream.");
        failure.retry_after_seconds = std::chrono::duration<double>(wait).count();
        throw failure;
    }
    sleep(std::max(wait, remaining(paused_until_)),
          hold.count() > 0 ? who_ + " asked for it in " + asked_in_ : "the server's requests have a rate");
}

void RateLimiter::note_exchange() {
    paused_until_ = Clock::now() + pause_;
}

void RateLimiter::be_silent(milliseconds duration, const std::string& header) {
    const auto until = Clock::now() + duration;
    if (until <= silent_until_) return;
    silent_until_ = until;
    asked_in_ = header;
}

void RateLimiter::pass_on(milliseconds silence) {
    (void)permits_.ask(interval_, silence);
}

void RateLimiter::sleep(milliseconds duration, const std::string& reason) {
    const auto end = Clock::now() + duration;
    if (duration >= worth_telling) out_.log("notice", "waiting " + rounded_duration(duration) + ": " + reason);
    for (auto now = Clock::now(); now < end; now = Clock::now()) {
        const auto step = std::min<Clock::duration>(end - now, std::chrono::seconds(1));
        const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(step).count();
        const timespec time{nanoseconds / 1000000000, nanoseconds % 1000000000};
        (void)nanosleep(&time, nullptr);
        if (Clock::now() < end) out_.log("debug", "waiting: " + reason);
    }
}

}  // namespace insync::rest
