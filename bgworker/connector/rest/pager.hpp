// From one page to the next: all the ways in which APIs do it, and how each says that it has no more.
//
// Moves on by the rows that came, never by those that were asked for: a short page isn't the last one. Ends at the
// source's own sign (a false "more", no next link, the total) or at an empty page. What would never end is an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>

#include "bgworker/connector/rest/endpoint.hpp"

namespace insync::rest {

class Pager {
  public:
    explicit Pager(const Endpoint& endpoint);

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
    bool follow(const HttpResponse& response, const std::optional<std::string>& reference);
    void require_new(const std::string& mark);
    void require_whole(const Page& page, std::optional<bool> more) const;

    const Endpoint& endpoint_;
    Paging paging_;
    std::vector<std::string> wanted_;
    std::string next_path_, more_path_;
    std::int64_t offset_ = 0, page_, rows_ = 0;
    std::optional<std::string> token_, last_key_, url_;
    std::optional<std::int64_t> total_;
    // A total that is only called like one may be of the page, or of money: it doesn't end a read.
    bool total_is_sure_ = false;
    bool expects_more_ = false;
    std::unordered_set<std::string> seen_;
};

// The target of rel="next" in Link headers.
std::optional<std::string> next_link(const HttpResponse& response);

}  // namespace insync::rest
