// How many rows a run may delete: option max_deletes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/pg/spi.hpp"
#include "bgworker/protocol/batch.hpp"
#include "bgworker/target/statement.hpp"

namespace insync {

// More rows would vanish than option max_deletes allows; nothing was deleted.
struct DeletesRefused : pg::Error {
    DeletesRefused(pg::Error error, std::int64_t rows) : pg::Error(std::move(error)), vanished(rows) {}
    std::int64_t vanished;
};

class DeleteGuard {
  public:
    // All are the Applier's and outlive this.
    DeleteGuard(const Stream& stream, const ApplyShape& shape, const std::vector<SourceColumn>& source_columns)
        : stream_(stream), shape_(shape), source_columns_(source_columns) {}

    // Of `total` rows that the target holds, `vanished` are not among the `seen` rows of the source. `is_part`: only
    // some slices were read. Throws DeletesRefused where that is more than the option allows.
    void check_vanished(std::int64_t vanished, std::int64_t total, std::int64_t seen, bool is_part) const;

    // Rows of the target that no longer pass the filter are deleted with the batches: those are counted before a batch
    // is written, and judged behind it. Throws DeletesRefused.
    void begin_batch() { leaving_ = 0; }
    void count_leaving();
    void check_leaving();
    // What the present batch has counted; go_back() takes an attempt that failed out again.
    std::int64_t leaving() const { return leaving_; }
    void go_back(std::int64_t leaving) { leaving_ = leaving; }
    void committed();
    // Those of batches that have committed since a run succeeded.
    std::int64_t left() const { return left_; }

    // The shape has changed.
    void forget_plan() { plan_.reset(); }

  private:
    const Stream& stream_;
    const ApplyShape& shape_;
    const std::vector<SourceColumn>& source_columns_;
    std::unique_ptr<pg::Plan> plan_;
    std::int64_t leaving_ = 0, left_ = 0;
    std::optional<std::int64_t> rows_before_leaving_;  // that the target held before the first of them was deleted
};

}  // namespace insync
