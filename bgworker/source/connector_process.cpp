// Spawns, talks to and kills the connector; see connector_process.hpp.
#include "bgworker/source/connector_process.hpp"

extern "C" {
#include "pgstat.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/wait_event.h"
}

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bgworker/shmem/shared_state.hpp"
#include "bgworker/source/child_processes.hpp"
#include "build_id.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/pg/settings.hpp"
#include "bgworker/pg/wait_event.hpp"

namespace insync {

namespace {

using Clock = std::chrono::steady_clock;

// Room for about one batch between the two processes; Linux lets anybody have this much.
constexpr int pipe_bytes = 1 << 20;
constexpr std::size_t read_bytes = 256 * 1024;
// How often a child that is silent is looked after.
constexpr long look_after_ms = 1000;
// Of what a dying connector printed, this much is shown.
constexpr std::size_t longest_words = 500;
// What is read of it at once: more than the pipe holds at any time.
constexpr std::size_t most_words = 1 << 20;

// The child gets these variables of ours, if set, and no other.
constexpr const char* passed_variables[] = {"PATH",         "HOME",          "ODBCSYSINI",  "ODBCINI",
                                            "ODBCINSTINI",  "FREETDS",       "FREETDSCONF", "LD_LIBRARY_PATH",
                                            "ASAN_OPTIONS", "UBSAN_OPTIONS", "TNS_ADMIN",   "ORACLE_HOME",
                                            "NLS_LANG"};

[[noreturn]] void throw_errno(const char* what, int code) {
    throw pg::Error(ERRCODE_SYSTEM_ERROR, std::string(what) + ": " + strerror(code));
}

// Of the pipes' ends that stay open here. PostgreSQL, which closes files of its own to open others, has to know them.
constexpr int kept_descriptors = 3;

void release_descriptors(int count = kept_descriptors) noexcept {
    for (int i = 0; i < count; i++) ReleaseExternalFD();
}

void acquire_descriptors() {
    for (int i = 0; i < kept_descriptors; i++) {
        if (pg::call([] { return AcquireExternalFD(); })) continue;
        release_descriptors(i);
        throw pg::Error(ERRCODE_INSUFFICIENT_RESOURCES, "too many files are open to start a connector", "",
                        "Raise max_files_per_process.");
    }
}

}  // namespace

pg::Error error_from_frame(const nlohmann::json& payload) {
    SourceFailure failure = read_failure(payload);
    pg::Error error(ERRCODE_FDW_ERROR, failure.message, failure.detail, failure.hint);
    switch (failure.kind) {
        case FailureClass::transient:
            error.error_class = pg::ErrorClass::transient;
            error.sqlstate = ERRCODE_CONNECTION_FAILURE;
            break;
        case FailureClass::rate_limited:
            error.error_class = pg::ErrorClass::rate_limited;
            break;
        case FailureClass::auth:
            error.error_class = pg::ErrorClass::auth;
            error.sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
            break;
        case FailureClass::config:
            error.error_class = pg::ErrorClass::config;
            break;
        case FailureClass::source:
            error.error_class = pg::ErrorClass::source;
            break;
    }
    if (failure.retry_after) error.retry_after_ms = static_cast<long>(failure.retry_after->count());
    return error;
}

ConnectorProcess::ConnectorProcess(std::chrono::milliseconds stall, Oid server)
    : stall_(stall), server_(server), heard_(Clock::now()) {
    spawn();
    try {
        Frame hello = next_frame();
        if (hello.type != wire::FrameType::hello) broken("it did not say hello");
        auto payload = checked([&] { return hello.json(); });
        auto build = payload.find("build");
        if (build == payload.end() || *build != INSYNC_BUILD_ID) {
            throw pg::Error(
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "pg_insync_connector is of another build than the library",
                "Library " INSYNC_BUILD_ID ", connector " +
                    (build != payload.end() && build->is_string() ? build->get<std::string>() : "unknown") + ".",
                "Install both from the same build; setting insync.connector names the program.");
        }
    } catch (...) {
        kill();
        throw;
    }
}

ConnectorProcess::~ConnectorProcess() {
    kill();
}

void ConnectorProcess::spawn() {
    acquire_descriptors();
    try {
        start_program();
    } catch (...) {
        release_descriptors();
        throw;
    }
}

void ConnectorProcess::start_program() {
    children::prepare();
    std::string program = settings::connector_path();
    int request[2], reply[2], words[2];
    if (pipe2(request, O_CLOEXEC) != 0) throw_errno("could not create a pipe", errno);
    if (pipe2(reply, O_CLOEXEC) != 0) {
        int code = errno;
        close(request[0]), close(request[1]);
        throw_errno("could not create a pipe", code);
    }
    // What drivers print is theirs and may hold anything, so it doesn't go to the server's log. Nobody waits for a
    // full pipe: what doesn't fit is lost.
    if (pipe2(words, O_CLOEXEC | O_NONBLOCK) != 0) {
        int code = errno;
        close(request[0]), close(request[1]), close(reply[0]), close(reply[1]);
        throw_errno("could not create a pipe", code);
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, request[0], 0);
    posix_spawn_file_actions_adddup2(&actions, reply[1], 1);
    posix_spawn_file_actions_adddup2(&actions, words[1], 2);
    // PostgreSQL leaves data files open in a child; nothing but the three is the connector's business.
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    // A group of its own: a Ctrl-C at the terminal is the server's to answer, and what a driver starts ends with it.
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

    std::vector<std::string> environment{"LC_ALL=C.UTF-8", "LANG=C.UTF-8", "TZ=UTC", "NLS_LANG=.AL32UTF8"};
    for (const char* name : passed_variables) {
        if (const char* value = getenv(name)) environment.push_back(std::string(name) + "=" + value);
    }
    std::vector<char*> pointers;
    for (auto& item : environment) pointers.push_back(item.data());
    pointers.push_back(nullptr);
    char name[] = "pg_insync_connector";
    char* arguments[] = {name, nullptr};

    pid_t pid = 0;
    int code = posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments, pointers.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(request[0]), close(reply[1]), close(words[1]);
    if (code != 0) {
        close(request[1]), close(reply[0]), close(words[0]);
        throw pg::Error(ERRCODE_SYSTEM_ERROR, "could not start \"" + program + "\": " + strerror(code), "",
                        "Setting insync.connector names the program.");
    }
    pid_ = pid;
    to_child_ = request[1];
    from_child_ = reply[0];
    words_ = words[0];
    children::remember(pid);
    fcntl(to_child_, F_SETFL, O_NONBLOCK);
    fcntl(from_child_, F_SETFL, O_NONBLOCK);
    (void)fcntl(from_child_, F_SETPIPE_SZ, pipe_bytes);  // more is only faster
    if (std::int64_t limit = settings::connector_memory_bytes(); limit > 0) {
        rlimit memory{static_cast<rlim_t>(limit), static_cast<rlim_t>(limit)};
        (void)prlimit(pid, RLIMIT_AS, &memory, nullptr);
    }
    // A core would hold the credentials. One byte is too little for a file, and the one size that keeps Linux from
    // handing it to a program all the same.
    rlimit no_core{1, 1};
    (void)prlimit(pid, RLIMIT_CORE, &no_core, nullptr);
}

void ConnectorProcess::kill() noexcept {
    if (pid_ <= 0) return;
    children::end(pid_);
    close(to_child_), close(from_child_), close(words_);
    pid_ = 0;
    to_child_ = from_child_ = words_ = -1;
    release_descriptors();
}

bool ConnectorProcess::has_ended(std::string* how) const {
    siginfo_t info{};
    // Left unreaped, so that its process group can still be named.
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != pid_) {
        return false;
    }
    if (how != nullptr && info.si_code == CLD_EXITED) *how = "exit status " + std::to_string(info.si_status);
    if (how != nullptr && info.si_code != CLD_EXITED) {
        *how = "signal " + std::to_string(info.si_status) + ": " + strsignal(info.si_status);
    }
    return true;
}

