// What a stream's runs came to, as far as its schedule, its back-off and its status need it: kept in insync.watermark,
// one row a stream, so that nobody searches the history, which isn't dumped and which users may delete.
//
// Runs that leave a row of history are noted with it. Of scheduled polls that find nothing one is noted every few
// minutes: after a crash a stream may seem to have run so much earlier than it did.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "bgworker/catalog/stream.hpp"

namespace insync {

// A poll is noted if the last note is older than this.
inline constexpr std::int64_t note_interval_us = 5 * 60 * std::int64_t{1'000'000};

// A run that failed.
struct FailedRun {
    std::int64_t started_us = 0;  // since 1970
    bool by_workers = true;       // they may try it again
    bool progressed = false;      // it has moved the stream on: the failures before it count no more
    // server_version() when it began; nothing: it didn't get so far.
    std::optional<std::string> met;
};

// A run has begun. Needs a transaction, as all of these.
void note_run(int stream_id, std::int64_t started_us);
// It was cancelled: if it was a retry, the schedule goes on.
void note_cancelled_run(int stream_id, const FailedRun& run);
// It has succeeded, and is noted already or was the last time; `reads_new`: it reads what is new, which one by keys
// doesn't. `met` as in FailedRun: other streams whose credentials were refused there needn't wait any longer.
void record_success(int stream_id, std::int64_t started_us, bool reads_new, bool had_failed,
                    const std::optional<std::string>& met);
// It has failed: counts it, and sets when it is tried again. Returns that time (microseconds since 1970), if the
// workers try it before its schedule says.
std::optional<std::int64_t> record_failure(const Stream& stream, const pg::Error& error, const FailedRun& run);
// A job was refused the credentials: nothing of the stream that the workers do by themselves logs in for a while.
void hold_after_refused_login(const Stream& stream);
// The failures are forgotten, as somebody has changed or resumed the stream. `at_once`: one that had failed is due now.
void forget_failures(int stream_id, bool at_once);

// Streams of the server that wait after a failure to connect are tried at once.
void retry_unconnected(const std::string& server);

// Instants that a clock which was set back has left in the future become now; otherwise what counts from them would
// stand still until the clock has caught up.
void settle_clock();

// Which streams wait after failures, and until when.
class Holds {
  public:
    // Reads them; needs a transaction.
    Holds();
    // Since the stream failed, its server or its user mapping has been changed: it is worth trying at once.
    bool is_changed(int stream_id) const;
    // Not before this time (microseconds since 1970) do the workers run it by themselves; INT64_MIN: they may. The
    // login of another stream that was refused counts, if it would be the same one.
    std::int64_t until(int stream_id, const std::string& server, Oid owner) const;

  private:
    struct Hold {
        std::int64_t until;
        bool changed;
    };
    std::map<int, Hold> streams_;
    std::map<std::string, std::int64_t> refused_logins_;  // by server_version()
};

}  // namespace insync
