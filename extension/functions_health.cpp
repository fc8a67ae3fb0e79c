// The checks that a load balancer, an alert or a manager asks for: sync_health.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "access/xlog.h"
#include "fmgr.h"
#include "utils/timestamp.h"
}

#include "bgworker/completeness/stream_gaps.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/pg/function_arguments.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/pg/settings.hpp"
#include "bgworker/schedule/due_streams.hpp"
#include "bgworker/shmem/agenda.hpp"
#include "bgworker/shmem/wake_at_commit.hpp"

using namespace insync;

namespace {

constexpr std::size_t most_names = 20;  // in one message
// So long may a server that is due be without a worker before it is said.
constexpr TimestampTz patience = 5 * USECS_PER_SEC;

// What one check says: its worst finding, and the streams that it is about.
class Check {
  public:
    Check(const char* name, std::string all_well) : name_(name), all_well_(std::move(all_well)) {}

    void find(Severity severity, const std::string& what) {
        severity_ = std::max(severity_, severity);
        if (count_++ < most_names) list_ += (list_.empty() ? "" : "; ") + what;
    }
    Severity severity() const { return severity_; }
    // `summary` comes before the list, with the number of findings before it; `hint` says what to do.
    void add_to(ResultSet& result, const std::string& summary, const std::string& hint) const {
        bool well = severity_ == Severity::ok;
        std::string list = list_ + (count_ > most_names ? "; ..." : "");
        std::string message = summary.empty() ? list : std::to_string(count_) + " " + summary + ": " + list;
        result.add({name_, std::string(name_of(severity_)), well ? all_well_ : message,
                    well || hint.empty() ? pg::Value() : pg::Value(hint)});
    }

