// How a request fails: what the worker needs to decide between waiting, retrying and stopping.
//
// A Failure ends the request that raised it and nothing else; the connector stays ready for the next request.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "bgworker/protocol/failure_class.hpp"

namespace insync {

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
    bool no_permission = false;                 // the source's user lacks a right
    bool disconnected = false;                  // the connection is gone: open again before anything else
};

}  // namespace insync
