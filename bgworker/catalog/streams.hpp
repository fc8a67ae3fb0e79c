// The definitions of streams: the only place that writes insync.stream.
#pragma once

#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"

namespace insync {

// Each of these needs a transaction and makes its own Spi, as the extension's owner.
class Streams {
  public:
    // Returns the stream's number.
    static int insert(const Stream& stream);
    // All that sync_alter() can change; the stream's history and rejected rows get the new name as well.
    static void update(const Stream& stream, const std::string& new_name);
    // What the source said of itself, of a stream that was made while it could not be reached.
    static void save_description(const Stream& stream);
    static void save_source_columns(int stream_id, const std::vector<SourceColumn>& columns);
    // What column_names.hpp keeps of the target.
    static void save_target_columns(int stream_id, const nlohmann::json& columns);
    // Forgets the stream with its watermark, history, slices, jobs and rejected rows.
    static void forget(int stream_id);

    static void set_paused(const std::vector<std::string>& names, bool paused);
    // The stream doesn't make up for scheduled times that lie before now.
    static void restart_schedule(int stream_id);
    static void restart_schedules();
    // A schedule that begins in the future, as the clock was set back, begins now.
    static void settle_clock();

    // The role that has the owner's name now is the owner of the stream.
    static void record_owner(int stream_id);
    // The same of all streams where roles have other numbers than where this copy came from, else of those that come
    // without one, from a dump of 0.1.
    static void adopt(bool from_another_system);
    // Servers and targets that were renamed, by what insync.dependency has of this system. True if there are any.
    static bool follow_renames(const std::string& system);
};

}  // namespace insync
