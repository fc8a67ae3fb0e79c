// Batches out of the connector's frames: what comes between two positions.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/protocol/batch.hpp"
#include "bgworker/source/connector_process.hpp"

namespace insync {

class BatchReader {
  public:
    // `use_columns` is called with the payload of a columns frame, after columns() has them: first of all, and again
    // between two batches where new ones have come up. The stream's option run_timeout counts from here.
    BatchReader(const Stream& stream, std::function<void(const nlohmann::json& frame)> use_columns);

    // Sends the request whose answer next() reads.
    void request(ConnectorProcess& connector, const Request& request);
    // The next batch; false at the end, after which done() has the connector's closing words. Throws pg::Error where
    // the source failed or run_timeout is over, ProtocolError where the connector doesn't follow the protocol.
    bool next(Batch& batch);

    const std::vector<SourceColumn>& columns() const { return columns_; }
    const nlohmann::json& done() const { return done_; }

  private:
    void check_deadline() const;

    const Stream& stream_;
    std::function<void(const nlohmann::json&)> use_columns_;
    ConnectorProcess* connector_ = nullptr;
    std::vector<SourceColumn> columns_;
    nlohmann::json done_;
    std::chrono::steady_clock::time_point deadline_;
};

// Waits before a batch is tried again that met somebody in its way: longer each time, from a tenth of a second on.
void wait_before_retry(int attempt);
// So often is a batch tried.
inline constexpr int batch_attempts = 6;

// Runs `body`; what it throws that isn't a pg::Error becomes one: a malformed answer, after which the connector is
// killed, or a lack of memory.
template <typename Body>
auto with_protocol_errors(ConnectorProcess& connector, Body&& body) -> decltype(body()) {
    try {
        return body();
    } catch (const pg::Error&) {
        throw;
    } catch (const std::bad_alloc&) {
        throw pg::Error(ERRCODE_OUT_OF_MEMORY, "out of memory");
    } catch (const std::exception& error) {
        pg::Error wrapped(ERRCODE_PROTOCOL_VIOLATION,
                          std::string("the connector does not follow the protocol: ") + error.what());
        wrapped.error_class = pg::ErrorClass::source;
        connector.kill();
        throw wrapped;
    }
}

}  // namespace insync
