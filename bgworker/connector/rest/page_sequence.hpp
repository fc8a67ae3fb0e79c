// The pages of one request that goes on: sent, checked, parsed, and moved on from until the source has no more.
//
// Where pages are asked for by offset, rows that come or go meanwhile would shift those behind them past the reader. So
// a page begins one row before the place that was reached, and has to show that row; if it doesn't, the query steps
// back until it meets something that it has seen.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>

#include "bgworker/connector/rest/gap_watch.hpp"
#include "bgworker/connector/rest/http/session.hpp"
#include "bgworker/connector/rest/pager.hpp"
#include "bgworker/connector/rest/request/endpoint.hpp"

namespace insync::rest {

// What fields that identify a row are called, most often first.
inline constexpr std::string_view key_names[] = {"id", "ID", "Id", "_id", "uuid", "UUID", "guid", "key", "_key"};

class Query {
  public:
    // `key` are the numbers of the fields that identify a row; without any, offsets are trusted. All but `values` is
    // used until the query ends.
    // `memory` is what is known of the resource's pages.
    Query(Session& session, const Endpoint& endpoint, Fields& fields, std::vector<std::size_t> key, Values values,
          PageMemory& memory);

    // A first request with this ETag in it; an answer 304 makes a query without pages whose was_unchanged() is true.
    void if_changed_from(const std::string& url, const std::string& etag);

    // Begins in the middle: behind `offset` rows, of which `tail` are the keys of the last.
    void begin_behind(std::int64_t offset, std::deque<std::string> tail);

    // Begins with a URL that the source gave, in place of the template's.
    void begin_with(const std::string& url) { start_url_ = url; }

    // Reads the next page; false: there is none. Then page() and first_row() hold until the next call.
    bool next();
    const Page& page() const { return *page_; }
    // The first row of page() that was not on the page before.
    std::size_t first_row() const { return first_row_; }
    // True if the source has said that page() is the last.
    bool is_last() const { return !more_; }
    // True if page() has fewer rows than were asked for.
    bool is_short() const;

    // True if the pages ended where the source shows no more rows of one request (max_results): there may be others.
    bool is_cut_off() const { return cut_off_; }

    // A row's key as one text, to tell rows apart.
    std::string key_of(const Page& page, std::size_t row) const;
    // The keys of the last rows so far, the newest at the end.
    const std::deque<std::string>& tail() const { return tail_; }

    // For a read whose gaps count as deletes, before its first page: keeps what tells whether it has any.
    void watch_gaps() { gap_watch_.emplace(); }
    // True if rows that came or went while pages were read may have moved others past it: where no page shows that it
    // continues the one before, and no total that stayed the same and all came to says that none is missing.
    bool may_have_gaps() const;

    bool was_unchanged() const { return unchanged_; }
    // Of the first answer, if it has one: for if_changed_from() of a later query.
    const std::string& first_url() const { return first_url_; }
    const std::optional<std::string>& etag() const { return etag_; }
    std::uint64_t pages() const { return pages_; }
    const Pager& pager() const { return pager_; }

    // The next request, for sync_explain().
    HttpRequest next_request() const;

  private:
    std::optional<HttpResponse> fetch();
    bool ends_pages(const HttpResponse& response) const;
    void parse(HttpResponse& response);
    void restart();
    void take_page(const HttpResponse& response, bool overlaps);
    void require_new_page();
    void require_end(std::size_t rows);
    bool uses_offset() const;
    HttpResponse send(HttpRequest request);
    void check_error(const HttpResponse& response, const Page& page);
    std::optional<std::size_t> key_field() const;
    bool find_seam(std::int64_t overlap);
    void remember_keys();
    void note_rows();

    Session& session_;
    const Endpoint& endpoint_;
    Fields& fields_;
    std::vector<std::size_t> key_;
    Values values_;
    Pager pager_;
    PageShape shape_;
    bool knows_shape_ = false;
    std::vector<std::string> row_names_;  // of rows that are arrays
    std::optional<std::string> start_url_;
    std::optional<Page> page_;
    std::size_t first_row_ = 0;
    std::size_t longest_page_ = 0;
    std::deque<std::string> tail_;
    std::unordered_set<std::size_t> fingerprints_;
    std::string known_url_, known_etag_, first_url_;
    std::optional<std::string> etag_;
    std::uint64_t pages_ = 0;
    std::int64_t rows_ = 0;
    bool cut_off_ = false;
    bool is_seam_alone_ = false;
    int restarts_ = 0;
    bool more_ = true;
    bool unchanged_ = false;
    bool has_rows_ = false;
    std::optional<GapWatch> gap_watch_;
};

}  // namespace insync::rest
