// Comparing a target with its source: sync_verify.
#include "bgworker/pg/guard.hpp"
#include "bgworker/run/run_stream.hpp"

extern "C" {
#include "fmgr.h"
#include "utils/fmgrprotos.h"
}

#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/runs.hpp"
#include "bgworker/catalog/stream_lock.hpp"
#include "bgworker/completeness/backfill.hpp"
#include "bgworker/completeness/verification.hpp"
#include "bgworker/definition/define_stream.hpp"
#include "bgworker/ledger/ledgers.hpp"
#include "bgworker/pg/function_arguments.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/run/run.hpp"
#include "bgworker/schedule/due_streams.hpp"

using namespace insync;

namespace {

constexpr std::size_t shown_keys = 100;

void warn(const std::string& message, const std::string& detail, const std::string& hint) {
    const char *text = message.c_str(), *more = detail.c_str(), *advice = hint.c_str();
    pg::call([&] {
        ereport(WARNING, (errmsg_internal("%s", text), *more != '\0' ? errdetail_internal("%s", more) : 0,
                          *advice != '\0' ? errhint("%s", advice) : 0));
    });
}

// Reads again what differs, by slices where there are any. Says what it couldn't make right.
void repair(const Stream& stream, Verification& verification, SourceSession& session,
            CallerTransactions& transactions) {
    if (verification.is_whole()) return;
    if (!transactions.run([&] { return verification.can_read_again_by_time(); })) {
        RunRequest request;
        request.trigger = "call";
        request.mode = "full";
        run_stream(stream, request, session, transactions);
        return;
    }
    std::int64_t rejected = 0;
    auto read_again = [&](const SliceWindow& window, const nlohmann::json& options) {
        Job job = transactions.run([&] { return begin_own_job(stream, JobKind::backfill, window, options); });
        Backfill backfill(stream, job, transactions);
        backfill.execute(session.open(stream, transactions));
        rejected += backfill.rejected_rows();
        if (const auto& refusal = backfill.refusal())
            warn(stream.name + ": " + refusal->message, refusal->detail, refusal->hint);
    };
    for (const auto& window : verification.broken_windows()) read_again(window, nlohmann::json::object());
    if (verification.differs_without_time()) read_again({}, {{"no_time", true}});
    if (rejected > 0) {
        warn(stream.name + ": " + std::to_string(rejected) + (rejected == 1 ? " row was" : " rows were") + " rejected",
             "",
             "SELECT * FROM insync.error says why; SELECT sync_replay(" + pg::quote_literal(stream.name) +
                 ") applies them again.");
    }
}

pg::Value bucket_text(const Verification& verification, std::int64_t bucket) {
    if (!verification.ledger()) return std::nullopt;
    const char* text =
        pg::call([&] { return DatumGetCString(DirectFunctionCall1(timestamp_out, TimestampGetDatum(bucket))); });
    return std::string(text);
}

std::string keys_text(const SliceVerdict& found) {
    nlohmann::json keys = nlohmann::json::object();
    std::size_t count = 0;
    for (const auto& difference : found.differences) {
        if (count++ == shown_keys) break;
        keys[name_of(difference.kind)].push_back(nlohmann::json::parse(difference.key));
    }
    return keys.dump();
}

std::string state_of(const SliceVerdict& found) {
    if (found.missing > 0 && found.extra + found.changed == 0) return found.measure.held == 0 ? "missing" : "short";
    return "differs";
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(sync_verify);

Datum sync_verify(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_verify()");
        ResultSet result(fcinfo);
        Stream stream = load_stream(required_text(fcinfo, 0, "stream"));
        require_described(stream);
        auto from = timestamp_argument(fcinfo, 1), to = timestamp_argument(fcinfo, 2);
        const std::string depth_name = required_text(fcinfo, 3, "depth");
        const auto depth = depth_of(depth_name);
        if (!depth)
            throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "invalid depth \"" + depth_name + "\"", "",
                            "Valid depths are counts, keys and rows.");
        const bool repairs = !fcinfo->args[4].isnull && PG_GETARG_BOOL(4);
        require_home_database();
        const auto ledger = Ledgers::load(stream.id);
        if ((from || to) && !ledger)
            throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                            "cannot verify a range of stream \"" + stream.name + "\": it has no slice column",
                            "No date or time of its target assigns its rows to slices.",
                            "Leave out \"from\" and \"to\", or name a column: SELECT sync_alter(" +
                                pg::quote_literal(stream.name) + ", '{\"slice_column\": \"...\"}').");
        StreamLock lock(stream.id, StreamLock::short_patience_ms, StreamLock::Until::transaction_end);
        if (!lock.held())
            throw pg::Error(ERRCODE_OBJECT_IN_USE, "stream \"" + stream.name + "\" is running", "",
                            "Call sync_verify() again when the run has ended.");
        stream = load_stream(stream.name);  // as who was waited for has left it
        CallerTransactions transactions;
        SourceSession session;
        const std::int64_t run_id = Runs::insert(stream, "verify", "running", "call");
        Verification verification(stream, whole_slices(ledger, {from, to}), *depth, transactions);
        const auto found = verification.execute(session);
        transactions.run([&] { verification.record(run_id); });
        if (repairs) repair(stream, verification, session, transactions);
        RunCounts counts;
        counts.rows_read = verification.source_rows();
        Runs::finish(run_id, "succeeded", counts, nullptr, verification.message());
        for (const auto& slice : found) {
            if (slice.is_whole()) continue;
            result.add({bucket_text(verification, slice.bucket), state_of(slice), std::to_string(slice.measure.held),
                        std::to_string(slice.measure.source), std::to_string(slice.missing),
                        std::to_string(slice.extra), std::to_string(slice.changed), keys_text(slice)});
        }
        const std::string message = stream.name + ": " + verification.message();
        const char* text = message.c_str();
        pg::call([&] { ereport(NOTICE, (errmsg_internal("%s", text))); });
        return Datum(0);
    });
}
}
