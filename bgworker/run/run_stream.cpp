// Runs streams on sources; see run_stream.hpp.
#include "bgworker/run/run_stream.hpp"

extern "C" {
#include "utils/timestamp.h"
}

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/definition/define_stream.hpp"

namespace insync {

namespace {

// When a run was asked for that sync_trigger() queued; else the end of time.
TimestampTz asked_at(const RunRequest& request, Transactions& transactions) {
    if (request.trigger != "request" || request.run_id == 0 || shared::open_breakers().empty()) return DT_NOEND;
    return transactions.run([&] {
        Bookkeeping bookkeeping;
        auto rows = pg::query(
            "SELECT (extract(epoch FROM r.queued_at) * 1000000)::bigint FROM insync.run AS r WHERE r.id = $1::bigint",
            {std::to_string(request.run_id)});
        if (rows.empty() || !rows.first()[0]) return TimestampTz{DT_NOEND};
        return TimestampTz{std::stoll(*rows.first()[0]) - postgres_epoch_us};
    });
}

}  // namespace

RunCounts run_stream(const Stream& given, const RunRequest& request, SourceSession& session,
                     Transactions& transactions) {
    Stream stream = given;
    Run run(stream, request, transactions);
    ConnectorProcess* connector = nullptr;
    try {
        run.begin();
        connector = &session.open(stream, transactions, asked_at(request, transactions));
        // Made while its source was away: what the source says completes it.
        if (!is_described(stream)) describe_now(stream, *connector, transactions);
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

}  // namespace insync
