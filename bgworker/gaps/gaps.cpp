// The verdicts, and what they add up to; see gaps.hpp.
#include "bgworker/gaps/gaps.hpp"

#include <algorithm>
#include <cmath>

#include "bgworker/gaps/expected_volume.hpp"

namespace insync {

namespace {

// No stream has more slices than these judged, the latest; a hundred years of hours.
constexpr std::int64_t most_slices = 1'000'000;
// Rows are of no series if so long a time without any follows them, and they are so small a part of all.
constexpr WallUs far_away = 366 * wall_day;
constexpr double few = 0.01;

bool is_verified(const Slice& slice) {
    return slice.verified && slice.source_rows;
}

// Rows, or the certainty that there are none: it isn't late.
bool is_settled(const Slice& slice) {
    return slice.rows > 0 || (is_verified(slice) && *slice.source_rows == 0);
}

void judge_by_source(const Slice& slice, Judged& judged) {
    judged.verified = true;
    judged.expected = *slice.source_rows;
    judged.differences = slice.differences;
    bool untouched = slice.touched <= *slice.verified;
    // Rows that are too many don't go because others come.
    bool has_extra = slice.differences > 0 && slice.rows - *slice.source_rows >= slice.differences;
    if (slice.rows < *slice.source_rows) {
        judged.verdict = slice.rows == 0 ? Verdict::missing : Verdict::fewer;
    } else if (has_extra || (untouched && (slice.differences > 0 || slice.rows > *slice.source_rows))) {
        judged.verdict = Verdict::differs;
    }
}

std::vector<ExpectedVolume::Sample> samples_of(const Series& series, const std::vector<Judged>& judged) {
    std::vector<ExpectedVolume::Sample> samples;
    auto slice = series.slices.begin();
    for (const Judged& item : judged) {
        while (slice != series.slices.end() && slice->begin < item.begin) ++slice;
        if (slice == series.slices.end() || slice->begin != item.begin) continue;
        auto rows = is_verified(*slice) ? *slice->source_rows : slice->rows;
        if (rows > 0 && !series.left_out(item.begin)) samples.push_back({item.begin, static_cast<double>(rows)});
    }
    return samples;
}

bool is_tail(const Judged& item) {
    return item.rows == 0 && (item.verdict == Verdict::late || item.verdict == Verdict::stopped);
}

// Of slices that hold any.
double usual_rows(const Series& series) {
    std::vector<double> rows;
    for (const Slice& slice : series.slices) {
        if (slice.rows > 0 && slice.begin <= series.now) rows.push_back(static_cast<double>(slice.rows));
    }
    return median(std::move(rows));
}

// Few enough empty slices in a row are usual where that happens now and then, and so is a season.
void accept_usual_stretches(std::vector<Judged>& judged, std::size_t usual, const Series& series) {
    std::vector<Judged*> stretch;
    auto end = [&] {
        const bool is_season = stretch.size() >= 2 * longest_rhythm(series.unit) &&
                               stretch.front()->verdict == Verdict::missing && stretch.back()->end <= series.first_read;
        if (stretch.size() <= usual || is_season) {
            for (Judged* item : stretch) item->usually_empty = true, item->expected = 0;
        }
        stretch.clear();
    };
    for (Judged& item : judged) {
        if (item.verdict == Verdict::closed || item.usually_empty) continue;
        if (item.rows > 0 || item.verified) {
            end();
        } else {
            stretch.push_back(&item);
        }
    }
    end();
}

// What the source usually hasn't got yet isn't judged. Of one that was read, nor is the slice that is over since a
// moment: its rows may come to the source as late as that.
void forgive_tail(std::vector<Judged>& judged, std::int64_t lag) {
    std::int64_t empty = 0, allowed = lag;
    for (const Judged& item : judged) {
        if (!is_tail(item)) continue;
        if (item.verdict == Verdict::stopped) allowed = lag + 1;
        empty += item.usually_empty ? 0 : 1;
    }
    if (allowed > 0 && empty <= allowed) std::erase_if(judged, is_tail);
}

// What stands between the first slice that holds rows and the last one: emptiness behind it is lateness.
std::vector<WeekdayPattern::Day> days_of(const std::vector<Judged>& judged) {
    std::vector<WeekdayPattern::Day> days;
    std::size_t last = 0;
    for (const Judged& item : judged) {
        if (item.verdict == Verdict::closed) continue;
        days.push_back({item.begin, item.rows == 0});
        if (item.rows > 0) last = days.size();
    }
    days.resize(last);
    return days;
}

}  // namespace

std::optional<WallUs> first_slice(const Series& series) {
    double all = 0, before = 0;
    const Slice* last = nullptr;
    for (const Slice& slice : series.slices) {
        if (slice.rows > 0 && slice.begin <= series.now) all += static_cast<double>(slice.rows), last = &slice;
    }
    if (last == nullptr) return std::nullopt;
    const Slice* first = nullptr;
    const Slice* previous = nullptr;
    for (const Slice& slice : series.slices) {
        if (slice.rows == 0 || slice.begin > series.now) continue;
        bool far = previous != nullptr && slice.begin - previous->begin > far_away && before < few * all;
        if (first == nullptr || far) first = &slice;
        before += static_cast<double>(slice.rows);
        previous = &slice;
    }
    return first->begin;
}

std::vector<Judged> judge(const Series& series) {
    std::vector<Judged> judged;
    auto first = first_slice(series);
    if (!first) return judged;
    WallUs last_settled = *first;
    for (const Slice& slice : series.slices) {
        if (is_settled(slice) && slice.begin <= series.now) last_settled = std::max(last_settled, slice.begin);
    }
    WallUs shortest = series.unit == SliceUnit::hour ? wall_hour : wall_day;
    WallUs begin = std::max(*first, slice_of(series.now - most_slices * shortest, series.unit));
    auto slice = std::lower_bound(series.slices.begin(), series.slices.end(), begin,
                                  [](const Slice& item, WallUs time) { return item.begin < time; });
    for (WallUs end; begin <= series.now; begin = end) {
        end = next_slice(begin, series.unit);
        while (slice != series.slices.end() && slice->begin < begin) ++slice;
        bool is_known = slice != series.slices.end() && slice->begin == begin;
        bool is_over = end <= series.due || (begin < last_settled && end <= series.now);
        if (!(is_over && series.guesses) && !(is_known && is_verified(*slice))) continue;
        Judged& item = judged.emplace_back();
        item.begin = begin, item.end = end;
        if (is_known) item.rows = slice->rows;
        if (is_known && is_verified(*slice)) {
            judge_by_source(*slice, item);
        } else if (item.rows == 0) {
            item.verdict = series.left_out(begin)  ? Verdict::closed
                           : begin <= last_settled ? Verdict::missing
                           : series.read_since_due ? Verdict::stopped
                                                   : Verdict::late;
        } else if (begin == last_settled && series.lag == 0 && series.read_at && *series.read_at < end &&
                   end <= series.due && !series.left_out(begin)) {
            item.verdict = Verdict::late;  // it broke off
        }
    }
    // The second look, at volumes, which are learned from the first. The first slice may have begun in its middle.
    ExpectedVolume volume(series.unit, samples_of(series, judged), series.short_below);
    WeekdayPattern pattern(series.unit, days_of(judged));
    auto may_still_grow = [&](const Judged& item) {
        const WallUs length = item.end - item.begin;
        return series.settled_until && *series.settled_until < item.end + series.lag * length + length / 4;
    };
    for (Judged& item : judged) {
        if (item.verified || item.verdict == Verdict::closed) continue;
        auto band = volume.band(item.begin);
        if (item.rows == 0 && pattern.usually_empty(item.begin)) {
            item.usually_empty = true;
            item.expected = 0;
        } else if (band) {
            item.expected = std::llround(band->median);
        }
        if (item.rows > 0 && item.verdict == Verdict::whole && item.begin != *first && band &&
            static_cast<double>(item.rows) < band->lower && !series.left_out(item.begin) && !may_still_grow(item)) {
            item.verdict = Verdict::fewer;
        }
    }
    accept_usual_stretches(judged, pattern.usual_stretch(usual_rows(series)), series);
    forgive_tail(judged, series.lag);
    return judged;
}

std::vector<Gap> find_gaps(const std::vector<Judged>& judged) {
    std::vector<Gap> gaps;
    bool may_join = false;  // nothing whole, nor of another kind, nor left out, since the last gap
    WallUs end = earliest_wall;
    for (const Judged& item : judged) {
        may_join = may_join && item.begin == end;
        end = item.end;
        if (item.verdict == Verdict::closed) continue;
        if (item.verdict == Verdict::whole) {
            may_join = false;
            continue;
        }
        if (!may_join || gaps.back().kind != item.verdict) {
            Gap& gap = gaps.emplace_back();
            gap.kind = item.verdict, gap.begin = item.begin;
            gap.expected = 0, gap.verified = true;
        }
        may_join = true;
        Gap& gap = gaps.back();
        gap.end = item.end;
        gap.slices++;
        gap.usually_empty += item.usually_empty ? 1 : 0;
        gap.rows += item.rows;
        gap.differences += item.differences;
        gap.verified &= item.verified;
        gap.expected = gap.expected && item.expected ? std::optional(*gap.expected + *item.expected) : std::nullopt;
    }
    return gaps;
}

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::whole:
            return "whole";
        case Verdict::closed:
            return "closed";
        case Verdict::missing:
            return "missing";
        case Verdict::fewer:
            return "short";
        case Verdict::differs:
            return "differs";
        case Verdict::late:
            return "late";
        case Verdict::stopped:
            return "stopped";
    }
    return "";
}

