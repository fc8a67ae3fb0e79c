// How a request fails: what the worker needs to decide between waiting, retrying and stopping.
//
// A Failure ends the request that raised it and nothing else; the connector stays ready for the next request.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace insync {

// transient: the same request may succeed later. rate_limited: the source asked for a pause. auth: credentials were
// refused. config: somebody has to change an option or the source. source: the source's data or state is the trouble.
enum class FailureClass { transient, rate_limited, auth, config, source };

// The word for `failure` in an error frame.
inline const char* name_of(FailureClass failure) {
    switch (failure) {
        case FailureClass::transient:
            return "transient";
        case FailureClass::rate_limited:
            return "rate_limited";
        case FailureClass::auth:
            return "auth";
        case FailureClass::config:
            return "config";
        case FailureClass::source:
            break;
    }
    return "source";
}

// Texts follow PostgreSQL's style: the message is lower case without a period, detail and hint are sentences. None of
// them holds a password or a whole connection string.
struct Failure : std::exception {
    Failure(FailureClass kind_, std::string message_, std::string detail_ = "", std::string hint_ = "")
        : kind(kind_), message(std::move(message_)), detail(std::move(detail_)), hint(std::move(hint_)) {}

    const char* what() const noexcept override { return message.c_str(); }

    FailureClass kind;
    std::string message;
    std::string detail;
    std::string hint;
    std::string sqlstate;                       // the driver's state, empty where it wasn't a driver that failed
    std::optional<double> retry_after_seconds;  // set by sources that say how long to wait
    bool disconnected = false;                  // the connection is gone: open again before anything else
};

}  // namespace insync
