// The servers that requests may go to; see origins.hpp.
#include "bgworker/connector/rest/http/origins.hpp"

#include <algorithm>
#include <string_view>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/url.hpp"
#include "bgworker/options/values.hpp"

namespace insync::rest {

namespace {

// What stands between commas.
std::vector<std::string> items_of(std::string_view list) {
    std::vector<std::string> items;
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        if (const std::string_view item = trim(list.substr(0, comma)); !item.empty()) items.emplace_back(item);
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return items;
}

}  // namespace

Origins::Origins(const Settings& settings) : origins_{origin_of(settings.text("base_url"))} {
    for (const std::string& allowed : items_of(settings.text("allowed_origins"))) {
        if (origin_of(allowed).empty()) {
            throw Failure(
                FailureClass::config,
                "option allowed_origins holds " + quote_for_message(allowed) + ", which is not an http or https URL",
                "", "Write origins with commas between them, such as https://files.example.com.");
        }
        origins_.push_back(origin_of(allowed));
    }
}

bool Origins::allow(const std::string& origin) const {
    return std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
}

std::string Origins::hint(const std::string& origin) {
    return "If the API has moved there, set option base_url; if its pages are there, set allowed_origins to '" +
           origin + "'.";
}

}  // namespace insync::rest
