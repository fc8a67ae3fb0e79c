// Opens sources and runs streams on them; see source_session.hpp.
#include "bgworker/source_session.hpp"

extern "C" {
#include "utils/timestamp.h"
}

#include "bgworker/bookkeeping.hpp"
#include "bgworker/run.hpp"
#include "extension/define.hpp"
#include "extension/settings.hpp"

namespace insync {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A source that is silent for so long in a statement is asked by another connection whether it is there at all.
constexpr milliseconds first_look = seconds(20), next_look = seconds(60);

// Marks the worker as one that waits for its connection.
class Connecting {
  public:
    explicit Connecting(const std::optional<Place>& place) : place_(place) {
        if (place_) shared::begin_connecting(place_->agenda, place_->number);
    }
    ~Connecting() {
        if (place_) shared::end_connecting(place_->agenda, place_->number);
    }
    Connecting(const Connecting&) = delete;
    Connecting& operator=(const Connecting&) = delete;

  private:
    std::optional<Place> place_;
};

pg::Error no_answer(const std::string& message, const std::string& detail, const std::string& hint = {}) {
    pg::Error error(ERRCODE_CONNECTION_FAILURE, message, detail, hint);
    error.error_class = pg::ErrorClass::transient;
    return error;
}

// A login without a user mapping fails with the driver's words about a user without a name.
void explain_login_failure(pg::Error& error, const Server& server) {
    if (error.error_class != pg::ErrorClass::auth || server.has_mapping) return;
    const Oid role_oid = server.role;
    const char* role = pg::call([&] { return GetUserNameFromId(role_oid, true); });
    const std::string name = role != nullptr ? pg::quote_identifier(role) : "...";
    error.detail = "The source said: " + error.message;
    error.message = "no user mapping for role " + name + " on " + server.place();
    error.hint = "CREATE USER MAPPING FOR " + name + " SERVER " + pg::quote_identifier(server.name) +
                 " OPTIONS (user '...', password '...');";
}

}  // namespace

ConnectorProcess& SourceSession::open(const Server& server, TimestampTz asked_at) {
    auto request = server.open_request("open");
    if (connector_ && connector_->alive() && request == opened_) return *connector_;
    connector_.reset();
    opened_ = nullptr;
    const std::uint64_t definition = server.definition();
    if (auto breaker = shared::open_breaker(server.oid, definition); breaker && asked_at < breaker->last_attempt)
        throw no_answer(breaker->message, "Another stream of the server was told so while this one waited.");
    try {
        connect(server, request);
    } catch (pg::Error& error) {
        connector_.reset();
        explain_login_failure(error, server);
        if (error.error_class == pg::ErrorClass::transient) {
            shared::server_failed(server.oid, definition, error.message);
        } else if (error.error_class == pg::ErrorClass::auth) {
            (void)shared::server_answered(server.oid);
        }
        throw;
    }
    (void)shared::server_answered(server.oid);
    opened_ = std::move(request);
    return *connector_;
}

void SourceSession::connect(const Server& server, const nlohmann::json& request) {
    const Connecting connecting(place_);
    connector_ = std::make_unique<ConnectorProcess>(server.stall(), server.oid);
    connector_->name_source(server.place());
    connector_->limit(server.connect_limit());
    connector_->while_silent([&](milliseconds silent) {
        if (!place_ || !shared::must_give_up(place_->agenda, place_->number, settings::max_workers())) return;
        throw no_answer(server.place() + " gave no answer within " + rounded_duration(silent),
                        "The attempt was ended early, as half of the workers wait for sources and other servers wait "
                        "for a worker.");
    });
    answer_ = connector_->call(request).back();
    connector_->no_limit();
    looked_after_ = milliseconds(0);
    connector_->while_silent([this, server](milliseconds silent) { look_after(server, silent); });
}

// A statement may take long, and its time-out is long; a source that hangs is told from it by a second connection.
// Requests of APIs have short time-outs of their own.
void SourceSession::look_after(const Server& server, milliseconds silent) {
    if (silent < looked_after_) looked_after_ = milliseconds(0);
    if (server.kind == Kind::rest || silent < (looked_after_.count() == 0 ? first_look : looked_after_ + next_look))
        return;
    looked_after_ = silent;
    const auto began = std::chrono::steady_clock::now();
    try {
        ConnectorProcess other(server.stall(), server.oid);
        other.name_source(server.place());
        other.limit(server.connect_limit());
        (void)other.call(server.open_request("open"));
    } catch (const pg::Error& error) {
        if (error.is_interrupt()) throw;
        // Refused at once, as there are too many connections perhaps: that tells nothing of the statement.
        const auto waited = std::chrono::steady_clock::now() - began;
        if (error.error_class != pg::ErrorClass::transient || waited + seconds(3) < server.connect_limit()) return;
        connector_->kill();
        shared::server_failed(server.oid, server.definition(), error.message);
        throw no_answer(server.place() + " stopped answering",
                        "It was silent for " + rounded_duration(silent) +
                            " in a statement, and a new connection failed: " + error.message + ".");
    }
}

ConnectorProcess& SourceSession::open(const Stream& stream, Transactions& transactions, TimestampTz asked_at) {
    Server server;
    transactions.run([&] { server = server_of(stream); });
    return open(server, asked_at);
}

Server server_of(const Stream& stream) {
    Server server = load_server(stream.server, stream.owner_oid);
    if (stream.has_option("query_timeout")) server.options["query_timeout"] = stream.option("query_timeout");
    return server;
}

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
        return TimestampTz{std::stoll(*rows.first()[0]) - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY};
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
