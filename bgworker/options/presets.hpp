// What is known of the kinds of API that users name: the options that a preset fills. Pure.
#pragma once

#include <span>
#include <string_view>

namespace insync {

// One option of one preset; `value` is written as a user would write it.
struct PresetRow {
    std::string_view preset;
    std::string_view option;
    std::string_view value;
};

// Every row, grouped by preset. Sources: the vendors' documentation of their APIs.
std::span<const PresetRow> preset_rows();

}  // namespace insync
