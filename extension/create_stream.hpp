// Makes a stream of a definition that may be incomplete.
#pragma once

#include <string>

#include "bgworker/catalog/server.hpp"
#include "bgworker/catalog/stream.hpp"
#include "bgworker/source/connector_process.hpp"

namespace insync {

// Checks the stream, asks its source for what was left to be found, stores it, and makes its target unless that is
// there; true if it made one. Of `stream` are set: name, server, source, key, watermark, schedule, options.
// `target_name`: empty, it is the source's own. `is_named`: somebody chose it, and may mean a table that has rows.
// `connector`: connected to the source already; null: it connects by itself, and makes the stream even if the source is
// away and nothing was left to be found.
bool create_stream(Stream& stream, const Server& server, const std::string& target_name, bool is_named,
                   ConnectorProcess* connector = nullptr);

}  // namespace insync