  private:
    const char* name_;
    std::string all_well_, list_;
    Severity severity_ = Severity::ok;
    std::size_t count_ = 0;
};

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

std::string how_long(TimestampTz since) {
    return rounded_duration(
        std::chrono::seconds(std::max<TimestampTz>(0, GetCurrentTimestamp() - since) / USECS_PER_SEC));
}

// What the workers do, by what is due and not served.
void measure_workers(Check& check, std::string& hint) {
    if (pg::call([] { return RecoveryInProgress(); })) return;
    const shared::Load load = shared::read_load();
    if (!shared::has_launcher()) check.find(Severity::critical, "the launcher of pg_insync is not running");
    if (load.crashes > 2) {
        check.find(Severity::critical, "workers of a server ended " + std::to_string(load.crashes) +
                                           " times in a row before they had done their work");
        hint = "The server log says why.";
    }
    if (load.slotless_since != DT_NOBEGIN) {
        check.find(Severity::critical,
                   "no background worker slot of the server has been free for " + how_long(load.slotless_since));
        hint = "Raise max_worker_processes, and restart.";
    }
    const TimestampTz waited = load.waiting == 0 ? 0 : GetCurrentTimestamp() - load.longest_due;
    if (waited > patience) {
        check.find(waited > 12 * patience ? Severity::critical : Severity::warning,
                   std::to_string(load.waiting) + (load.waiting == 1 ? " server is" : " servers are") +
                       " due and not served, for up to " + how_long(load.longest_due) + ", with " +
                       std::to_string(load.workers) + " of " + std::to_string(settings::max_workers()) +
                       " workers busy");
        if (hint.empty())
            hint = "SELECT * FROM insync.progress shows what they do; raise insync.max_workers if they are needed.";
    }
}

void check_workers(ResultSet& result) {
    Check check("workers", "workers run what is due");
    std::string hint;
    try {
        require_workers();
    } catch (const pg::Error& error) {  // it is our own, not PostgreSQL's: nothing is broken by it
        if (error.sqlstate != ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE) throw;
        check.find(Severity::critical, error.message);
        hint = error.hint;
    }
    if (hint.empty()) measure_workers(check, hint);
    check.add_to(result, "", hint);
}

// Servers that give no answer, each with what its last attempt said; its streams wait together for the next one.
void check_servers(ResultSet& result) {
    Check check("servers", "every server that was tried last answered");
    pg::Rows rows;
    {
        pg::PinnedSettings settings;
        pg::Spi spi;
        rows = pg::query(
            "SELECT u.server, to_char(u.failing_since, 'YYYY-MM-DD HH24:MI:SS'), u.attempts, u.failing_since < now() - "
            "interval '5 minutes', u.message FROM insync.unreachable() AS u ORDER BY u.server");
    }
    for (const auto& row : rows.rows) {
        const bool long_since = *row[3] == "t";
        check.find(long_since ? Severity::critical : Severity::warning,
                   *row[0] + " (since " + *row[1] + ", tried " + *row[2] + (*row[2] == "1" ? " time: " : " times: ") +
                       first_line(*row[4]) + ")");
    }
    check.add_to(result, "without an answer", "SELECT * FROM sync_test('...') shows each step of the connection.");
}

void check_database(ResultSet& result) {
    Check check("database", "streams run in this database");
    std::string hint;
    if (pg::call([] { return RecoveryInProgress(); })) {
        check.find(Severity::warning, "this server is a standby; the streams go on when it is promoted");
    } else if (!is_home_database()) {
        check.find(Severity::critical,
                   "the streams are stopped, as they belong to another database or server: this one was restored, "
                   "copied or upgraded");
        hint = "To run them here: SELECT sync_resume();";
    }
    check.add_to(result, "", hint);
}

// From the view of the streams, as the caller sees it.
void check_runs(ResultSet& result) {
    pg::Rows rows;
    {
        pg::PinnedSettings settings;
        pg::Spi spi;
        rows = pg::query(
            "SELECT s.stream, s.state, s.failures, s.rejects, d.paused, f.message, w.failed FROM insync.status AS s"
            " JOIN insync.stream AS d ON d.name = s.stream"
            " LEFT JOIN LATERAL (SELECT r.message FROM insync.run AS r WHERE r.stream_id = d.id AND r.status = "
            "'failed' ORDER BY r.id DESC LIMIT 1) AS f ON true"
            // Work beside the runs that failed when it was last tried, and not so long ago that nobody waits for it.
            " LEFT JOIN LATERAL (SELECT string_agg(x.mode || ' failed: ' || split_part(x.message, chr(10), 1), ', ' "
            "ORDER "
            "BY x.mode) AS failed FROM (SELECT DISTINCT ON (r.mode) r.mode, r.status, r.message, r.ended_at FROM "
            "insync.run AS r WHERE r.stream_id = d.id AND r.mode IN ('backfill', 'verify', 'profile') AND r.status IN "
            "('succeeded', 'failed') ORDER BY r.mode, r.id DESC) AS x WHERE x.status = 'failed' AND x.ended_at > now() "
            "- "
            "interval '7 days') AS w ON true ORDER BY s.stream");
    }
    std::string all = std::to_string(rows.rows.size()) + (rows.rows.size() == 1 ? " stream" : " streams");
    Check runs("runs", rows.empty() ? "there are no streams" : "no stream fails, of " + all);
    Check paused("paused", "no stream is paused");
    Check rejects("rejects", "no rows are rejected");
    for (const auto& row : rows.rows) {
        const std::string& stream = *row[0];
        if (*row[2] != "0") {
            Severity severity = row[1] == "recovering" ? Severity::warning : Severity::critical;
            runs.find(severity, stream + " (" + first_line(row[5].value_or("no message")) + ")");
        }
        if (*row[2] == "0" && row[6]) runs.find(Severity::warning, stream + " (" + *row[6] + ")");
        if (*row[4] == "t") paused.find(Severity::warning, stream);
        if (*row[3] != "0") rejects.find(Severity::warning, stream + " (" + *row[3] + ")");
    }
    runs.add_to(result, "of " + all + " failing",
                "SELECT * FROM sync_status() shows when they are tried again; SELECT sync_trigger('...') does it now.");
    paused.add_to(result, "of " + all + " paused", "SELECT sync_resume('...') lets one go on.");
    rejects.add_to(result, "of " + all + " with rejected rows",
                   "SELECT * FROM insync.error says why; SELECT sync_replay('...') applies them again.");
}

void check_gaps(ResultSet& result, const GapQuestion& question) {
    Check gaps("gaps", "no rows are missing"), late("late", "no stream is late");
    for (const auto& name : matching_streams("%", Access::look)) {
        StreamGaps found = find_gaps(load_stream(name, Access::look), question);
        if (found.failed) gaps.find(Severity::warning, found.unjudged);
        Severity of_gaps = Severity::ok, of_late = found.unread ? found.severity_of_unread() : Severity::ok;
        std::size_t warnings = 0, critical = 0;
        for (const Gap& gap : found.gaps) {
            Severity severity = found.severity_of(gap);
            if (severity < Severity::warning) continue;  // such as Sundays
            Severity& worst = gap.kind == Verdict::late ? of_late : of_gaps;
            worst = std::max(worst, severity);
            if (gap.kind == Verdict::late) continue;
            (severity == Severity::critical ? critical : warnings)++;
        }
        if (of_gaps != Severity::ok) {
            gaps.find(of_gaps, name + " (" + std::to_string(critical) + " critical, " + std::to_string(warnings) +
                                   (warnings == 1 ? " warning)" : " warnings)") +
                                   (found.refusals.empty() ? "" : ", " + first_line(found.refusals.front().message)));
        }
        auto days = found.unread ? found.unread->days : found.coverage.days_behind;
        if (of_late != Severity::ok) {
            late.find(of_late, name + " (" +
                                   (found.unread && found.unread->never
                                        ? std::string("never loaded)")
                                        : std::to_string(days) + (days == 1 ? " day)" : " days)")));
        }
    }
    const char* repair = "SELECT * FROM sync_gaps() shows them; SELECT fix FROM sync_gaps() \\gexec repairs them.";
    if (gaps.severity() == Severity::ok && late.severity() != Severity::ok) {
        // What hasn't come is missing, too.
        Check behind("gaps", "");
        behind.find(Severity::warning, "no rows are missing but those that have not come yet: see the check late");
        behind.add_to(result, "", repair);
    } else {
        gaps.add_to(result, "with gaps", repair);
    }
    late.add_to(result, "late", "SELECT * FROM sync_gaps() WHERE kind = 'late' says why.");
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(sync_health);

Datum sync_health(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        ResultSet result(fcinfo);
        check_workers(result);
        check_servers(result);
        check_database(result);
        check_runs(result);
        check_gaps(result, {earliest_wall, latest_wall, instant_argument(fcinfo, 0)});
        return Datum(0);
    });
}
}
