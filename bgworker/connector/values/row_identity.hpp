// What tells the rows of a source without a key apart: a hash of all that a row holds, and which of the equal ones it
// is.
//
// Both are sent as columns at the end of each row. Two rows of one hash are numbered as they come, so none is taken for
// another even if what they hold differs.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bgworker/connector/output/frame_writer.hpp"
#include "bgworker/connector/output/spill_memory.hpp"
#include "bgworker/connector/values/column.hpp"

namespace insync {

class RowIdentity {
  public:
    // The names of both columns. Counts take 32 bytes a row that differs from all others; beyond the limit they lie in
    // an unnamed temporary file.
    explicit RowIdentity(const std::vector<std::string>& names, std::size_t in_memory_bytes = 64u << 20);

    const std::vector<Column>& columns() const { return columns_; }

    // A row: its values, one by one, then what it is.
    void begin() { hash_ = offset_basis; }
    void add_null() { add_byte(0); }
    void add_fault() { add_byte(2); }
    void add(std::string_view value);
    // Counts the row.
    void end() { copy_ = ++counts_[hash_]; }

    // Of the row that was counted last.
    std::string hash_text() const;
    std::int32_t copy() const { return copy_; }
    // Appends both fields to the row under construction.
    void append_to(FrameWriter& out) const;

  private:
    using Hash128 = unsigned __int128;
    struct Folded {
        std::size_t operator()(Hash128 hash) const { return static_cast<std::size_t>(hash ^ (hash >> 64)); }
    };

    // FNV-1a of 128 bits: draft-eastlake-fnv, "FNV Constants".
    static constexpr Hash128 offset_basis = (Hash128(0x6c62272e07bb0142) << 64) | 0x62b821756295c58d;
    static constexpr Hash128 prime = (Hash128(1) << 88) | 0x13b;

    void add_byte(unsigned char byte) { hash_ = (hash_ ^ byte) * prime; }
    std::string hash_bytes() const;

    std::vector<Column> columns_;
    SpillMemory memory_;
    std::pmr::monotonic_buffer_resource pieces_{64u << 10, &memory_};
    std::pmr::unordered_map<Hash128, std::int32_t, Folded> counts_{&pieces_};
    Hash128 hash_ = offset_basis;
    std::int32_t copy_ = 0;
};

}  // namespace insync
