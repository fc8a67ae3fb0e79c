// The keys of rows that a verification found to differ: the only place that writes insync.difference.
#pragma once

#include <cstdint>

#include <nlohmann/json.hpp>

#include "bgworker/catalog/job.hpp"

namespace insync {

// Each of these needs a transaction and makes its own Spi, as the extension's owner.
class Differences {
  public:
    // What is known of the window is these: in the slice `b` (a number as SliceChanges has it) a row with the key `v`
    // that is `k`: missing, extra or changed.
    static void replace(int stream_id, std::int64_t run_id, const SliceWindow& window, const nlohmann::json& keys);
    static void forget(int stream_id);
};

}  // namespace insync