// The end of what was printed since the last request, in letters that any error message may hold.
std::string ConnectorProcess::last_words() {
    std::string text;
    char buffer[4096];
    // All that the pipe holds, before anything is cut: half a secret would not be found.
    for (ssize_t got; text.size() < most_words && (got = ::read(words_, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    for (const std::string& secret : secrets_) {
        for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos; at += 3)
            text.replace(at, secret.size(), "***");
    }
    for (char& c : text) {
        if (c == '\n' || c == '\t') c = ' ';
        if (c < ' ' || c > '~') c = '?';
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text.size() > longest_words ? "..." + text.substr(text.size() - longest_words) : text;
}

void ConnectorProcess::lost() {
    std::string how = "closed its end of the pipe";
    // It is ending, most likely: give it a moment to say how before it is killed.
    for (int i = 0; i < 500 && !has_ended(&how); i++) {
        pg::call([] {
            (void)WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 2, pg::wait_event(pg::Wait::connector_end));
            CHECK_FOR_INTERRUPTS();
        });
    }
    std::string words = last_words();
    kill();
    pg::Error error(ERRCODE_CONNECTION_FAILURE, "connector exited unexpectedly (" + how + ")",
                    words.empty() ? "" : "Its last output: " + words,
                    "The ODBC driver may have crashed or run out of memory; see the setting insync.connector_memory.");
    error.error_class = pg::ErrorClass::transient;
    throw error;
}

void ConnectorProcess::broken(const std::string& why) {
    kill();
    pg::Error error(ERRCODE_PROTOCOL_VIOLATION, "the connector does not follow the protocol: " + why);
    error.error_class = pg::ErrorClass::source;
    throw error;
}

void ConnectorProcess::limit(std::chrono::milliseconds limit) {
    limited_ = {Clock::now() + limit, limit};
}

std::string ConnectorProcess::named(std::string text) const {
    // The connector's own words of connections that fail.
    for (const std::string phrase : {"connect to the source", "connection to the source"}) {
        if (const std::size_t at = text.find(phrase); at != std::string::npos)
            return text.replace(at + phrase.size() - std::strlen("the source"), std::strlen("the source"), source_);
    }
    return text;
}

void ConnectorProcess::timed_out() {
    kill();
    const bool connecting = limited_ && limited_->until <= Clock::now();
    pg::Error error =
        connecting
            ? pg::Error(ERRCODE_CONNECTION_FAILURE,
                        source_ + " gave no answer within " + rounded_duration(limited_->length),
                        "The connection was not established, and the attempt was ended.",
                        "Check that the server runs and can be reached; option connect_timeout says how long to wait.")
            : pg::Error(ERRCODE_CONNECTION_FAILURE,
                        "the connector was silent for " + rounded_duration(stall_) + " and was killed", "",
                        "The source or its driver hangs; option query_timeout says how long a request may take.");
    error.error_class = pg::ErrorClass::transient;
    throw error;
}

void ConnectorProcess::wait_for(int descriptor, unsigned events, Clock::time_point deadline) {
    if (limited_) deadline = std::min(deadline, limited_->until);
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) timed_out();
    // A process that its driver started can hold the pipe open when the connector itself has gone. Asked first: what it
    // wrote before is in the pipe then.
    bool ended = has_ended(nullptr);
    long timeout = ended ? 0 : std::min<long>(left, look_after_ms);
    int happened = pg::call([&] {
        int result =
            WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | static_cast<int>(events),
                              descriptor, timeout, pg::wait_event(pg::Wait::source));
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        return result;
    });
    if (ended && (happened & WL_TIMEOUT) != 0) lost();
    if (while_silent_ && (happened & WL_TIMEOUT) != 0)
        while_silent_(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - heard_));
}

