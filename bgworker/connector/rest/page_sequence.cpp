// One query's pages; see page_sequence.hpp.
#include "bgworker/connector/rest/page_sequence.hpp"

#include <algorithm>
#include <functional>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/graph_error.hpp"
#include "bgworker/connector/rest/answer/rows_form.hpp"
#include "bgworker/connector/rest/http/answer_excerpt.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::rest {

namespace {

// How many keys are remembered to find the seam between two pages.
constexpr std::size_t longest_tail = 4096;
constexpr std::int64_t step_back = 16;
// How often a throttled GraphQL request is sent again.
constexpr int throttle_attempts = 10;
// How often a query begins anew because no page continued the one before.
constexpr int most_restarts = 5;

std::string clip(std::string_view text) {
    constexpr std::size_t longest = 200;
    std::string clipped = replaced_utf8(utf8_prefix(text, longest));
    return text.size() > longest ? clipped + "..." : clipped;
}

bool has_no_rows(const HttpResponse& response) {
    return response.status == 204 || response.status / 100 != 2;
}

}  // namespace

Query::Query(Session& session, const Endpoint& endpoint, Fields& fields, std::vector<std::size_t> key, Values values,
             PageMemory& memory)
    : session_(session),
      endpoint_(endpoint),
      fields_(fields),
      key_(std::move(key)),
      values_(std::move(values)),
      pager_(endpoint, &memory),
      shape_(endpoint.shape),
      knows_shape_(!endpoint.finds_rows),
      row_names_(endpoint.row_names) {}

void Query::if_changed_from(const std::string& url, const std::string& etag) {
    known_url_ = url;
    known_etag_ = etag;
}

void Query::begin_behind(std::int64_t offset, std::deque<std::string> tail) {
    pager_.set_offset(offset);
    tail_ = std::move(tail);
    rows_ = offset;
    has_rows_ = offset > 0;
}

bool Query::uses_offset() const {
    const Paging paging = pager_.paging();
    return paging == Paging::offset || paging == Paging::keyset ||
           (paging == Paging::automatic && endpoint_.uses("offset"));
}

std::string Query::key_of(const Page& page, std::size_t row) const {
    std::string text;
    for (const std::size_t field : key_) {
        const Value value = page.value(row, field);
        text += value.text;
        text += static_cast<char>(1 + static_cast<int>(value.kind));
    }
    return text;
}

HttpRequest Query::next_request() const {
    Values values = values_;
    pager_.place(values);
    HttpRequest request = endpoint_.request(values);
    const std::optional<std::string>& url = pager_.url() ? pager_.url() : start_url_;
    if (url && (pager_.url() || pages_ == 0)) {
        request.url = *url;
        request.method = "GET";
        request.body.reset();
    }
    return request;
}

HttpResponse Query::send(HttpRequest request) {
    if (first_url_.empty()) first_url_ = request.url;
    if (pages_ == 0 && !known_etag_.empty() && request.url == known_url_) {
        request.headers.emplace_back("If-None-Match", known_etag_);
    }
    // Some sources answer a page number past the last one with an error; where one has promised more, it is one.
    const bool may_be_past_end = pages_ > 0 && pager_.paging() == Paging::page && has_rows_ && !pager_.expects_more();
    if (may_be_past_end) request.accepted = {400, 404, 416};
    return session_.send(request);
}

// An answer of status 200 that tells of an error. A throttled one is waited for by the caller.
void Query::check_error(const HttpResponse& response, const Page& page) {
    if (endpoint_.error_path.empty()) return;
    const Value value = page.envelope(endpoint_.error_path);
    if (value.kind == Value::Kind::absent || value.kind == Value::Kind::null || value.text == "[]") return;
    const GraphError error = graph_error(response.body, value.text);
    if (!error.wait) throw Failure(FailureClass::source, "the source answered with an error", clip(error.message));
    Failure failure(FailureClass::rate_limited, "the source limits its requests", clip(error.message));
    failure.retry_after_seconds = *error.wait;
    throw failure;
}

