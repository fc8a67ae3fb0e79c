// Sends alerts; see notify.hpp.
#include "bgworker/catalog/notify.hpp"

#include "bgworker/catalog/catalog_scope.hpp"

namespace insync {

namespace {
// A notification holds less than 8,000 bytes.
constexpr const char* longest_message = "1000";
}  // namespace

void send_alert(const Stream& stream, const std::string& event, const std::string& message) {
    Bookkeeping bookkeeping;
    pg::query(
        std::string("SELECT pg_notify('insync', jsonb_build_object('event', $1, 'stream', $2, 'message', left($3, ") +
            longest_message + "))::text)",
        {event, stream.name, message});
}

}  // namespace insync
