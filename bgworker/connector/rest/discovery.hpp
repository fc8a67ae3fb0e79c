// What an endpoint returns: its columns, key, paging and size, from its first pages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/connector/rest/answer/columns.hpp"
#include "bgworker/connector/rest/http/session.hpp"
#include "bgworker/connector/rest/page_sequence.hpp"

namespace insync::rest {

struct Discovery {
    std::vector<RestColumn> columns;
    std::vector<std::string> key;  // a field that looks like a key and is one in every row that was seen
    std::vector<std::string> watermark_candidates;
    std::string paging;
    std::optional<std::int64_t> rows;  // of all pages, where the source says so
    std::size_t rows_seen = 0;
    std::int64_t null_watermarks = 0;            // among those
    std::string watermark_kind, last_watermark;  // of the watermark that was asked for
    std::string epoch;                           // that it is a number of, where it is a time
    bool is_epoch_found = false;                 // by its values; no option says so
};

// Reads the first pages. `key` and `watermark` are what the stream is to have, or empty. Raises Failure (config) where
// the watermark isn't in the rows, for a source without rows whose columns no option declares, and unless it
// `only_looks`, for one that may have more rows than it shows.
Discovery discover(Session& session, const Settings& settings, const std::string& source,
                   const std::vector<std::string>& key, const std::vector<std::string>& watermark,
                   bool only_looks = false);

// The names in a catalog's answer: names, objects with a name, or the names of an object's members. Paths of an OpenAPI
// document lose their slash; its functions and root are left out.
std::vector<std::string> names_in_catalog(const std::string& body, const std::string& pointer);

// True if `text` matches the SQL LIKE pattern.
bool is_like(std::string_view text, std::string_view pattern);

}  // namespace insync::rest
