// What stands around the rows of an answer and says whether there are more: continuations, flags, totals and numbers of
// pages, as well-known APIs call them.
//
// Names are compared without case and punctuation, wherever outside of the rows they stand. So they can be wrong: they
// raise a question that an option answers, or give a link that is followed, but end no read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/connector/rest/answer/page.hpp"
#include "bgworker/connector/rest/http/http.hpp"

namespace insync::rest {

struct Signs {
    // A value with its place: a JSON pointer in the answer, or the name of a header.
    struct Found {
        std::string place;
        std::string text;
    };
    std::optional<Found> next_url;  // the URL of the next page
    std::optional<Found> token;     // something else to ask for it by: a token, a number
    std::optional<Found> more, no_more;
    std::optional<Found> total;         // of all rows; perhaps of the page's
    std::optional<std::int64_t> count;  // that total
    std::optional<Found> pages;         // a number of pages above one
    std::optional<Found> end;           // a continuation that is null or empty, one page, no more than these rows
    // The places of all values around the rows.
    std::vector<std::string> places;
};

// `rows` came so far. A link in a list is told as /links/rel=next/href.
Signs signs_in(const HttpResponse& response, const Page& page, std::int64_t rows);

// The target of rel="next" in Link headers.
std::optional<std::string> next_link(const HttpResponse& response);

// The parameter by which a token is asked for, as far as its name tells: next_cursor is asked for by cursor.
std::string parameter_for(std::string_view place);

}  // namespace insync::rest
