// The history of runs: the only place that writes insync.run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"

namespace insync {

// What a batch or a run did.
struct RunCounts {
    std::int64_t batches = 0, rows_read = 0, inserted = 0, updated = 0, deleted = 0, rejected = 0, bytes = 0;
    std::int64_t vanished = 0;  // deleted as well, but not among the rows read
    std::int64_t filtered = 0;  // read, but left out by the stream's filter

    std::int64_t unchanged() const {
        auto rest = rows_read - inserted - updated - deleted - rejected - filtered;
        return rest > 0 ? rest : 0;
    }
    bool wrote() const { return inserted + updated + deleted + vanished + rejected > 0; }
    void add(const RunCounts& other);
};

// Each of these needs a transaction and makes its own Spi, as the extension's owner. Instants are microseconds since
// 1970.
class Runs {
  public:
    // Returns the run's number. `began_us`: a run that is recorded later than it began says when that was.
    static std::int64_t insert(const Stream& stream, const std::string& mode, const std::string& status,
                               const std::string& trigger, std::optional<std::int64_t> began_us = std::nullopt);
    // Scheduled polls that found nothing, as one row, whose number it returns.
    static std::int64_t insert_quiet_polls(const Stream& stream, const std::string& mode, std::int64_t polls,
                                           std::int64_t since_us, std::int64_t last_us);
    // A queued run begins. Throws (cancelled) where it was cancelled before.
    static void start_queued(std::int64_t run_id, const std::string& mode, std::int64_t began_us);
    // The first job of a run begins. False where the run has ended.
    static bool begin(std::int64_t run_id);
    // Throws where the run is gone, as its stream was dropped.
    static void save_progress(std::int64_t run_id, const RunCounts& counts);
    // Adds the counts of a job. False where the run was cancelled, or is gone.
    static bool add_progress(std::int64_t run_id, const RunCounts& counts);
    // How many rows were read though they had been read before.
    static void save_reread(std::int64_t run_id, std::int64_t rows);
    static void finish(std::int64_t run_id, const std::string& status, const RunCounts& counts, const pg::Error* error,
                       const std::string& message);
    // Ends a run of jobs, unless it has ended.
    static void end(std::int64_t run_id, const std::string& status, const pg::Error* error, const pg::Value& message);
    // A scheduled run failed just as the one before it: counted in that one's row. False if there is no such row.
    static bool repeat_failure(int stream_id, const std::string& message);
    // Marks runs of the stream that a crash left behind as failed; the caller holds the stream's lock.
    static void close_interrupted(int stream_id);
    // Cancels runs that have not begun; returns their numbers.
    static std::vector<std::int64_t> cancel_queued(int stream_id);

    // Whoever writes the rows of a run and of its jobs locks the run first.
    static void lock(std::int64_t run_id);
};

}  // namespace insync
