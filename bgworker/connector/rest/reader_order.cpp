// What changed, in the order of the watermark: each page from the last row of the one before; see reader.hpp.
#include <algorithm>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/reader.hpp"

namespace insync::rest {

// A source that changes faster than it can be read would never end. What is younger than the run is left to the next,
// where both clocks can be compared and this run has come further than the one before.
bool Reader::has_caught_up(const std::optional<std::string>& literal,
                           const std::optional<std::string>& begun_at) const {
    if (!literal || !run_start_ || order_.kind() != WatermarkKind::time) return false;
    const std::optional<CivilTime> time = parse_civil_time(*literal), start = parse_civil_time(*run_start_);
    if (!time || !time->offset_seconds || !start) return false;
    // The clock shows whole seconds, so that what was written before the run can be younger by nearly one.
    if (!order_.is_later(*literal, format_moved(*start, 1000000))) return false;
    // What nobody can have written yet comes last as well, and no later run would read what lies behind it.
    if (order_.is_beyond(*literal, session_.source_now())) return false;
    return !begun_at || order_.is_later(*literal, *begun_at);
}

void Reader::run_anchored() {
    const std::optional<std::string> begun_at = watermark_;
    bool is_watermark_set = false;
    std::optional<std::string> since = low_bound();
    position_ = {{"phase", "changes"}, {"watermark", json_of(watermark_)}};
    Query first = begin(values_since(since));
    std::optional<Query> next;
    bool is_whole = !since;  // one query without a filter showed all rows, those without a watermark as well
    for (Query* query = &first;;) {
        bool moves_on = false;
        const HttpRequest asked = endpoint_.request(values_since(since));
        std::optional<std::string> previous;
        std::size_t tie = 0;
        while (query->next()) {
            send_page(*query, [&](std::size_t row) {
                const std::optional<std::string> literal = watermark_of(query->page(), row);
                // Here they come first, and none of them behind the others.
                if (!literal && !previous && is_whole && !is_watermark_set) unread_nulls_.reset();
                if (!literal) return;
                is_watermark_set = true;
                // What was read before a run that was cut off is counted already.
                if (unread_nulls_ && (!begun_at_ || order_.is_later(*literal, *begun_at_))) ++*unread_nulls_;
                if (previous && order_.is_later(*previous, *literal)) {
                    position_ = request_.position;
                    throw Failure(FailureClass::source,
                                  "the source does not return its rows in the order of their watermark",
                                  "\"" + *literal + "\" came after \"" + *previous + "\".",
                                  "Ask for that order in params, or set the option order to none.");
                }
                tie = previous && *previous == *literal ? tie + 1 : 1;
                previous = literal;
                // What is younger than the source's clock tells where the pages are, but not how far was read.
                if (!is_future(*literal)) reach(*literal);
            });
            // Each page behind a token may have some rows that have just changed, and never none.
            if (query->is_short() && has_caught_up(previous, begun_at)) break;
            const bool is_cut = query->is_cut_off();
            if (query->is_last() && !is_cut) break;
            if (has_caught_up(previous, begun_at)) {
                is_whole = false;
                break;
            }
            const Paging paging = query->pager().paging();
            // A next link may be an offset in disguise; a token or a key is a place in the order itself.
            const bool shifts = paging != Paging::token && paging != Paging::last_key && paging != Paging::none;
            if (!previous || (!shifts && !is_cut)) continue;
            if (endpoint_.request(values_since(previous)).url == asked.url &&
                endpoint_.request(values_since(previous)).body == asked.body) {
                if (is_cut) fail_cut_off("More rows than that have the watermark \"" + *previous + "\".");
                continue;
            }
            since = previous;
            moves_on = true;
            is_whole = false;
            break;
        }
        if (query == &first) finish_query(first);
        if (!query->is_last()) position_.erase("etag");  // it would tell of the first page alone
        if (!moves_on) break;
        std::deque<std::string> tail = query->tail();
        const Paging paging = query->pager().paging();
        next.emplace(session_, endpoint_, child_ ? parent_fields_ : fields_, parent_key_, values_since(since), memory_);
        // Behind the rows that have the same watermark and are known, which the next page shows again by one.
        const bool by_offset = paging == Paging::offset || paging == Paging::keyset;
        if (by_offset && !parent_key_.empty() && tie <= tail.size()) {
            next->begin_behind(static_cast<std::int64_t>(tie), std::move(tail));
        }
        position_.erase("etag");
        query = &*next;
    }
    if (next) pages_ += next->pages();
    if (!unread_nulls_) return;
    if (!is_whole) read_tail(next ? next->pager().paging() : first.pager().paging());
    unread_nulls_.reset();
}

// All before this watermark is read. Of several columns only the end of all of them tells that.
void Reader::reach(const std::string& literal) {
    std::optional<std::string>& reached = held_ ? held_->highest : watermark_;
    if (reached && !order_.is_later(literal, *reached)) return;
    reached = literal;
    if (!held_) position_ = {{"phase", "changes"}, {"watermark", literal}};
}

}  // namespace insync::rest
