// The wall between C++ and PostgreSQL.
//
// PostgreSQL raises errors with longjmp, which would skip destructors; C++ throws, which may not cross C frames. So
// every call that can ereport is made through pg::call, which turns an ERROR into a pg::Error, and every function that
// PostgreSQL calls enters through pg::entry, which turns an exception back into an ERROR after the handler was left
// (ereport inside a catch block leaks the exception object: longjmp never ends it).
//
//   int64 rows = pg::call([&] { return SPI_execute_snapshot(...) ; });       // plain data out, nothing with a
//   destructor in extern "C" Datum sync_x(PG_FUNCTION_ARGS) { return pg::entry([&] { ... return Datum; }); }
#pragma once

// Before postgres.h, whose macros (snprintf and its kin) would break it.
#include <nlohmann/json.hpp>

extern "C" {
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
}

#include <exception>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "bgworker/pg/planner.hpp"
#include "bgworker/pg/try.h"

namespace insync::pg {

// What a failure is about, as far as a run must know it to decide between retry, reject and giving up.
enum class ErrorClass { database, transient, rate_limited, auth, config, source };

// A PostgreSQL error as a C++ value, or one of our own on its way to become one.
struct Error : std::exception {
    Error(int code, std::string text, std::string detail_text = {}, std::string hint_text = {})
        : sqlstate(code), message(std::move(text)), detail(std::move(detail_text)), hint(std::move(hint_text)) {}

    // Takes over what insync_try returned, and frees it.
    static Error take(ErrorData* data);

    const char* what() const noexcept override { return message.c_str(); }

    // The five characters of the SQLSTATE.
    std::string state() const;
    // In place of what PostgreSQL said of where it happened.
    void set_context(std::string text) { context = std::move(text), context_is_whole = false; }
    // Query cancel or shutdown: never to be swallowed or counted as a row's fault.
    bool is_interrupt() const;
    // The data of some row is at fault: class 22 or 23, a trigger's RAISE, a value too large for an index, a lookup
    // that found several rows.
    bool is_data_fault() const;
    // Nothing but a change of definition or rights can help: the same run will fail again.
    bool is_permanent() const;
    // Class 40, 53, 55 or 57P: the same batch may work a moment later.
    bool is_transient() const;

    int sqlstate;
    std::string message, detail, hint;
    std::string context;            // see set_context()
    bool context_is_whole = false;  // PostgreSQL made it: nothing is to be added when the error is raised again
    std::string schema, table, column, datatype, constraint;
    std::string query;  // the inner statement that the position is in
    int position = 0;   // characters from 1; 0: none
    ErrorClass error_class = ErrorClass::database;
    bool recorded = false;     // the run that it failed has it in its books
    long retry_after_ms = -1;  // what the source asked for; -1: nothing
};

namespace detail {
// An Error flattened into palloc'd strings, so that it survives leaving the handler without a destructor.
struct PlainError {
    int sqlstate;
    const char *message, *detail, *hint, *context, *schema, *table, *column, *datatype, *constraint, *query;
    int position;
    bool context_is_whole;
};
PlainError flatten(const Error& error) noexcept;
PlainError flatten_current() noexcept;  // of the exception being handled
[[noreturn]] void raise(const PlainError& plain);
}  // namespace detail

// Runs `body`, which calls PostgreSQL, and returns its result. Throws Error for an ERROR. The body must not throw, must
// hold nothing with a destructor, and returns plain data.
template <typename Body>
auto call(Body&& body) -> decltype(body()) {
    using Result = decltype(body());
    if constexpr (std::is_void_v<Result>) {
        ErrorData* error = insync_try(
            [](void* argument) noexcept { (*static_cast<std::remove_reference_t<Body>*>(argument))(); }, &body);
        if (error != nullptr) throw Error::take(error);
    } else {
        static_assert(std::is_trivially_copyable_v<Result>, "longjmp would skip a destructor: return plain data");
        struct Frame {
            std::remove_reference_t<Body>* body;
            Result result;
        } frame{&body, Result{}};
        ErrorData* error = insync_try(
            [](void* argument) noexcept {
                auto* f = static_cast<Frame*>(argument);
                f->result = (*f->body)();
            },
            &frame);
        if (error != nullptr) throw Error::take(error);
        return frame.result;
    }
}

// Runs C++ code that PostgreSQL called; an exception leaves it as an ereport(ERROR) after all destructors ran.
template <typename Body>
auto entry(Body&& body) -> decltype(body()) {
    detail::PlainError plain;
    try {
        return body();
    } catch (...) {
        plain = detail::flatten_current();
    }
    detail::raise(plain);
}

// A subtransaction that rolls back unless committed: the one place besides a worker's top loop where an Error may stop.
// Nothing commits in its destructor; a rollback that fails there is FATAL.
class Subtransaction {
  public:
    Subtransaction();
    ~Subtransaction();
    Subtransaction(const Subtransaction&) = delete;
    Subtransaction& operator=(const Subtransaction&) = delete;
    void commit();
    void rollback();

  private:
    void leave() noexcept;
    MemoryContext context_;
    ResourceOwner owner_;
    bool open_ = true;
};

// The work of a scope is done as `role`, security-restricted as in SECURITY DEFINER functions and index expressions:
// no temporary objects, no deferred work that would run as somebody else. An abort restores the identity as well.
class RunAs {
  public:
    explicit RunAs(Oid role, bool restricted = true) noexcept;
    ~RunAs();
    RunAs(const RunAs&) = delete;
    RunAs& operator=(const RunAs&) = delete;

  private:
    Oid saved_role_;
    int saved_context_;
};

// Pins, for a scope inside one transaction, the settings that could change what a statement means (search_path,
// formats, time zone), and restores them. `plans`: how own statements of the scope are planned.
class PinnedSettings {
  public:
    explicit PinnedSettings(Plans plans = Plans::any);
    ~PinnedSettings();
    PinnedSettings(const PinnedSettings&) = delete;
    PinnedSettings& operator=(const PinnedSettings&) = delete;

  private:
    PlanChoice plans_;
    int nest_level_;
    int exceptions_;
};

// The names of all that is pinned.
std::vector<const char*> pinned_settings();

// Checks for cancel and shutdown; throws Error.
void check_interrupts();

}  // namespace insync::pg
