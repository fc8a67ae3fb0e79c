// Which version of a row is the newest, where a source gives several of one key in any order.
//
// Who applies rows lets the last one of a key win. So that this is the newest, whatever the source's order, those that
// are older than one that was sent before are left out: then the rows of each key ascend by (watermark, arrival). What
// the target holds has no say, so that a source that was restored from a backup is followed.
#pragma once

#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bgworker/clock/watermark_literal.hpp"
#include "bgworker/connector/output/spill_memory.hpp"

namespace insync::rest {

// Keys and watermarks of the rows of a read, about 200 bytes each: in memory up to a limit, then in a temporary file.
class Versions {
  public:
    explicit Versions(std::size_t in_memory_bytes = 64u << 20) : in_memory_bytes_(in_memory_bytes) { clear(); }

    // True if no newer row with this key was admitted before; notes its watermark then. What isn't of the watermark's
    // kind can't be compared: it is admitted, and says nothing of other rows.
    bool admit(std::string_view key, WatermarkKind kind, std::string_view watermark);

    // For rows behind which no older ones come.
    void clear();

    std::size_t file_bytes() const { return known_->memory.file_bytes(); }

  private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    struct Known {
        explicit Known(std::size_t in_memory_bytes) : memory(in_memory_bytes) {}
        SpillMemory memory;
        std::pmr::monotonic_buffer_resource pieces{64u << 10, &memory};
        std::pmr::unordered_map<std::pmr::string, std::pmr::string, Hash, std::equal_to<>> watermarks{&pieces};
    };
    std::size_t in_memory_bytes_;
    std::optional<Known> known_;
};

}  // namespace insync::rest
