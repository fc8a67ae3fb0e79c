// Reads batches; see batch_reader.hpp.
#include "bgworker/source/batch_reader.hpp"

extern "C" {
#include "storage/latch.h"
#include "utils/wait_event.h"
}

#include "bgworker/options/values.hpp"
#include "bgworker/pg/settings.hpp"
#include "bgworker/pg/wait_event.hpp"

namespace insync {

namespace {
constexpr long first_wait_ms = 100;
}

BatchReader::BatchReader(const Stream& stream, std::function<void(const nlohmann::json&)> use_columns)
    : stream_(stream), use_columns_(std::move(use_columns)) {
    auto limit = stream.options.run_timeout.value;
    deadline_ = limit ? std::chrono::steady_clock::now() + *limit : std::chrono::steady_clock::time_point::max();
}

void BatchReader::request(ConnectorProcess& connector, const Request& request) {
    connector_ = &connector;
    connector.request(request);
}

bool BatchReader::next(Batch& batch) {
    batch.clear();
    std::size_t reject_bytes = 0;
    for (;;) {
        check_deadline();
        Frame frame = connector_->next_frame();
        switch (frame.type) {
            case wire::FrameType::columns:
                // For a second time between two batches where new ones have come up.
                if (batch.rows() > 0) throw ProtocolError("columns in the middle of a batch");
                columns_ = parse_columns(frame.json().at("columns"));
                use_columns_(frame.json());
                break;
            case wire::FrameType::rows:
                batch.append_rows(frame.payload, columns_);
                if (static_cast<std::int64_t>(batch.bytes()) > 4LL * settings::frame_limit_bytes())
                    throw ProtocolError("a batch without an end");
                break;
            case wire::FrameType::reject:
                reject_bytes += frame.payload.size();
                batch.append_reject(frame.json());
                if (reject_bytes > 4 * std::size_t{settings::frame_limit_bytes()})
                    throw ProtocolError("a batch without an end");
                break;
            case wire::FrameType::position:
                batch.set_position(frame.json());
                return true;
            case wire::FrameType::done:
                if (batch.rows() + batch.rejects.size() > 0) throw ProtocolError("rows without a position");
                done_ = frame.json();
                return false;
            default:
                break;  // progress
        }
    }
}

void BatchReader::check_deadline() const {
    if (std::chrono::steady_clock::now() < deadline_) return;
    pg::Error error(ERRCODE_QUERY_CANCELED,
                    "the run took longer than option run_timeout allows (" + stream_.options.run_timeout.text + ")",
                    "What was committed stays; the next run goes on from there.");
    error.sqlstate = ERRCODE_FDW_ERROR;
    error.error_class = pg::ErrorClass::transient;
    throw error;
}

void wait_before_retry(int attempt) {
    pg::call([&] {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, first_wait_ms << attempt,
                        pg::wait_event(pg::Wait::retry));
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    });
}

}  // namespace insync
