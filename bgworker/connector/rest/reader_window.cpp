// Closed windows: what changed between two points in time, where the source gives it in any order; see reader.hpp.
#include <algorithm>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/reader.hpp"

namespace insync::rest {

namespace {

// Half of the way between two times, in the layout of the first; nothing where they are closer than two seconds.
std::optional<std::string> middle_of(const std::string& from, const std::string& to) {
    const std::optional<CivilTime> begin = parse_civil_time(from), end = parse_civil_time(to);
    if (!begin || !end) return std::nullopt;
    const std::int64_t half_s = (end->seconds_from_2000() - begin->seconds_from_2000()) / 2;
    if (half_s < 1) return std::nullopt;
    return format_moved(*begin, half_s * second_us);
}

}  // namespace

// Reads what lies between two watermarks, in any order. Where the source doesn't show all of that, both halves.
void Reader::read_slice(const std::optional<std::string>& since, const std::optional<std::string>& until) {
    Values values = values_since(since);
    if (until) values.texts["until"] = *until;
    Query query = begin(std::move(values));
    std::optional<std::string> highest;
    while (query.next()) {
        send_page(query, [&](std::size_t row) {
            const std::optional<std::string> literal = watermark_of(query.page(), row);
            if (!literal || is_future(*literal)) return;
            if (!highest || order_.is_later(*literal, *highest)) highest = literal;
        });
    }
    if (query.is_cut_off()) {
        pages_ += query.pages();
        if (!until || order_.kind() != WatermarkKind::time) fail_cut_off("It is not asked for windows of time.");
        const std::string begins = since.value_or("1970-01-01T00:00:00Z");
        const std::optional<std::string> middle = middle_of(begins, *until);
        if (!middle) fail_cut_off("More rows than that changed between " + begins + " and " + *until + ".");
        read_slice(since, middle);
        end_slice(*middle);
        return read_slice(middle, until);
    }
    close_window(highest);
    finish_query(query);
}

// A stretch without a row moves the position as well: it was read. But not where times have no zone: the end may lie in
// the source's future then.
void Reader::end_slice(const std::string& end) {
    if (held_) return;
    const std::optional<CivilTime> time = watermark_ ? parse_civil_time(*watermark_) : std::nullopt;
    if (!time || !time->offset_seconds || !order_.is_later(end, *watermark_)) return;
    watermark_ = end;
    position_ = {{"phase", "changes"}, {"watermark", end}};
    if (!columns_.empty()) send_position();
}

// All of a window is read: the position moves to the highest watermark in it, but not beyond the run's start, as what
// changed since then may have been missed.
void Reader::close_window(std::optional<std::string> highest) {
    if (!highest) return;
    if (run_start_) highest = order_.sooner_of(*highest, *run_start_);
    if (latest_) highest = order_.sooner_of(*highest, *latest_);
    reach(*highest);
}

void Reader::run_window() {
    position_ = {{"phase", "changes"}, {"watermark", watermark_ ? nlohmann::json(*watermark_) : nlohmann::json()}};
    std::optional<std::string> since = low_bound();
    std::optional<std::string> until;
    if (endpoint_.uses("until")) {
        const std::string clock = source_clock();
        const auto settle = settings_.duration("settle_time").value_or(std::chrono::milliseconds(0));
        // The clock shows whole seconds, so that the present one is the next.
        if (const std::optional<CivilTime> time = parse_civil_time(clock)) {
            until = format_moved(*time, second_us - settle.count() * 1000);
        }
    }
    if (until && !since && !has_null_query_ && endpoint_.max_results == 0 &&
        !(endpoint_.body && endpoint_.body->uses("until"))) {
        // Each end of a window hides the rows without a watermark; a first load can do without one.
        try {
            (void)endpoint_.request(values_since(since));
            latest_ = until;
            until.reset();
        } catch (const Failure&) {
            warning_ = "rows without a watermark are found by full reads only, as the request needs {until}";
        }
    }
    const auto window = settings_.duration("window");
    while (window && since && until && order_.kind() == WatermarkKind::time) {
        const std::optional<CivilTime> begins = parse_civil_time(*since);
        if (!begins) break;
        const std::string end = format_moved(*begins, window->count() * 1000);
        const std::optional<double> left = seconds_between(end, *until);
        if (!left || *left <= 0) break;
        read_slice(since, end);
        end_slice(end);
        if (versions_) versions_->clear();  // what comes next is no older
        since = end;
    }
    read_slice(since, until);
}

}  // namespace insync::rest
