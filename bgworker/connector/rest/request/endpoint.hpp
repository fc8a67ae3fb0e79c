// A resource of an API as the options describe it: its requests as templates, and where its rows are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bgworker/connector/rest/answer/page.hpp"
#include "bgworker/connector/rest/answer/rows_form.hpp"
#include "bgworker/connector/rest/http/http.hpp"
#include "bgworker/connector/rest/options/effective_options.hpp"
#include "bgworker/connector/rest/request/template.hpp"

namespace insync::rest {

enum class Paging { automatic, none, offset, page, link_header, next_url, token, last_key, keyset };
std::string_view name_of(Paging paging);

// How the source orders the rows of an answer by their watermark.
enum class Order { none, asc, desc };

struct Endpoint {
    std::string base_url;
    std::string source;
    std::string method;
    Template path;
    std::vector<std::pair<Template, Template>> parameters, headers;
    std::optional<Template> body;
    std::string body_text;  // the same, as it was written
    Place body_place = Place::plain;
    PageShape shape;
    bool finds_rows = false;  // no option says where the rows are
    RowsForm rows_form = RowsForm::automatic;
    std::vector<std::string> row_names;  // of the values of rows that are arrays
    std::string error_path, next_path, more_path, total_path, response_watermark;
    bool more_is_negated = false;
    Paging paging = Paging::automatic;
    Order order = Order::none;
    std::int64_t page_size = 0, first_page = 1, max_pages = 0;
    std::int64_t max_results = 0;  // rows after which the source ends a request's pages, whatever it has; 0: none
    bool stable_pages = false;     // rows that come or go shift none to another page
    Values constants;              // what placeholders stand for in every request

    // True if any template has the placeholder.
    bool uses(std::string_view placeholder) const;
    // The fields of the parent that the request needs.
    std::vector<std::string> parent_fields() const;

    // The request with the values in it. Raises Failure (config) where the path or body needs a value that there isn't.
    HttpRequest request(const Values& values) const;
};

// `key` and `watermark` are fields of the rows, for {key}, {watermark} and {order:…}. Raises Failure (config).
Endpoint make_endpoint(const Settings& settings, const std::string& source, const std::vector<std::string>& key,
                       const std::vector<std::string>& watermark);

// Raises Failure (config) where a request can't go by each of several watermark columns: it doesn't name the one that
// it goes by with {watermark} (or, if only the order tells, with {order:...}).
void require_column_names(const Endpoint& endpoint, bool by_order, const std::string& columns);

// Lays the parameters of the option slice_query, and the body of the option slice_body, over the endpoint's.
void add_slice_query(Endpoint& endpoint, const Settings& settings);

// Lays those of the option null_query over them: a request for the rows without a watermark.
void add_null_query(Endpoint& endpoint, const Settings& settings);

}  // namespace insync::rest