bool Query::next() {
    if (!more_) return false;
    const bool is_watched = uses_offset() && !key_.empty();
    std::int64_t overlap = 0;
    if (is_watched && !tail_.empty() && pager_.offset() > 0 && longest_page_ != 1 && !is_seam_alone_) overlap = 1;
    const std::int64_t reached = pager_.offset();
    while (true) {
        if (is_watched) pager_.set_offset(reached - overlap);
        const std::optional<HttpResponse> response = fetch();
        if (!response) return false;
        if (overlap == 0) first_row_ = 0;
        if (overlap == 0 || find_seam(overlap)) {
            take_page(*response, overlap > 0);
            return true;
        }
        // What was read last isn't where it was: step back, to the beginning if need be.
        overlap = std::min(reached, overlap * step_back);
        if (overlap < reached && static_cast<std::size_t>(overlap) <= tail_.size()) continue;
        restart();
        return next();
    }
}

// The next answer, with its rows in page_; nothing: there are no more pages.
std::optional<HttpResponse> Query::fetch() {
    int throttled = 0;
    while (true) {
        if (static_cast<std::int64_t>(pages_) >= endpoint_.max_pages) {
            throw Failure(
                FailureClass::source,
                "the source has more pages than option max_pages allows (" + std::to_string(endpoint_.max_pages) + ")",
                "", "Raise max_pages if the source really has that many; see sync_explain() for the requests.");
        }
        HttpResponse response = send(next_request());
        if (ends_pages(response)) {
            unchanged_ = response.status == 304;
            more_ = false;
            return std::nullopt;
        }
        if (pages_ == 0) etag_ = response.header("etag");
        pages_++;
        parse(response);
        try {
            check_error(response, *page_);
        } catch (const Failure& failure) {
            if (failure.kind != FailureClass::rate_limited || ++throttled > throttle_attempts) throw;
            session_.wait_as_told(failure.retry_after_seconds.value_or(1));
            pages_--;
            continue;
        }
        if (!page_->missing().empty()) throw Failure(FailureClass::source, page_->missing());
        return response;
    }
}

// Other statuses than success come here only where option on_status takes them for no rows, or past the end of the
// pages.
bool Query::ends_pages(const HttpResponse& response) const {
    if (response.status == 304) return true;
    if (has_no_rows(response) && pages_ > 0 && pager_.expects_more()) {
        // Taken for the end, it would make rows look deleted.
        throw Failure(FailureClass::transient,
                      "page " + std::to_string(pages_ + 1) +
                          " of the source has no content, although the one before it says that there are more",
                      "It came with " + status_text(response.status) + ".");
    }
    return response.status == 400 || response.status == 404 || response.status == 416;
}

// Takes the body out of the response, but for what check_error() looks at.
void Query::parse(HttpResponse& response) {
    if (const RowsForm form = form_of(endpoint_.rows_form, response.header("content-type"));
        form != RowsForm::objects && !has_no_rows(response)) {
        std::optional<std::string> path;
        if (knows_shape_) path = shape_.rows_path;
        response.body = as_objects(std::move(response.body), form, path, row_names_);
        if (path) shape_.rows_path = *path;
        knows_shape_ = knows_shape_ || path.has_value();
    }
    if (!knows_shape_ && !response.body.empty()) {
        shape_.rows_path = find_rows_path(response.body);
        knows_shape_ = true;
    }
    std::vector<std::string> wanted = pager_.wanted();
    if (!endpoint_.error_path.empty()) wanted.push_back(endpoint_.error_path);
    const std::string body_kept = endpoint_.error_path.empty() ? std::string() : response.body;
    shape_.may_be_empty = has_no_rows(response);
    shape_.rows_may_be_missing = !endpoint_.error_path.empty();  // an error comes in their place
    page_.emplace(std::move(response.body), shape_, fields_, wanted);
    response.body = body_kept;
}

// Begins again with the first page, as no page continued the one before it.
void Query::restart() {
    if (++restarts_ > most_restarts) {
        throw Failure(FailureClass::transient, "the source's rows move while they are read",
                      "No page continues the one before it.",
                      "Ask for an order that is unique: {order:...} in the request, with paging keyset.");
    }
    pager_.set_offset(0);
    tail_.clear();
    fingerprints_.clear();
    rows_ = 0;
}

