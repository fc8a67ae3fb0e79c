// What one stream lacks, as its slices tell it, with what its runs and its schedule have to say to it.
//
// Only the ledger is read, never the target, so that it costs the same whatever the target holds; and what the options
// holidays and calendar name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/gaps/gaps.hpp"

namespace insync {

// A stretch of slices that couldn't be read again when it was last tried, and why.
struct Refusal {
    WallUs begin = 0, end = 0;
    std::string message;
};

// The source hasn't been read to its end as it should have been, where no slices tell that.
struct Unread {
    bool never = false;     // not once since the stream was made
    std::int64_t days = 0;  // since then, or since it was first due
    bool is_critical = false;
};

struct StreamGaps {
    Stream stream;
    // Why slices are judged only where the source was asked, or not at all, as a sentence without its end; empty: all
    // are judged.
    std::string unjudged;
    bool failed = false;  // because an option of the stream did
    SliceUnit unit = SliceUnit::day;
    std::vector<Gap> gaps;
    Coverage coverage;
    std::optional<WallUs> first, last;  // slices with rows
    std::optional<std::string> rows;    // of all slices
    std::optional<std::string> last_verified;
    Thresholds thresholds;
    std::optional<Unread> unread;
    // The last run, in the way of incremental or full.
    std::string last_status, last_message;
    std::string functions;     // what to write before the names of functions where the caller's search_path lacks them
    std::int64_t rejects = 0;  // rows in insync.error
    std::vector<Refusal> refusals;
    bool can_backfill = true;     // the source can be asked for slices
    bool is_api = false;          // which can't, by its requests
    bool read_since_due = false;  // a run succeeded since the data was due, and the last one did

    Severity severity() const;
    Severity severity_of(const Gap& gap) const { return insync::severity_of(gap, thresholds); }
    Severity severity_of_unread() const;
};

// What is asked for: slices that touch the time from `from` to before `to`; as if it were `as_of`, in microseconds
// since 1970, without what was recorded later. Nothing: now.
struct GapQuestion {
    WallUs from = earliest_wall, to = latest_wall;
    std::optional<std::int64_t> as_of_us;
};

// Where an option of the stream fails, that is what is found: one stream must not hide the others.
StreamGaps find_gaps(const Stream& stream, const GapQuestion& question = {});

// What to do about a gap: a sentence, and a complete statement; none where somebody has to decide first.
struct Advice {
    std::string recommendation;
    std::optional<std::string> fix;
};
Advice advise(const StreamGaps& found, const Gap& gap);
Advice advise_unread(const StreamGaps& found);
Advice advise_failed(const StreamGaps& found);

// A gap of more slices isn't read again slice by slice: wrong dates make it, or a column that isn't fit for slices.
bool is_repairable(const StreamGaps& found, const Gap& gap);

// The sentence that a manager reads; empty where all is well.
std::string tell(const StreamGaps& found);

// A wall time as PostgreSQL's timestamps are written; for slices of days and more, the date alone.
std::string timestamp_text(WallUs time);
std::string slice_text(WallUs time, SliceUnit unit);

}  // namespace insync
