// Dropping streams: what sync_drop() and DROP SERVER ... CASCADE share.
#pragma once

#include "bgworker/catalog/stream.hpp"

namespace insync {

// Forgets a stream with its watermark, history and rejected rows; its target stays.
void forget_stream(int stream_id);

// Is its sync_drop() under way in this session?
bool is_dropping(int stream_id);

}  // namespace insync
