// How long a stream waits after a failed run, and a job after a failed attempt.
//
// Pure. At first the pauses are short: retry_delay or, where nobody has set that, the stream's own rhythm if it is
// shorter. From there they only grow, to an hour at most, whatever the schedule says: a source that stays broken is
// left in peace. Credentials that are refused are tried a few times a day, as many servers lock an account otherwise.
#pragma once

#include <chrono>

namespace insync {

struct BackOff {
    std::chrono::milliseconds first{60'000};  // before the first retry
    bool doubles = true;                      // with each retry; after the last retry the pauses double in any case
    long max_retries = 3;

    // Before the next attempt, after so many failures in a row (1 or more). Never less than after one failure fewer.
    std::chrono::milliseconds pause_after(long failures) const;
};

// No pause is longer, unless the option retry_delay itself is.
inline constexpr std::chrono::milliseconds longest_pause = std::chrono::hours(1);

// The same where the source has refused the credentials.
std::chrono::milliseconds pause_after_refused_login(long failures);

// What a source asks for, a day at most.
std::chrono::milliseconds asked_pause(long asked_ms);

}  // namespace insync
