// Whether rows can be missing between pages that don't show that each continues the one before.
//
// Rows that come or go while pages are read move others past the reader. Only a total that the source sends with every
// page, that stays the same, and that is the number of different rows read, says that none is missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace insync::rest {

class GapWatch {
  public:
    // A page was read: the total that it states, and hashes of its rows' keys.
    void note_page(std::optional<std::int64_t> total, const std::vector<std::size_t>& key_hashes);
    // Also true where there are more rows than are counted (4 million).
    bool may_have_gaps() const;

  private:
    bool has_begun_ = false, total_stands_ = true;
    std::optional<std::int64_t> total_;  // of the first page
    std::vector<std::size_t> hashes_;
};

}  // namespace insync::rest
