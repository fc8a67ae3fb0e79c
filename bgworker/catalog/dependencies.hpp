// What streams depend on, by OID beside name: their server and their target.
//
// insync.stream has names, so that a dump restores them. insync.dependency has the OIDs, which tell that a name still
// means the same object. It isn't dumped, and says of which system its OIDs are; in a restored or upgraded database
// they are looked up by name again. An event trigger (extension/sql_dependencies.cpp) keeps both up to date.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"

namespace insync {

// Looks up by name the OIDs that aren't known yet, of one stream or of all. What is known stays.
void bind_objects(std::optional<int> stream_id = std::nullopt);
// Forgets the OIDs of a stream, and that it made its target, and looks them up again: its definition has changed.
void rebind_objects(int stream_id);
// The same of the server alone.
void rebind_server(int stream_id);
// The table that now has the target's name is the target, whatever the stream filled before.
void rebind_target(int stream_id);
// The stream has just made its target.
void record_created_target(int stream_id);
// Another stream fills the target of `stream` as well: from here on none of them may drop it.
void record_shared_target(const Stream& stream);
// Did the stream make the table that is its target now, and was it alone in filling it ever since?
bool owns_target(const Stream& stream);

// Before a run. A table that has taken the place of the one that the stream filled lacks the rows that were read
// already: throws, unless the run starts over.
void require_same_target(const Stream& stream, bool starts_over);

// Servers, targets or schemas may have been renamed: gives streams the names of now. True if any name changed.
bool follow_renames();

// Of an event trigger for sql_drop.
struct DependentStream {
    int id = 0;
    std::string name, server;
};
// Streams whose server was dropped.
std::vector<DependentStream> streams_of_dropped_servers();
// Records that targets were dropped; returns their streams.
std::vector<DependentStream> record_dropped_targets();

}  // namespace insync