std::optional<std::int64_t> Coverage::completeness() const {
    if (expected == 0) return std::nullopt;
    return static_cast<std::int64_t>(static_cast<__int128>(whole) * 10000 / expected);
}

Coverage count_coverage(const std::vector<Judged>& judged) {
    Coverage coverage;
    WallUs last_day = earliest_wall;  // of hours, that a day is counted once
    for (const Judged& item : judged) {
        if (item.verdict == Verdict::closed) continue;
        coverage.expected++;
        coverage.whole += item.verdict == Verdict::whole ? 1 : 0;
        coverage.missing += item.verdict == Verdict::missing ? 1 : 0;
        coverage.fewer += item.verdict == Verdict::fewer ? 1 : 0;
        coverage.differing += item.verdict == Verdict::differs ? 1 : 0;
        coverage.stopped += item.verdict == Verdict::stopped ? 1 : 0;
        if (item.verdict != Verdict::late) continue;
        coverage.late++;
        if (item.usually_empty) continue;
        WallUs day = slice_of(item.begin, SliceUnit::day);
        if (day != last_day) coverage.days_behind += std::max<std::int64_t>((item.end - item.begin) / wall_day, 1);
        last_day = day;
    }
    return coverage;
}

std::string_view name_of(Severity severity) {
    switch (severity) {
        case Severity::ok:
            return "ok";
        case Severity::info:
            return "info";
        case Severity::warning:
            return "warning";
        case Severity::critical:
            return "critical";
    }
    return "";
}

Severity severity_of(const Gap& gap, const Thresholds& thresholds) {
    std::int64_t count = gap.slices - gap.usually_empty;
    return count >= thresholds.critical               ? Severity::critical
           : count >= thresholds.warning && count > 0 ? Severity::warning
                                                      : Severity::info;
}

}  // namespace insync
