// Opens sources; see session.hpp.
#include "bgworker/source/session.hpp"

extern "C" {
#include "utils/timestamp.h"
}

#include "bgworker/pg/settings.hpp"

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
    OpenRequest request = server.open_request();
    if (connector_ && connector_->alive() && request == opened_) return *connector_;
    connector_.reset();
    opened_.reset();
    const std::uint64_t definition = server.definition();
    if (auto breaker = shared::open_breaker(server.oid, definition); breaker && asked_at < breaker->last_attempt)
        throw no_answer(breaker->message, "Another stream of the server got this error while this one waited.");
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

void SourceSession::connect(const Server& server, const OpenRequest& request) {
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
        (void)other.call(server.open_request());
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
    if (stream.options.query_timeout.is_given)
        server.options.set(&ServerOptions::query_timeout, stream.options.query_timeout.text);
    return server;
}

}  // namespace insync
