// One run of a stream: next batch → apply → watermark → commit.
//
// Rows, rejects, counts and position commit together; whatever kills this process leaves the state of the last commit,
// from which the next run goes on. A poll that finds nothing leaves nothing behind but a count in shared memory.
#pragma once

#include <string>

#include "bgworker/apply/applier.hpp"
#include "bgworker/catalog/stream.hpp"
#include "bgworker/catalog/transactions.hpp"
#include "bgworker/source/batch_reader.hpp"

namespace insync {

struct RunRequest {
    std::int64_t run_id = 0;           // of a queued run; 0: none yet
    std::string trigger = "schedule";  // schedule, retry, request or call
    std::string mode;                  // overrides the stream's; empty: its own
    bool notices = false;              // tell the client about progress
};

class Run {
  public:
    Run(const Stream& stream, const RunRequest& request, Transactions& transactions);
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    // Before anything else, and before the source is reached; the caller holds the stream's lock. Somebody waits for a
    // run that was asked for: it is on record as running from here on. Throws pg::Error as execute().
    void begin();

    // Reads and applies until the source has no more. Before it, the connector must have opened the stream's server.
    // Throws pg::Error where the run failed, after it has recorded that.
    RunCounts execute(ConnectorProcess& connector);

    // Records that the run failed before it could read (the server can't be reached, say).
    void fail(const pg::Error& error);

  private:
    // A transaction that may begin the run's row; without its commit there is none.
    template <typename Body>
    auto in_transaction(Body&& body) {
        std::int64_t before = run_id_;
        try {
            return transactions_.run(body);
        } catch (...) {
            run_id_ = before;
            throw;
        }
    }
    void load(ConnectorProcess& connector);
    void use_columns(const nlohmann::json& frame);
    void use_columns(RowKind kind);
    void tell_added_columns();
    void apply(const Batch& batch);
    RunCounts apply_once(const Batch& batch);
    void keep_rejects(const Batch& batch);
    void finish();
    void save_feed_position();
    void record_start();
    bool keeps_position(const Batch& batch) const;
    std::string closing_message() const;
    bool done_flag(const char* member) const;
    bool has_progressed() const;

    const Stream& stream_;
    RunRequest request_;
    Transactions& transactions_;
    std::string mode_;
    StreamState state_;
    nlohmann::json position_;                            // as committed
    nlohmann::json reached_ = nlohmann::json::object();  // as the connector last said, committed or not
    std::string watermark_;
    bool saves_position_ = true;
    bool compares_keys_ = false;
    bool has_new_columns_ = false;  // no batch of them has been applied
    std::optional<Applier> applier_;
    BatchReader reader_;
    RunCounts counts_;
    std::int64_t reread_ = 0;        // of the rows read: those of the overlap
    std::int64_t quiet_reread_ = 0;  // and of the last quiet poll before this run
    std::int64_t run_id_ = 0;
    TimestampTz started_at_ = 0, retry_at_ = 0;
    std::optional<std::string> met_;  // server_version() of what it reads
    std::string note_;
};

}  // namespace insync
