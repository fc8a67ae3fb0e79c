// Counts rows against the source's total; see gap_watch.hpp.
#include "bgworker/connector/rest/gap_watch.hpp"

#include <algorithm>

namespace insync::rest {

namespace {

constexpr std::size_t most_hashes = 4u << 20;

}  // namespace

void GapWatch::note_page(std::optional<std::int64_t> total, const std::vector<std::size_t>& key_hashes) {
    if (!has_begun_) total_ = total;
    has_begun_ = true;
    total_stands_ = total_stands_ && total == total_;
    if (hashes_.size() <= most_hashes) hashes_.insert(hashes_.end(), key_hashes.begin(), key_hashes.end());
}

bool GapWatch::may_have_gaps() const {
    if (!total_stands_ || !total_ || hashes_.size() > most_hashes) return true;
    // The same row on two pages is one, and hides that another is on none.
    std::vector<std::size_t> distinct = hashes_;
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    return static_cast<std::int64_t>(distinct.size()) != *total_;
}

}  // namespace insync::rest