void ConnectorProcess::write_all(std::string_view bytes) {
    auto deadline = Clock::now() + stall_;
    while (!bytes.empty()) {
        ssize_t written = ::write(to_child_, bytes.data(), bytes.size());
        if (written > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) {
            wait_for(to_child_, WL_SOCKET_WRITEABLE, deadline);
        } else if (errno != EINTR) {
            lost();  // EPIPE: PostgreSQL ignores SIGPIPE in every process
        }
    }
}

void ConnectorProcess::request(const Request& request) {
    (void)last_words();  // of the request before
    heard_ = Clock::now();
    const auto* check = std::get_if<CheckRequest>(&request);
    if (const auto* open = check != nullptr ? &check->open : std::get_if<OpenRequest>(&request)) {
        secrets_.clear();
        for (const auto& [name, value] : open->credentials.items()) {
            if (name == "user" || !value.is_string() || value.get<std::string>().empty()) continue;
            secrets_.push_back(value);
            // As it stands in a connection string.
            std::string doubled;
            for (char c : secrets_.back()) doubled += c == '}' ? std::string("}}") : std::string(1, c);
            if (doubled != secrets_.back()) secrets_.insert(secrets_.end() - 1, doubled);
        }
    }
    // A name or a value that isn't UTF-8 becomes U+FFFD rather than an exception that says nothing.
    write_all(to_json(request).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

bool ConnectorProcess::fill() {
    ssize_t got = ::read(from_child_, frames_.reserve(read_bytes), read_bytes);
    if (got > 0) {
        frames_.commit(static_cast<std::size_t>(got));
        heard_ = Clock::now();
    }
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

Frame ConnectorProcess::next_frame() {
    return checked([&] { return read_frame(); });
}

Frame ConnectorProcess::read_frame() {
    for (;;) {
        auto deadline = Clock::now() + stall_;
        std::optional<Frame> frame;
        while (!(frame = frames_.next(settings::frame_limit_bytes()))) {
            std::size_t before = frames_.pending();
            if (!fill()) lost();
            if (frames_.pending() == before) wait_for(from_child_, WL_SOCKET_READABLE, deadline);
        }
        if (frame->type == wire::FrameType::error) {
            pg::Error error = error_from_frame(frame->json());
            error.message = named(error.message);
            throw error;
        }
        if (frame->type == wire::FrameType::log) {
            report(read_log_entry(frame->json()));
        } else if (frame->type == wire::FrameType::permit) {
            answer(read_permit(frame->json()));
        } else {
            return std::move(*frame);
        }
    }
}

void ConnectorProcess::report(const LogEntry& entry) {
    const char* text = entry.message.c_str();
    int level = entry.level == LogEntry::Level::warning  ? WARNING
                : entry.level == LogEntry::Level::notice ? NOTICE
                                                         : DEBUG1;
    pg::call([&] { ereport(level, (errmsg_internal("%s", text))); });
}

void ConnectorProcess::answer(const PermitRequest& request) {
    auto wait = shared::next_slot(server_, request.interval, request.hold);
    write_all(nlohmann::json{{"wait_ms", wait.count()}}.dump() + "\n");
}

std::vector<nlohmann::json> ConnectorProcess::call(const Request& body) {
    request(body);
    std::vector<nlohmann::json> results;
    for (;;) {
        Frame frame = next_frame();
        if (frame.type == wire::FrameType::result || frame.type == wire::FrameType::done)
            results.push_back(checked([&] { return frame.json(); }));
        if (frame.type == wire::FrameType::done) return results;
    }
}

}  // namespace insync
