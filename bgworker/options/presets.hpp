// What is known of the kinds of API that users name: the options that a preset fills. Pure.
#pragma once

#include <span>
#include <string_view>

#include "bgworker/options/stream_options.hpp"
#include "bgworker/options/table.hpp"

namespace insync {

// One option of one preset; `value` is written as a user would write it.
struct PresetRow {
    std::string_view preset;
    std::string_view option;
    std::string_view value;
};

// Every row, grouped by preset. Sources: the vendors' documentation of their APIs.
std::span<const PresetRow> preset_rows();

// What the templates of a REST source's requests can ask for.
struct Askable {
    bool slices = false;  // the rows of a window of time
    bool since = false;   // what changed since a time
};
// Of a stream's source with the options of its server, its preset's included. The stream's own options come first.
Askable askable(OptionMap server, const StreamOptions& stream, std::string_view source);

}  // namespace insync
