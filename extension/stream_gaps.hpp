// What one stream lacks, as its slices tell it, with what its runs and its schedule have to say to it.
//
// Only the ledger is read, never the target, so that it costs the same whatever the target holds; and what the options
// holidays and calendar name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/gaps.hpp"
#include "bgworker/stream.hpp"

namespace insync {

// A stretch of slices that couldn't be read again when it was last tried, and why.
struct Refusal {
    WallUs begin = 0, end = 0;
    std::string message;
};

struct StreamGaps {
    Stream stream;
    std::string unjudged;  // why the slices aren't judged, as a sentence without its end; empty: they are
    bool failed = false;   // because an option of the stream did
    SliceUnit unit = SliceUnit::day;
    std::vector<Gap> gaps;
    Coverage coverage;
    std::optional<WallUs> first, last;  // slices with rows
    std::optional<std::string> rows;    // of all slices
    std::optional<std::string> last_verified;
    Thresholds thresholds;
    // Nothing ever came, though a run was due so many days ago; 0 days: today.
    std::optional<std::int64_t> never;
    // The last run, in the way of incremental or full.
    std::string last_status, last_message;
    std::string functions;     // what to write before the names of functions where the caller's search_path lacks them
    std::int64_t rejects = 0;  // rows in insync.error
    std::vector<Refusal> refusals;
    bool can_backfill = true;     // the source can be asked for slices
    bool read_since_due = false;  // a run succeeded since the data was due, and the last one did

    Severity severity() const;
    Severity severity_of(const Gap& gap) const { return insync::severity_of(gap, thresholds); }
    Severity severity_of_never() const;
};

// Of slices that touch the time from `from` to before `to`. Throws where an option of the stream fails.
StreamGaps find_gaps(const Stream& stream, WallUs from, WallUs to);

// Of all slices. Where an option fails, that is what is found: one stream must not hide the others.
StreamGaps find_gaps_or_failure(const Stream& stream);

// What to do about a gap: a sentence, and a complete statement; none where somebody has to decide first.
struct Advice {
    std::string recommendation;
    std::optional<std::string> fix;
};
Advice advise(const StreamGaps& found, const Gap& gap);
Advice advise_never(const StreamGaps& found);

// The sentence that a manager reads; empty where all is well.
std::string tell(const StreamGaps& found);

// A wall time as PostgreSQL's timestamps are written; for slices of days and more, the date alone.
std::string timestamp_text(WallUs time);
std::string slice_text(WallUs time, SliceUnit unit);

}  // namespace insync