// Notes what page_ has, and how the source goes on behind it. `overlaps`: it began with rows of the page before.
void Query::take_page(const HttpResponse& response, bool overlaps) {
    longest_page_ = std::max(longest_page_, page_->rows());
    const std::size_t fresh = page_->rows() - first_row_;
    // The seam and nothing else, though the source says that there are more: it had no room for the next row.
    is_seam_alone_ = overlaps && fresh == 0 && pager_.says_more(*page_).value_or(false);
    // Pages that overlap may be alike where they have rows to add, but not where they have none.
    if (page_->rows() > 0 && (!overlaps || fresh == 0) && !is_seam_alone_) require_new_page();
    std::string last_key;
    if (const std::optional<std::size_t> field = key_field(); field && page_->rows() > 0) {
        last_key = page_->value(page_->rows() - 1, *field).text;
    }
    more_ = pager_.advance(response, *page_, fresh, last_key);
    if (!more_ && pager_.is_doubtful()) require_end(page_->rows());
    // A page with nothing but the seam in it, shorter than the source can send, is where the rows end.
    if (overlaps && fresh == 0 && page_->rows() < longest_page_ && !is_seam_alone_) more_ = false;
    rows_ += static_cast<std::int64_t>(fresh);
    // A page behind the last key is a request of its own.
    if (endpoint_.max_results > 0 && rows_ >= endpoint_.max_results && pager_.paging() != Paging::last_key) {
        cut_off_ = true;
        more_ = false;
    }
    remember_keys();
    if (gap_watch_) note_rows();
    has_rows_ = has_rows_ || page_->rows() > 0;
}

void Query::require_new_page() {
    std::size_t fingerprint = page_->rows();
    for (std::size_t row = 0; row < page_->rows(); row++) {
        fingerprint = fingerprint * 1099511628211u ^ std::hash<std::string_view>()(page_->text(row));
    }
    if (fingerprints_.insert(fingerprint).second) return;
    throw Failure(FailureClass::source, "a page of the source brings nothing new",
                  "Page " + std::to_string(pages_) + " has the same rows as one before it.",
                  "Check the options paging and params: the source may not know the parameter that asks for the next "
                  "page.");
}

bool Query::is_short() const {
    return endpoint_.uses("limit") && static_cast<std::int64_t>(page_->rows()) < endpoint_.page_size;
}

// A full page that leads nowhere: a request for fewer rows has to lead on, or the place where that is looked for is the
// wrong one.
void Query::require_end(std::size_t rows) {
    if (!endpoint_.uses("limit") || rows < 2) throw pager_.doubt(rows);
    Values values = values_;
    pager_.place(values);
    values.texts["limit"] = std::to_string(rows / 2);
    HttpResponse response = session_.send(endpoint_.request(values));
    Fields fields;
    const Page probe(response.body, shape_, fields, pager_.wanted());
    if (probe.rows() >= rows || !pager_.leads_on(response, probe)) throw pager_.doubt(rows);
}

// The field by whose value the page behind a row is asked for. A discovery doesn't know the key yet, so that it takes
// what is called like one.
std::optional<std::size_t> Query::key_field() const {
    if (!key_.empty()) return key_[0];
    for (const std::string_view name : key_names) {
        if (const std::optional<std::size_t> field = fields_.find(name)) return field;
    }
    return std::nullopt;
}

// Where the rows begin that weren't on the pages before: behind the last one that was. False: none of them is here.
bool Query::find_seam(std::int64_t overlap) {
    const auto place = static_cast<std::size_t>(overlap);
    const std::size_t known = std::min<std::size_t>(tail_.size(), place);
    // Nothing has moved. A row further on can look the same: a log may have a key, and a time, more than once.
    if (page_->rows() >= place && key_of(*page_, place - 1) == tail_.back()) {
        first_row_ = place;
        return true;
    }
    for (std::size_t row = page_->rows(); row-- > 0;) {
        const std::string key = key_of(*page_, row);
        if (std::find(tail_.end() - static_cast<std::ptrdiff_t>(known), tail_.end(), key) == tail_.end()) continue;
        first_row_ = row + 1;
        return true;
    }
    return false;
}

void Query::note_rows() {
    std::vector<std::size_t> hashes;
    if (!key_.empty()) {
        for (std::size_t row = first_row_; row < page_->rows(); row++)
            hashes.push_back(std::hash<std::string>()(key_of(*page_, row)));
    }
    gap_watch_->note_page(pager_.total(), hashes);
}

bool Query::may_have_gaps() const {
    const Paging paging = pager_.paging();
    if (pages_ < 2 || endpoint_.stable_pages || paging == Paging::last_key || (uses_offset() && !key_.empty()))
        return false;
    return key_.empty() || !gap_watch_ || gap_watch_->may_have_gaps();
}

void Query::remember_keys() {
    if (key_.empty() || !uses_offset()) return;
    for (std::size_t row = first_row_; row < page_->rows(); row++) tail_.push_back(key_of(*page_, row));
    while (tail_.size() > longest_tail) tail_.pop_front();
}

}  // namespace insync::rest
