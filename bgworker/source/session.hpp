// A connection to a source that outlives a run: the connector, and what it has opened.
#pragma once

#include <memory>
#include <string>

#include "bgworker/catalog/server.hpp"
#include "bgworker/catalog/stream.hpp"
#include "bgworker/catalog/transactions.hpp"
#include "bgworker/shmem/agenda.hpp"
#include "bgworker/source/connector_process.hpp"

namespace insync {

class SourceSession {
  public:
    SourceSession() = default;
    // A worker's: it holds this place on the agenda.
    explicit SourceSession(Place place) : place_(place) {}

    // Opens the stream's server as its owner, or keeps what is open if it is the same server with the same options and
    // credentials. Throws pg::Error.
    // What another attempt was told after `asked_at` is the answer to this one, too.
    ConnectorProcess& open(const Stream& stream, Transactions& transactions, TimestampTz asked_at = DT_NOEND);
    // The same inside the caller's transaction.
    ConnectorProcess& open(const Server& server, TimestampTz asked_at = DT_NOEND);
    void close() { connector_.reset(); }
    // What the source said of itself when it was opened.
    const nlohmann::json& answer() const { return answer_; }

  private:
    void connect(const Server& server, const OpenRequest& request);
    void look_after(const Server& server, std::chrono::milliseconds silent);

    std::optional<Place> place_;
    std::unique_ptr<ConnectorProcess> connector_;
    std::optional<OpenRequest> opened_;
    nlohmann::json answer_;
    std::chrono::milliseconds looked_after_{0};  // how long the connector had been silent then
};

// The server of a stream, with what the stream says of it itself. Throws pg::Error as load_server().
Server server_of(const Stream& stream);

}  // namespace insync
