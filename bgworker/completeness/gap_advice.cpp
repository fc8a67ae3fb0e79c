// What people read of gaps, and the statements that mend them; see stream_gaps.hpp.
#include "bgworker/completeness/stream_gaps.hpp"

#include "bgworker/clock/local_time.hpp"

namespace insync {

namespace {

std::string counted(std::int64_t count, std::string_view unit) {
    return std::to_string(count) + " " + std::string(unit) + (count == 1 ? "" : "s");
}

// 'this day', 'these 3 days'.
std::string these(const Gap& gap, SliceUnit unit) {
    std::string name(name_of(unit));
    return gap.slices == 1 ? "this " + name : "these " + counted(gap.slices, name);
}

// sync_trigger() takes a pattern: a name that would mean others, too, is written so that it doesn't.
std::string trigger(const StreamGaps& found, const std::string& more = "") {
    const Stream& stream = found.stream;
    std::string pattern = stream.name;
    if (matching_streams(pattern, Access::look) != std::vector{stream.name}) {
        pattern.clear();
        for (char c : stream.name) {
            if (c == '%' || c == '_' || c == '\\') pattern += '\\';
            pattern += c;
        }
    }
    return "SELECT " + found.functions + "sync_trigger(" + pg::quote_literal(pattern) + more + ")";
}

// More slices than this aren't read again; and in more jobs than this none are.
constexpr std::int64_t most_repairable = 4000, most_pieces = 400;

std::int64_t slices_between(const Gap& gap, SliceUnit unit) {
    const std::int64_t days = (gap.end - gap.begin) / wall_day;
    switch (unit) {
        case SliceUnit::hour:
            return (gap.end - gap.begin) / wall_hour;
        case SliceUnit::day:
            return days;
        case SliceUnit::week:
            return days / 7;
        case SliceUnit::month:
            break;
    }
    return days / 28;
}

// As an argument of sync_backfill(): jobs of several slices, where there would be too many; empty: as it is.
std::string step_of(const Gap& gap, SliceUnit unit) {
    const bool is_hour = unit == SliceUnit::hour;  // of which a day is a job
    const std::int64_t jobs = slices_between(gap, unit) / (is_hour ? 24 : 1);
    if (jobs <= most_pieces) return "";
    return ", '" + counted((jobs + most_pieces - 1) / most_pieces, is_hour ? "day" : name_of(unit)) + "'";
}

// Reads the slices of a gap again; where the source can't be asked for them, everything, if that can help.
std::optional<std::string> backfill(const StreamGaps& found, const Gap& gap) {
    // A log of changes has no rows of a time, and there may be none of these.
    if (found.stream.options.operation_column.is_given || found.is_api || !is_repairable(found, gap))
        return std::nullopt;
    if (!found.can_backfill)
        return gap.kind == Verdict::stopped ? std::nullopt : std::optional(trigger(found, ", 'full'"));
    return "SELECT " + found.functions + "sync_backfill(" + pg::quote_literal(found.stream.name) + ", '" +
           slice_text(gap.begin, found.unit) + "', '" + slice_text(gap.end, found.unit) + "'" +
           step_of(gap, found.unit) + ")";
}

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

// Why nothing has come; empty where the source was read and had nothing.
std::string why_late(const StreamGaps& found) {
    if (found.stream.paused) return "the stream is paused";
    if (found.last_status == "failed") return "the last run failed: " + first_line(found.last_message);
    if (found.last_status == "cancelled") return "the last run was cancelled";
    return found.read_since_due ? "" : "no run has succeeded since the data was due";
}

std::string capital(std::string text) {
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
}

Advice advise_late(const StreamGaps& found, const std::string& why) {
    if (found.stream.paused) {
        return {"The stream is paused; SELECT " + found.functions + "sync_resume(" +
                    pg::quote_literal(found.stream.name) + ") lets it go on.",
                std::nullopt};
    }
    bool failed = found.last_status == "failed";
    return {capital(why) + (failed ? "; when the cause is gone, run it again." : "; run it now."), trigger(found)};
}

// What to do about a gap, if nothing speaks against it.
Advice advise_reading(const StreamGaps& found, const Gap& gap) {
    std::string range = these(gap, found.unit), again = "read " + range + " again.";
    if (found.stream.options.operation_column.is_given) {
        again = "its source is a log of changes: sync_reset() lets the next run read all of it again.";
    } else if (!is_repairable(found, gap)) {
        again =
            "that is too much to read again; if wrong dates cause it, correct them, or name another column with "
            "option slice_column.";
    } else if (found.is_api) {
        again = "the API cannot be asked for them, as option slice_query is not set; " + trigger(found, ", 'full'") +
                " reads everything.";
    } else if (!found.can_backfill) {
        again = "read everything again, as the source does not have the column by which slices are counted.";
    }
    std::string held = std::to_string(gap.rows);
    auto usual = [&] { return gap.expected ? std::to_string(*gap.expected) : std::string("?"); };
    switch (gap.kind) {
        case Verdict::late:
        case Verdict::stopped:
            return {"The source is read, but has had no rows since " + slice_text(gap.begin, found.unit) +
                        ": see what fills it; if rows came with older watermarks, or there are none, " + again,
                    backfill(found, gap)};
        case Verdict::missing:
            if (gap.verified)
                return {"The source had " + usual() + " rows of " + range + "; " + again, backfill(found, gap)};
            if (gap.usually_empty == gap.slices) {
                return {(found.unit == SliceUnit::hour ? "Such an " : "Such a ") + std::string(name_of(found.unit)) +
                            " is usually empty: options open_days, holidays and calendar can say so; or " + again,
                        backfill(found, gap)};
            }
            return {"No rows of " + range + " are here; " + again, backfill(found, gap)};
        case Verdict::fewer:
            return {"The target has " + held + " rows of " + range + ", where " +
                        (gap.verified ? "the source had " + usual() : usual() + " are usual") + "; " + again,
                    backfill(found, gap)};
        case Verdict::differs:
            return {(gap.differences > 0
                         ? counted(gap.differences, "row") + " of " + range + " differed from the source"
                         : "The target has " + held + " rows of " + range + ", where the source had " + usual()) +
                        "; " + again,
                    backfill(found, gap)};
        case Verdict::whole:
        case Verdict::closed:
            break;
    }
    return {};
}

}  // namespace

Advice advise(const StreamGaps& found, const Gap& gap) {
    if (std::string why = why_late(found); gap.kind == Verdict::late && !why.empty()) return advise_late(found, why);
    Advice advice = advise_reading(found, gap);
    const std::string name = pg::quote_literal(found.stream.name);
    for (const Refusal& refusal : found.refusals) {
        if (gap.kind != Verdict::differs || refusal.begin >= gap.end || refusal.end <= gap.begin) continue;
        advice.recommendation += " When that was last tried: " + first_line(refusal.message) + ".";
        break;
    }
    // Rejected rows come again and are rejected again.
    if (gap.verified && gap.kind != Verdict::differs && found.rejects > 0) {
        advice.recommendation += " " + counted(found.rejects, "row") + " of the stream " +
                                 (found.rejects == 1 ? "is" : "are") + " rejected: see insync.error, and SELECT " +
                                 found.functions + "sync_replay(" + name + ").";
    }
    if (found.stream.paused && advice.fix)
        advice.recommendation +=
            " The stream is paused, and that waits for SELECT " + found.functions + "sync_resume(" + name + ").";
    return advice;
}

Advice advise_unread(const StreamGaps& found) {
    Advice advice = advise_late(found, why_late(found));
    if (found.unread->never) advice.recommendation = "The stream has never been loaded. " + advice.recommendation;
    return advice;
}

Advice advise_failed(const StreamGaps& found) {
    return {capital(found.unjudged) + "; set the option with SELECT " + found.functions + "sync_alter(" +
                pg::quote_literal(found.stream.name) + ", '{...}').",
            std::nullopt};
}

bool is_repairable(const StreamGaps& found, const Gap& gap) {
    return slices_between(gap, found.unit) <= most_repairable;
}

std::string tell(const StreamGaps& found) {
    const Stream& stream = found.stream;
    std::string text = found.unjudged;
    auto add = [&](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
    if (found.unread && found.unread->never) add("has never been loaded");
    if (found.unread && !found.unread->never) add("not read for " + counted(found.unread->days, "day"));
    if (found.coverage.days_behind > 0) add(counted(found.coverage.days_behind, "day") + " behind");
    std::int64_t others =
        found.coverage.missing + found.coverage.fewer + found.coverage.differing + found.coverage.stopped;
    std::string unit(name_of(found.unit));
    if (found.coverage.stopped > 0 && found.last)
        add("the source has had no rows since " + slice_text(next_slice(*found.last, found.unit), found.unit));
    if (found.coverage.missing > 0) add(counted(found.coverage.missing, unit) + " missing");
    if (found.coverage.fewer > 0) add(counted(found.coverage.fewer, unit) + " short");
    if (found.coverage.differing > 0) add(counted(found.coverage.differing, unit) + " different from the source");
    if (found.unjudged.empty() && !found.first && !found.unread) add("no rows yet");
    if (stream.paused) {
        add("paused");
    } else if (std::string why = why_late(found);
               !why.empty() && (found.last_status == "failed" || found.unread || found.coverage.days_behind > 0)) {
        add(why);
    }
    if (others > 0) add("SELECT * FROM " + found.functions + "sync_gaps(" + pg::quote_literal(stream.name) + ")");
    return text;
}

std::string timestamp_text(WallUs time) {
    LocalTime parts = local_time_of(time);
    bool before_christ = parts.year <= 0;
    int year = before_christ ? 1 - parts.year : parts.year;
    auto two = [](int value) { return (value < 10 ? "0" : "") + std::to_string(value); };
    std::string digits = std::to_string(year);
    return std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits + "-" + two(parts.month) + "-" +
           two(parts.day) + " " + two(parts.hour) + ":" + two(parts.minute) + ":" + two(parts.second) +
           (before_christ ? " BC" : "");
}

std::string slice_text(WallUs time, SliceUnit unit) {
    std::string text = timestamp_text(time);
    bool before_christ = text.ends_with(" BC");
    if (before_christ) text.resize(text.size() - 3);
    text.resize(text.find(' ') + (unit == SliceUnit::hour ? 6 : 0));
    return text + (before_christ ? " BC" : "");
}

}  // namespace insync
