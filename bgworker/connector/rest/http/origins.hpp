// Where requests may go: to the origin of base_url, and to those that option allowed_origins names.
#pragma once

#include <string>
#include <vector>

#include "bgworker/connector/rest/options/effective_options.hpp"

namespace insync::rest {

class Origins {
  public:
    // Raises Failure (config) where the option holds anything but http and https URLs with commas between them.
    explicit Origins(const Settings& settings);

    // `origin` as origin_of() has it.
    bool allow(const std::string& origin) const;

    // What to do where one isn't allowed.
    static std::string hint(const std::string& origin);

  private:
    std::vector<std::string> origins_;
};

}  // namespace insync::rest
