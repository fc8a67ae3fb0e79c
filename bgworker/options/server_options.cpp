// Parses the options of a server; see server_options.hpp.
#include "bgworker/options/server_options.hpp"

#include <utility>

namespace insync {

namespace {

// The one list of names and members.
template <typename Options, typename Visit>
void each_server_option(Options& options, Visit&& visit) {
    visit("driver", options.driver);
    visit("connection_string", options.connection_string);
    visit("host", options.host);
    visit("port", options.port);
    visit("dsn", options.dsn);
    visit("base_url", options.base_url);
    visit("database", options.database);
    visit("connections", options.connections);
    visit("connect_timeout", options.connect_timeout);
    visit("query_timeout", options.query_timeout);
    visit("timeout", options.timeout);
    visit("lock_timeout", options.lock_timeout);
}

}  // namespace

ServerOptions::ServerOptions() {
    parse();
}

ServerOptions::ServerOptions(OptionMap given) : map_(std::move(given)) {
    parse();
}

std::vector<const Text*> ServerOptions::all() const {
    std::vector<const Text*> options;
    each_server_option(*this, [&](const char*, const Text& option) { options.push_back(&option); });
    return options;
}

void ServerOptions::parse() {
    each_server_option(*this, [&](const char* name, auto& option) {
        const auto found = map_.find(name);
        read_option(option, Where::server, name, found != map_.end() ? std::optional(found->second) : std::nullopt);
    });
}

}  // namespace insync
