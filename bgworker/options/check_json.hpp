// The checks of values that are JSON; see table.hpp.
#pragma once

#include <string>
#include <string_view>

#include "bgworker/options/table.hpp"

namespace insync {

// Detail and hint; both empty if the value is right.
struct ValueProblem {
    std::string detail;
    std::string hint;

    bool found() const { return !detail.empty() || !hint.empty(); }
};

// An object of SQL expressions by column.
ValueProblem check_json_object(std::string_view value);
// An object of texts and numbers by name.
ValueProblem check_text_map(std::string_view value);
// What answers of a status mean, by status or class.
ValueProblem check_statuses(std::string_view value);
// The options of a second resource: what a stream can say of its own, and which resource it is; or those of key_scan.
ValueProblem check_json_options(const Option& option, std::string_view value);

}  // namespace insync
