// From one page to the next: all the ways in which APIs do it, and how each says that it has no more.
//
// Moves on by the rows that came, never by those that were asked for: a short page isn't the last one. Ends at the
// source's own sign (a false "more", no next link, the total) or at an empty page. What would never end is an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/signs.hpp"
#include "bgworker/connector/rest/request/endpoint.hpp"

namespace insync::rest {

// What earlier pages, queries and runs of a resource have shown of its paging.
struct PageMemory {
    bool has_continued = false;       // a page led on to the next one
    bool is_of_run = false;           // in this run
    std::vector<std::string> places;  // what stood around the rows of a page that did
    std::int64_t longest = 0;         // rows of the longest answer that was all
    // Of several queries the longest decides whether answers are cut at that number of rows: it is known at their end.
    bool defers = false;
    std::int64_t suspect = 0;

    // Raises Failure (config) if answers may have been cut.
    void require_whole() const;
};

class Pager {
  public:
    // `memory` is used as long as the pager is.
    Pager(const Endpoint& endpoint, PageMemory* memory);

    // The JSON pointers around the rows that advance() looks at.
    const std::vector<std::string>& wanted() const { return wanted_; }

    // Puts the place of the next page into the values of its request.
    void place(Values& values) const;
    // The next page's URL where the source gave one; the request's template isn't used then.
    const std::optional<std::string>& url() const { return url_; }

    // Moves behind a page of `rows` rows that are new, the last of which has the key `last_key`. False: it was the last
    // page. Raises Failure (source) where a link or token comes again, or where there are more pages but no way to ask
    // for them (config).
    bool advance(const HttpResponse& response, const Page& page, std::size_t rows, const std::string& last_key);

    // True if the page that was moved behind is a full one that leads nowhere, though nothing says that it is the last.
    bool is_doubtful() const { return is_doubtful_; }
    Failure doubt(std::size_t rows) const;
    // Whether an answer leads on to the next page at the place where that is looked for.
    bool leads_on(const HttpResponse& response, const Page& page) const;

    // How the source is paged; `automatic` until a first answer has told.
    Paging paging() const { return paging_; }
    // Whether the source says that there are pages behind this one; nothing: it doesn't say.
    std::optional<bool> says_more(const Page& page) const;
    // True if the source itself has said that the page that was moved behind isn't the last one.
    bool expects_more() const { return expects_more_; }
    // How many rows all pages have together, if the last answer said so.
    std::optional<std::int64_t> total() const { return total_; }

    // Whether that is of the rows that were asked for, beyond doubt.
    bool total_is_sure() const { return total_is_sure_; }

    std::int64_t offset() const { return offset_; }
    void set_offset(std::int64_t offset) { offset_ = offset; }

  private:
    void detect(const HttpResponse& response, const Page& page);
    void read_total(const HttpResponse& response, const Page& page);
    void find_at(const Signs::Found& sign);
    std::string base_path() const;
    std::optional<std::string> next_in(const Page& page);
    bool follow(const HttpResponse& response, const Page& page, std::optional<std::string> reference);
    void require_new(const std::string& mark);
    void require_whole(const HttpResponse& response, const Page& page, std::optional<bool> more);
    void require_end(const HttpResponse& response, const Page& page, std::optional<bool> more);
    void note_continuation(const HttpResponse& response, const Page& page);

    const Endpoint& endpoint_;
    PageMemory* memory_;
    Paging paging_;
    std::vector<std::string> wanted_;
    std::string next_path_, more_path_;
    std::int64_t offset_ = 0, page_, rows_ = 0;
    std::optional<std::string> token_, last_key_, url_;
    std::optional<std::int64_t> total_;
    // A total that is only called like one may be of the page, or of money: it doesn't end a read.
    bool total_is_sure_ = false;
    bool expects_more_ = false;
    std::optional<std::string> first_next_;  // what was found on the first page, before its place was looked at
    bool keeps_parameters_ = false;          // a link that is parameters alone lies over those of the request
    bool has_continued_ = false;             // a page of this query led on
    bool is_doubtful_ = false;
    std::unordered_set<std::string> seen_;
};

// The text or whole number at a pointer that the page was asked for; nothing where it is empty or something else.
std::optional<std::string> text_at(const Page& page, std::string_view pointer);

// The only page of a source that may be cut at a number of rows that nobody asked for.
Failure may_be_cut(std::int64_t rows);

}  // namespace insync::rest
