// How far streams have read, and when something was last planned for them: columns of insync.watermark that are not
// about the outcome of runs, see outcome.hpp.
#pragma once

#include <optional>
#include <string>

#include "bgworker/catalog/stream.hpp"

namespace insync {

// Each of these needs a transaction and makes its own Spi, as the extension's owner.
class Watermarks {
  public:
    static void save(int stream_id, const nlohmann::json& position, const std::string& watermark);
    // The next run reads everything again, or from this watermark on. Rejected rows and history stay.
    static void reset(int stream_id, const std::optional<std::string>& watermark = std::nullopt);
    // The stream was read in full: its option reconcile counts from here.
    static void note_reconciled(int stream_id);
    // What options verify_schedule and auto_repair have done by schedule is planned: the next time counts from here.
    enum class Planned { verification, repair };
    static void note_planned(int stream_id, Planned planned);
};

}  // namespace insync
