// Opens sources and runs streams on them; see source_session.hpp.
#include "bgworker/source_session.hpp"

#include "bgworker/bookkeeping.hpp"
#include "bgworker/run.hpp"

namespace insync {

ConnectorProcess& SourceSession::open(const Server& server) {
    auto request = server.open_request("open");
    if (connector_ && connector_->alive() && request == opened_) return *connector_;
    connector_.reset();
    opened_ = nullptr;
    connector_ = std::make_unique<ConnectorProcess>(server.stall(), server.oid);
    answer_ = connector_->call(request).back();
    opened_ = std::move(request);
    return *connector_;
}

ConnectorProcess& SourceSession::open(const Stream& stream, Transactions& transactions) {
    Server server;
    transactions.run([&] { server = server_of(stream); });
    return open(server);
}

Server server_of(const Stream& stream) {
    Server server = load_server(stream.server, stream.owner_oid);
    if (stream.has_option("query_timeout")) server.options["query_timeout"] = stream.option("query_timeout");
    return server;
}

RunCounts run_stream(const Stream& stream, const RunRequest& request, SourceSession& session,
                     Transactions& transactions) {
    Run run(stream, request, transactions);
    ConnectorProcess* connector = nullptr;
    try {
        transactions.run([&] { require_owner(stream); });
        connector = &session.open(stream, transactions);
    } catch (pg::Error& error) {
        session.close();
        run.fail(error);
        error.recorded = true;
        throw;
    }
    try {
        return run.execute(*connector);
    } catch (const pg::Error&) {
        // In the middle of an answer, or dead: a new one costs ten milliseconds and is in a known state.
        session.close();
        throw;
    }
}

void close_interrupted_runs(int stream_id) {
    Bookkeeping bookkeeping;
    if (pg::query("SELECT FROM insync.run AS r WHERE r.stream_id = $1::integer AND r.status = 'running' AND r.mode NOT "
                  "IN ('backfill', 'verify', 'profile')",
                  {std::to_string(stream_id)})
            .empty())
        return;
    pg::query(
        "UPDATE insync.run AS r SET status = 'failed', ended_at = clock_timestamp(), sqlstate = '57P02',"
        " message = 'interrupted: the process or the server ended; what was committed stays, and the next run goes on "
        "from there'"
        " WHERE r.stream_id = $1::integer AND r.status = 'running' AND r.mode NOT IN ('backfill', 'verify', 'profile')",
        {std::to_string(stream_id)});
}

}  // namespace insync
