// The options of a server, parsed: made once when a server is loaded. Those for the connector alone have no member.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/options/given.hpp"

namespace insync {

class ServerOptions {
  public:
    Text driver, connection_string;
    Text host, port, dsn, base_url, database;
    Given<std::int64_t> connections;
    // Without one, a setting holds.
    Given<std::optional<std::chrono::milliseconds>> connect_timeout, query_timeout;
    Given<std::chrono::milliseconds> timeout, lock_timeout;

    ServerOptions();  // none is given
    explicit ServerOptions(OptionMap given);

    // All that were given, for the connector and to tell one definition from another.
    const OptionMap& map() const { return map_; }
    operator const OptionMap&() const { return map_; }

    // Sets one without a check.
    template <typename Member>
    void set(Member ServerOptions::*option, std::string value) {
        map_.insert_or_assign(std::string((this->*option).name), std::move(value));
        parse();
    }

    // Every option with a member.
    std::vector<const Text*> all() const;

  private:
    OptionMap map_;

    void parse();
};

}  // namespace insync
