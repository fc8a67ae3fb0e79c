// How a row of the target differs from its source.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace insync {

struct Difference {
    enum class Kind {
        missing,  // the target hasn't got it
        extra,    // the source has it no more
        changed,  // the target has other values
    };
    Kind kind;
    std::int64_t bucket;  // as SliceChanges has it; 0 where rows aren't counted into slices
    std::string key;      // the target's, as JSON
};

const char* name_of(Difference::Kind kind);

}  // namespace insync
