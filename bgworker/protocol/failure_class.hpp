// What a failure at a source is about: the words of an error frame, for both sides of the pipe.
#pragma once

#include <string_view>

namespace insync {

// transient: the same request may succeed later. rate_limited: the source asked for a pause. auth: credentials were
// refused. config: somebody has to change an option or the source. source: the source's data or state is the trouble.
enum class FailureClass { transient, rate_limited, auth, config, source };

// The word for `failure` in an error frame.
constexpr std::string_view name_of(FailureClass failure) {
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

// The class of that name; `source` for any other word.
constexpr FailureClass failure_class_of(std::string_view name) {
    for (FailureClass failure :
         {FailureClass::transient, FailureClass::rate_limited, FailureClass::auth, FailureClass::config}) {
        if (name == name_of(failure)) return failure;
    }
    return FailureClass::source;
}

}  // namespace insync
