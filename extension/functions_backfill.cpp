// Work beside the runs that is asked for: sync_profile, sync_backfill.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
#include "utils/fmgrprotos.h"
}

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/job.hpp"
#include "bgworker/definition/define_stream.hpp"
#include "bgworker/ledger/ledger.hpp"
#include "bgworker/ledger/ledgers.hpp"
#include "bgworker/ledger/slice_window.hpp"
#include "bgworker/pg/function_arguments.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/schedule/due_streams.hpp"
#include "bgworker/shmem/wake_at_commit.hpp"
#include "extension/notices.hpp"

using namespace insync;

namespace {

// So that a slip of the pen (1900 for 2026) doesn't fill a table.
constexpr std::int64_t most_slices = 100000;

Ledger require_ledger(const Stream& stream) {
    if (auto ledger = Ledgers::load(stream.id)) return *ledger;
    throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "stream \"" + stream.name +
                        "\" has no slices, because its target has no date or time that they could be made of",
                    "",
                    "Name a column: SELECT sync_alter(" + pg::quote_literal(stream.name) +
                        ", '{\"slice_column\": \"...\"}'); or read everything: SELECT sync_trigger(" +
                        pg::quote_literal(stream.name) + ", 'full').");
}

void tell_if_paused(const Stream& stream) {
    if (!stream.paused) return;
    const std::string message = "stream \"" + stream.name + "\" is paused, and this waits",
                      hint = "SELECT sync_resume(" + pg::quote_literal(stream.name) + ") lets it go on.";
    const char *text = message.c_str(), *advice = hint.c_str();
    pg::call([&] { ereport(NOTICE, (errmsg_internal("%s", text), errhint("%s", advice))); });
}

// The windows, newest first, at whole slices; those that wait already are left out.
std::vector<SliceWindow> windows_of(const Stream& stream, const Ledger& ledger, const pg::Value& from,
                                    const pg::Value& to, const pg::Value& step) {
    Bookkeeping bookkeeping;
    const std::string unit(name_of(ledger.unit)), id = std::to_string(stream.id);
    auto bounds = pg::query(
        "SELECT date_trunc($2, coalesce($4::timestamp, (SELECT min(s.bucket) FROM insync.slice AS s WHERE s.stream_id "
        "= "
        "$1::integer AND isfinite(s.bucket)))), date_trunc($2, coalesce($5::timestamp, clock_timestamp() AT TIME ZONE "
        "$3) - interval '1 microsecond') + ('1 ' || $2)::interval,"
        " coalesce($6::interval, CASE $2 WHEN 'hour' THEN interval '1 day' ELSE ('1 ' || $2)::interval END)",
        {id, unit, ledger.zone, from, to, step});
    const auto &first = bounds.first()[0], &end = bounds.first()[1], &stride = bounds.first()[2];
    if (!first)
        throw pg::Error(ERRCODE_NULL_VALUE_NOT_ALLOWED,
                        "stream \"" + stream.name + "\" holds no rows yet, so the begin of the range is not known", "",
                        "Give the argument \"from\".");
    auto checked = pg::query(
        "SELECT isfinite($1::timestamp) AND isfinite($2::timestamp) AND $1::timestamp < $2::timestamp,"
        " date_trunc($4, '2000-01-03'::timestamp + $3::interval) = '2000-01-03'::timestamp + $3::interval AND"
        " $3::interval >= ('1 ' || CASE $4 WHEN 'month' THEN '28 days' ELSE $4 END)::interval"
        " OR $4 = 'month' AND extract(day FROM $3::interval) = 0 AND extract(epoch FROM $3::interval) >= 2592000",
        {first, end, stride, unit});
    if (checked.first()[0] != "t")
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "\"from\" must be before \"to\", and both be finite",
                        "They are " + *first + " and " + *end + ", at whole slices; \"to\" itself is not included.");
    if (checked.first()[1] != "t")
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                        "step \"" + *stride + "\" is not a multiple of the slice (" + unit + ")",
                        "A slice of this stream is a " + unit + ".");
    auto count = std::stoll(*pg::query("SELECT count(*) FROM (SELECT FROM generate_series($1::timestamp, $2::timestamp "
                                       "- interval '1 microsecond', $3::interval) LIMIT " +
                                           std::to_string(most_slices + 1) + ") AS x",
                                       {first, end, stride})
                                 .first()[0]);
    if (count > most_slices)
        throw pg::Error(ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                        "more than " + std::to_string(most_slices) + " slices between " + *first + " and " + *end, "",
                        "Choose a larger step.");
    auto rows = pg::query(
        "SELECT w.begins, least(w.begins + $4::interval, $3::timestamp) FROM generate_series($2::timestamp, "
        "$3::timestamp - interval '1 microsecond', $4::interval) AS w (begins)"
        " WHERE NOT EXISTS (SELECT FROM insync.job AS j WHERE j.stream_id = $1::integer AND j.kind = 'backfill' AND "
        "j.status = 'pending' AND j.window_from <= w.begins AND j.window_to >= least(w.begins + $4::interval, "
        "$3::timestamp)) ORDER BY w.begins DESC",
        {id, first, end, stride});
    std::vector<SliceWindow> windows;
    for (const auto& row : rows.rows) windows.push_back({row[0], row[1]});
    return windows;
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(sync_profile);
INSYNC_SQL_FUNCTION(sync_backfill);

Datum sync_profile(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_profile()");
        ResultSet result(fcinfo);
        require_workers();
        require_home_database();
        for (const auto& name : chosen_streams(required_text(fcinfo, 0, "pattern"))) {
            Stream stream = load_stream(name);
            require_described(stream);
            // Streams of a version without ledgers have none yet.
            if (!Ledgers::load(stream.id)) (void)ensure_ledger(stream);
            (void)require_ledger(stream);
            result.add({name, std::to_string(queue_profile(stream))});
            tell_if_paused(stream);
        }
        wake_all_at_commit();
        return Datum(0);
    });
}

Datum sync_backfill(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_backfill()");
        Stream stream = load_stream(required_text(fcinfo, 0, "stream"));
        auto from = timestamp_argument(fcinfo, 1), to = timestamp_argument(fcinfo, 2);
        auto step = argument_text(fcinfo, 3, interval_out);
        require_workers();
        require_home_database();
        require_described(stream);
        Ledger ledger = require_ledger(stream);
        (void)require_slice_source(stream, ledger);
        if (stream.options.operation_column.is_given) {
            throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                            "stream \"" + stream.name + "\" reads a log of changes, which has no slices of rows", "",
                            "Read all of it again: SELECT sync_reset(" + pg::quote_literal(stream.name) + ").");
        }
        auto windows = windows_of(stream, ledger, from, to, step);
        std::int64_t run_id = 0;
        if (windows.empty()) {
            run_id = open_run(stream, JobKind::backfill).value_or(0);
        } else {
            run_id = queue_jobs(stream, JobKind::backfill, windows, nlohmann::json::object(), "request");
        }
        wake_at_commit(stream.server);
        tell_if_paused(stream);
        return record_result(fcinfo, {std::to_string(run_id), std::to_string(windows.size())});
    });
}
}
