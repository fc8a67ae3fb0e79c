// The connector as the worker sees it: a child process behind two pipes.
//
// Spawned with a clean environment and no descriptor but its three, in a process group of its own; it dies with its
// parent (it asks the kernel for that) and when the object ends. Credentials go down the pipe. What comes back is
// checked frame by frame: a length is looked at before memory is taken. Every wait is on the latch, so that cancel and
// shutdown get through.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "bgworker/pg/guard.hpp"
#include "bgworker/protocol/frame.hpp"
#include "bgworker/protocol/request.hpp"

namespace insync {

class ConnectorProcess {
  public:
    // Starts the program and checks its hello. `stall` is how long it may be silent inside a request; the pace of its
    // requests is `server`'s. Throws pg::Error where it can't be started or is of another build.
    ConnectorProcess(std::chrono::milliseconds stall, Oid server);
    ~ConnectorProcess();
    ConnectorProcess(const ConnectorProcess&) = delete;
    ConnectorProcess& operator=(const ConnectorProcess&) = delete;

    // Sends a request. Its answer is read with next_frame until `done` or `error`.
    void request(const Request& request);

    // What messages call the source: "server "shop" (host db.example)".
    void name_source(std::string place) { source_ = std::move(place); }
    // The text of a message with the source's name in it.
    std::string named(std::string text) const;

    // A deadline for what follows, beside that of silence: the connection to the source stands `limit` from now, or the
    // connector is killed and a pg::Error says that the source gave no answer. Until no_limit().
    void limit(std::chrono::milliseconds limit);
    void no_limit() { limited_.reset(); }

    // Called about every second while the connector is silent, with how long it has been; may throw, after which the
    // connector is to be killed.
    using Silence = std::function<void(std::chrono::milliseconds)>;
    void while_silent(Silence action) { while_silent_ = std::move(action); }

    // Waits for the next frame. An error frame becomes a pg::Error with its class; so do the child's death, silence and
    // what the protocol doesn't allow, after which the connector is gone (alive() is false). Log frames are reported
    // here, and questions for a permit answered, and never returned.
    Frame next_frame();

    // Sends a request and returns the `result` objects that come before `done`, and `done` itself as the last.
    std::vector<nlohmann::json> call(const Request& request);

    bool alive() const { return pid_ > 0; }
    int pid() const { return pid_; }
    // Kills the child and what it started: always safe, whatever it was doing.
    void kill() noexcept;

  private:
    // Runs `body`; what it throws about a malformed answer becomes a pg::Error, and the connector is gone.
    template <typename Body>
    auto checked(Body&& body) {
        try {
            return body();
        } catch (const pg::Error&) {
            throw;
        } catch (const std::bad_alloc&) {
            throw;
        } catch (const std::exception& error) {
            broken(error.what());
        }
    }
    Frame read_frame();
    void report(const LogEntry& entry);
    void answer(const PermitRequest& request);
    void spawn();
    void start_program();
    void write_all(std::string_view bytes);
    bool fill();  // reads what there is; false at the end of the stream
    void wait_for(int descriptor, unsigned events, std::chrono::steady_clock::time_point deadline);
    bool has_ended(std::string* how) const;
    std::string last_words();
    [[noreturn]] void timed_out();
    [[noreturn]] void lost();
    [[noreturn]] void broken(const std::string& why);

    int pid_ = 0;
    int to_child_ = -1, from_child_ = -1;
    int words_ = -1;                    // what it prints to its standard error
    std::vector<std::string> secrets_;  // that it was told
    FrameReader frames_;
    std::chrono::milliseconds stall_;
    Oid server_;
    struct Limit {
        std::chrono::steady_clock::time_point until;
        std::chrono::milliseconds length;
    };
    std::string source_ = "the source";
    std::optional<Limit> limited_;
    Silence while_silent_;
    std::chrono::steady_clock::time_point heard_;  // when it last sent anything, or was last asked
};

// Makes an Error of an error frame's payload.
pg::Error error_from_frame(const nlohmann::json& payload);

}  // namespace insync
