// Tells whoever listens (LISTEN insync) what can't wait until somebody looks.
#pragma once

#include <string>

#include "bgworker/catalog/stream.hpp"

namespace insync {

// In the caller's transaction, with whose commit it is sent: {"event", "stream", "message"}. It goes to all sessions of
// the database, so that a message mustn't quote rows.
void send_alert(const Stream& stream, const std::string& event, const std::string& message);

}  // namespace insync
