// Dropping streams: what sync_drop() and DROP SERVER ... CASCADE share.
#pragma once

namespace insync {

// Is its sync_drop() under way in this session?
bool is_dropping(int stream_id);

}  // namespace insync
