// When requests may go out: the server's rate and pause, silences that the source asked for, and sleeping.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "bgworker/connector/output/frame_writer.hpp"
#include "bgworker/connector/output/rate_permits.hpp"
#include "bgworker/connector/rest/options/effective_options.hpp"

namespace insync::rest {

class RateLimiter {
  public:
    // A longer silence isn't waited for inside a run: the worker comes back for it. Nor is a request tried for longer.
    static constexpr std::chrono::milliseconds longest_silence = std::chrono::minutes(2);

    // Options rate and pause. `who` names the server in messages.
    RateLimiter(const Settings& settings, std::string who, Permits& permits, FrameWriter& out);

    // Waits until the next request may be sent. Raises Failure (rate_limited) where the source wants a longer silence
    // than is waited for.
    void wait();

    // Tells that an exchange has ended, from where the pause counts.
    void note_exchange();

    // No request goes out for so long, as the source said in `header`.
    void be_silent(std::chrono::milliseconds duration, const std::string& header);

    // The same for the other streams of the server alone, by somebody who gives up.
    void pass_on(std::chrono::milliseconds silence);

    // Sleeps, and keeps the worker from taking the connector for hung.
    void sleep(std::chrono::milliseconds duration, const std::string& reason);

  private:
    using Clock = std::chrono::steady_clock;

    std::string who_;
    Permits& permits_;
    FrameWriter& out_;
    std::chrono::milliseconds interval_{0}, pause_{0};
    Clock::time_point silent_until_{}, paused_until_{};
    std::string asked_in_;  // the header that silent_until_ comes from
};

}  // namespace insync::rest
