// Learns what is usual; see expected_volume.hpp.
#include "bgworker/gaps/expected_volume.hpp"

#include <algorithm>
#include <cmath>

namespace insync {

namespace {

constexpr std::size_t window = 12;       // samples of the group, nearest in time
constexpr std::size_t wide_window = 56;  // the same, of all groups
constexpr std::size_t enough_of_group = 4;
constexpr std::size_t enough_of_all = 8;
constexpr double smallest_median = 10;  // fewer rows tell nothing
// How many deviations below the median is short. Noise reaches 5 of them once in three million slices; what holds 1% of
// the usual rows is found though they vary to and fro by half and more.
constexpr double deviations = 5;
// Where a group has too few samples, the day may be a weekday of its own, such as a short Sunday: only this part of
// what would be short otherwise is.
constexpr double for_strangers = 0.2;
// Empty slices are usual where there are so many stretches of them, in so many slices: fewer are faults.
constexpr std::size_t enough_stretches = 5;
constexpr double enough_empty = 0.02;
// A stretch that comes this often by chance, in all the time that is known, is unusual: by the empty slices that are
// seen, and by the rows of the others.
constexpr double by_chance_as_seen = 0.002, by_chance_of_rows = 0.005;
constexpr std::size_t longest_by_chance = 30;
constexpr WallUs years[] = {364, 365, 366};  // days

// The median; reorders `values`, which aren't empty.
double median_of(std::vector<double>& values) {
    auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) return *middle;
    return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// The standard deviation, as the median of absolute deviations tells it.
double deviation_of(std::vector<double> residuals) {
    if (residuals.empty()) return 0;
    for (double& residual : residuals) residual = std::abs(residual);
    return 1.4826 * median_of(residuals);
}

// The median of the `count` points nearest to `slice`, itself left out.
template <typename Points>
std::optional<double> median_near(const Points& points, WallUs slice, std::size_t count, std::size_t enough) {
    auto right = std::lower_bound(points.begin(), points.end(), slice,
                                  [](const auto& point, WallUs time) { return point.slice < time; });
    auto left = right;
    if (right != points.end() && right->slice == slice) ++right;
    std::vector<double> near;
    while (near.size() < count && (left != points.begin() || right != points.end())) {
        bool take_left =
            right == points.end() || (left != points.begin() && slice - std::prev(left)->slice <= right->slice - slice);
        near.push_back(take_left ? (--left)->log_rows : (right++)->log_rows);
    }
    if (near.size() < enough) return std::nullopt;
    return median_of(near);
}

// How long a stretch may be by chance, where this share of so many slices is empty.
std::size_t stretch_by_chance(double share, double slices, double by_chance) {
    std::size_t stretch = 0;
    while (stretch < longest_by_chance && std::pow(share, static_cast<double>(stretch + 1)) * slices >= by_chance)
        stretch++;
    return stretch;
}

// The same, where stretches of these lengths are seen.
std::size_t stretch_as_seen(std::vector<double> lengths, double slices) {
    if (lengths.size() < enough_stretches) return 0;
    std::vector<double> sorted = lengths;
    const double usual = std::max(3 * median_of(sorted), 3.0);  // longer ones are holes
    std::erase_if(lengths, [&](double length) { return length > usual; });
    double empty = 0, longest = 0;
    for (double length : lengths) empty += length, longest = std::max(longest, length);
    const double share = empty / slices;
    if (lengths.size() < enough_stretches || share < enough_empty || share >= 1) return 0;
    return std::max(stretch_by_chance(share, slices, by_chance_as_seen), static_cast<std::size_t>(longest));
}

}  // namespace

std::size_t group_of(WallUs slice, SliceUnit unit) {
    switch (unit) {
        case SliceUnit::hour:
            return static_cast<std::size_t>(weekday_of(slice) * 24 + hour_of(slice));
        case SliceUnit::day:
            return static_cast<std::size_t>(weekday_of(slice));
        case SliceUnit::week:
        case SliceUnit::month:
            break;
    }
    return 0;
}

std::size_t group_count(SliceUnit unit) {
    return unit == SliceUnit::hour ? 7 * 24 : unit == SliceUnit::day ? 7 : 1;
}

double median(std::vector<double> values) {
    return values.empty() ? 0 : median_of(values);
}

std::size_t longest_rhythm(SliceUnit unit) {
    switch (unit) {
        case SliceUnit::hour:
            return 7 * 24;
        case SliceUnit::day:
            return 7;
        case SliceUnit::week:
            return 5;
        case SliceUnit::month:
            break;
    }
    return 12;
}

ExpectedVolume::ExpectedVolume(SliceUnit unit, const std::vector<Sample>& samples, double short_below)
    : unit_(unit), short_below_(short_below), groups_(group_count(unit)), group_deviations_(group_count(unit)) {
    for (const auto& sample : samples) {
        Point point{sample.slice, std::log(std::max(sample.rows, 1.0))};
        all_.push_back(point);
        groups_[group_of(sample.slice, unit)].push_back(point);
    }
    std::vector<double> residuals;
    std::vector<std::vector<double>> of_group(groups_.size());
    for (std::size_t group = 0; group < groups_.size(); group++) {
        for (const Point& point : groups_[group]) {
            auto usual = usual_log(point.slice);
            if (!usual) continue;
            of_group[group].push_back(point.log_rows - *usual);
            residuals.push_back(of_group[group].back());
        }
    }
    // That of few is too small more often than not.
    double all = static_cast<double>(std::max<std::size_t>(residuals.size(), 1));
    deviation_ = deviation_of(std::move(residuals)) * (1 + 5 / all);
    for (std::size_t group = 0; group < groups_.size(); group++) {
        double count = static_cast<double>(of_group[group].size());
        if (count < window) continue;
        double own = deviation_of(std::move(of_group[group]));
        if (own > deviation_ * (1 + 4.5 / std::sqrt(count))) group_deviations_[group] = own;  // more than by chance
    }
}

std::optional<double> ExpectedVolume::usual_log(WallUs slice) const {
    const Points& group = groups_[group_of(slice, unit_)];
    if (auto usual = median_near(group, slice, window, enough_of_group)) return usual;
    return median_near(all_, slice, wide_window, enough_of_all);
}

bool ExpectedVolume::is_stranger(WallUs slice) const {
    const Points& group = groups_[group_of(slice, unit_)];
    auto others = std::count_if(group.begin(), group.end(), [&](const Point& point) { return point.slice != slice; });
    return static_cast<std::size_t>(others) < enough_of_group;
}

std::optional<Band> ExpectedVolume::band(WallUs slice) const {
    auto usual = usual_log(slice);
    if (!usual) return std::nullopt;
    Band band{std::exp(*usual), 0};
    if (band.median < smallest_median) return band;
    double deviation = std::max(deviation_, group_deviations_[group_of(slice, unit_)]);
    double by_share = band.median * short_below_;
    double by_noise = band.median * std::exp(-deviations * deviation);
    // What is counted varies by chance as well, by the square root of itself: for few rows that is much.
    auto less_chance = [](double rows, double roots) {
        double root = std::max(std::sqrt(rows) - roots, 0.0);
        return root * root;
    };
    if (is_stranger(slice)) by_share *= for_strangers;
    band.lower = std::min({by_share, less_chance(by_noise, 1.5), less_chance(band.median, deviations / 2)});
    return band;
}

WeekdayPattern::WeekdayPattern(SliceUnit unit, const std::vector<Day>& days)
    : unit_(unit), held_(group_count(unit)), empty_(group_count(unit)) {
    struct Stretch {
        std::size_t begin, length;
    };
    std::vector<Stretch> stretches;  // of empty slices
    for (std::size_t i = 0; i < days.size(); i++) {
        if (!days[i].empty) {
            held_[group_of(days[i].slice, unit)]++;
        } else if (i > 0 && days[i - 1].empty) {
            stretches.back().length++;
        } else {
            stretches.push_back({i, 1});
        }
    }
    // Longer than the rhythm of a week (or of a month of weeks, a year of months) is a hole; but where stretches are
    // many, as in a table of products that gains one now and then, only what is long among them.
    std::size_t longest = longest_rhythm(unit);
    if (stretches.size() >= 8) {
        std::vector<double> lengths;
        for (const Stretch& stretch : stretches) lengths.push_back(static_cast<double>(stretch.length));
        longest = std::max(longest, static_cast<std::size_t>(4 * median_of(lengths)));
    }
    for (const Stretch& stretch : stretches) {
        if (stretch.length > longest) continue;
        for (std::size_t i = 0; i < stretch.length; i++) empty_[group_of(days[stretch.begin + i].slice, unit)]++;
    }
    // What is empty though its group usually isn't.
    std::vector<double> unexpected;
    double length = 0;
    for (const Day& day : days) {
        if (day.empty) empty_slices_.push_back(day.slice);
        if (empty_by_group(day.slice)) continue;
        expected_++;
        if (day.empty) {
            length++;
        } else if (length > 0) {
            unexpected.push_back(length);
            length = 0;
        }
    }
    usual_stretch_ = stretch_as_seen(std::move(unexpected), expected_);
}

// Rows that come one by one are as many as a Poisson distribution says; none at all by this share.
std::size_t WeekdayPattern::usual_stretch(double rows) const {
    return std::max(usual_stretch_, rows > 0 ? stretch_by_chance(std::exp(-rows), expected_, by_chance_of_rows) : 0);
}

bool WeekdayPattern::usually_empty(WallUs slice) const {
    return empty_by_group(slice) || empty_a_year_before(slice);
}

bool WeekdayPattern::empty_by_group(WallUs slice) const {
    std::size_t group = group_of(slice, unit_);
    return empty_[group] > held_[group] && empty_[group] + held_[group] >= enough_of_group;
}

// On the same weekday, or on the same date.
bool WeekdayPattern::empty_a_year_before(WallUs slice) const {
    return std::any_of(std::begin(years), std::end(years), [&](WallUs days) {
        return std::binary_search(empty_slices_.begin(), empty_slices_.end(), slice_of(slice - days * wall_day, unit_));
    });
}

}  // namespace insync
