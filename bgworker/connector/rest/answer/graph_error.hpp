// What a GraphQL answer says of an error.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace insync::rest {

struct GraphError {
    std::string message;         // of the first error
    std::optional<double> wait;  // in seconds: the request was throttled, and may be sent again after it
};

// `errors` is the JSON that the answer has where errors stand. A throttled request waits until the cost that the answer
// states (extensions.cost, as Shopify sends it) is restored, 0.1 to 60 seconds; 1 second where it states none.
GraphError graph_error(const std::string& body, std::string_view errors);

}  // namespace insync::rest
