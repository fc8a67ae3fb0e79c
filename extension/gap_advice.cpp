// What people read of gaps, and the statements that mend them; see stream_gaps.hpp.
#include "extension/stream_gaps.hpp"

#include "bgworker/wall_clock.hpp"

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
    if (matching_streams(pattern) != std::vector{stream.name}) {
        pattern.clear();
        for (char c : stream.name) {
            if (c == '%' || c == '_' || c == '\\') pattern += '\\';
            pattern += c;
        }
    }
    return "SELECT " + found.functions + "sync_trigger(" + pg::quote_literal(pattern) + more + ")";
}

// Reads the slices of a gap again; where the source can't be asked for them, everything.
std::optional<std::string> backfill(const StreamGaps& found, const Gap& gap) {
    if (found.stream.has_option("operation_column")) return std::nullopt;  // a log of changes has no rows of a time
    if (!found.can_backfill) return trigger(found, ", 'full'");
    return "SELECT " + found.functions + "sync_backfill(" + pg::quote_literal(found.stream.name) + ", '" +
           slice_text(gap.begin, found.unit) + "', '" + slice_text(gap.end, found.unit) + "')";
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
    if (found.stream.has_option("operation_column")) {
        again = "its source is a log of changes, of which sync_reset() has all read again.";
    } else if (!found.can_backfill) {
        again = "read everything again, as the source doesn't have the column by which slices are counted.";
    }
    std::string held = std::to_string(gap.rows);
    auto usual = [&] { return gap.expected ? std::to_string(*gap.expected) : std::string("?"); };
    switch (gap.kind) {
        case Verdict::late:
            return {"The source was read since, and had nothing newer; to settle that, " + again, backfill(found, gap)};
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
            return {"Of " + range + ", " + held + " rows are here, where " +
                        (gap.verified ? "the source had " + usual() : usual() + " are usual") + "; " + again,
                    backfill(found, gap)};
        case Verdict::differs:
            return {"Of " + range + ", " +
                        (gap.differences > 0 ? counted(gap.differences, "row") + " differed from the source's"
                                             : held + " rows are here, where the source had " + usual()) +
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

Advice advise_never(const StreamGaps& found) {
    Advice advice = advise_late(found, why_late(found));
    advice.recommendation = "The stream has never held a row. " + advice.recommendation;
    return advice;
}

std::string tell(const StreamGaps& found) {
    const Stream& stream = found.stream;
    std::string text = found.unjudged;
    auto add = [&](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
    if (found.never) add("has never held a row");
    if (found.coverage.days_behind > 0) add(counted(found.coverage.days_behind, "day") + " behind");
    std::int64_t others = found.coverage.missing + found.coverage.fewer + found.coverage.differing;
    std::string unit(name_of(found.unit));
    if (found.coverage.missing > 0) add(counted(found.coverage.missing, unit) + " missing");
    if (found.coverage.fewer > 0) add(counted(found.coverage.fewer, unit) + " short");
    if (found.coverage.differing > 0) add(counted(found.coverage.differing, unit) + " different from the source");
    if (found.unjudged.empty() && !found.first && !found.never) add("no rows yet");
    if (stream.paused) {
        add("paused");
    } else if (std::string why = why_late(found);
               !why.empty() && (found.last_status == "failed" || found.never || found.coverage.days_behind > 0)) {
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
