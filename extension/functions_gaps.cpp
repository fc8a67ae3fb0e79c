// What is missing, for people: sync_gaps, sync_coverage.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
#include "utils/timestamp.h"
}

#include "bgworker/completeness/stream_gaps.hpp"
#include "bgworker/pg/function_arguments.hpp"
#include "bgworker/pg/function_call.hpp"
#include "extension/notices.hpp"

using namespace insync;

namespace {

// The streams of argument 0. A pattern that matches nothing would look as if all were well; the views pass '%'.
std::vector<std::string> pattern_streams(FunctionCallInfo call) {
    const std::string pattern = text_argument(call, 0).value_or("%");
    return pattern == "%" ? matching_streams(pattern, Access::look) : chosen_streams(pattern, Access::look);
}

// A timestamp argument as wall time; `otherwise` for NULL.
WallUs wall_argument(FunctionCallInfo call, int index, WallUs otherwise) {
    if (call->args[index].isnull) return otherwise;
    Timestamp time = DatumGetTimestamp(call->args[index].value);
    if (TIMESTAMP_IS_NOBEGIN(time)) return earliest_wall;
    if (TIMESTAMP_IS_NOEND(time)) return latest_wall;
    constexpr std::int64_t unix_epoch_us = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
    WallUs wall = 0;
    return __builtin_add_overflow(time, unix_epoch_us, &wall) ? latest_wall : wall;
}

pg::Value percent(const std::optional<std::int64_t>& hundredths) {
    if (!hundredths) return std::nullopt;
    std::string rest = std::to_string(*hundredths % 100);
    return std::to_string(*hundredths / 100) + (rest.size() < 2 ? ".0" : ".") + rest;
}

pg::Value text_of(const std::optional<std::int64_t>& number) {
    return number ? pg::Value(std::to_string(*number)) : std::nullopt;
}

pg::Value time_text(const std::optional<WallUs>& time) {
    return time ? pg::Value(timestamp_text(*time)) : std::nullopt;
}

void warn(const std::string& text) {
    const char* message = text.c_str();
    pg::call([&] { ereport(WARNING, (errmsg_internal("%s", message))); });
}

void add_gaps(ResultSet& result, const StreamGaps& found) {
    const std::string& name = found.stream.name;
    auto completeness = percent(found.coverage.completeness());
    auto add_whole = [&](const char* kind, const pg::Value& rows, const pg::Value& days, Severity severity,
                         const Advice& advice) {
        result.add({name, kind, std::nullopt, std::nullopt, "0", rows, std::nullopt, completeness, days,
                    std::string(name_of(severity)), advice.recommendation, advice.fix});
    };
    if (found.failed) add_whole("unknown", std::nullopt, std::nullopt, Severity::warning, advise_failed(found));
    if (found.unread)
        add_whole("late", "0", std::to_string(found.unread->days), found.severity_of_unread(), advise_unread(found));
    for (const Gap& gap : found.gaps) {
        Advice advice = advise(found, gap);
        result.add({name, std::string(name_of(gap.kind)), timestamp_text(gap.begin), timestamp_text(gap.end),
                    std::to_string(gap.slices), std::to_string(gap.rows), text_of(gap.expected), completeness,
                    gap.kind == Verdict::late ? pg::Value(std::to_string(found.coverage.days_behind)) : std::nullopt,
                    std::string(name_of(found.severity_of(gap))), advice.recommendation, advice.fix});
    }
}

void add_coverage(ResultSet& result, const StreamGaps& found) {
    const Coverage& coverage = found.coverage;
    bool is_judged = found.unjudged.empty() || !found.gaps.empty();
    auto count = [&](std::int64_t number) { return is_judged ? pg::Value(std::to_string(number)) : std::nullopt; };
    auto days = found.unread ? pg::Value(std::to_string(found.unread->days)) : count(coverage.days_behind);
    std::int64_t gaps = static_cast<std::int64_t>(found.gaps.size()) + (found.unread || found.failed ? 1 : 0);
    std::string message = tell(found);
    result.add(
        {found.stream.name,
         pg::quote_identifier(found.stream.target_schema) + "." + pg::quote_identifier(found.stream.target_table),
         found.rows, time_text(found.first), time_text(found.last), days, percent(coverage.completeness()),
         is_judged || gaps > 0 ? pg::Value(std::to_string(gaps)) : std::nullopt,
         count(coverage.missing + coverage.stopped), count(coverage.fewer), count(coverage.differing),
         found.last_verified, std::string(name_of(found.severity())),
         message.empty() ? pg::Value() : pg::Value(message)});
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(sync_gaps);
INSYNC_SQL_FUNCTION(sync_coverage);

Datum sync_gaps(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        ResultSet result(fcinfo);
        const GapQuestion question{wall_argument(fcinfo, 1, earliest_wall), wall_argument(fcinfo, 2, latest_wall),
                                   instant_argument(fcinfo, 3)};
        for (const auto& name : pattern_streams(fcinfo)) {
            const StreamGaps found = find_gaps(load_stream(name, Access::look), question);
            if (found.failed) warn(found.unjudged);
            add_gaps(result, found);
        }
        return Datum(0);
    });
}

Datum sync_coverage(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        ResultSet result(fcinfo);
        const GapQuestion question{earliest_wall, latest_wall, instant_argument(fcinfo, 1)};
        for (const auto& name : pattern_streams(fcinfo))
            add_coverage(result, find_gaps(load_stream(name, Access::look), question));
        return Datum(0);
    });
}
}
