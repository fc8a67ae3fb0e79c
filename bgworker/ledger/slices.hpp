// How many rows the target holds in each slice, and what the source said of them: the only place that writes
// insync.slice.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bgworker/catalog/job.hpp"
#include "bgworker/ledger/ledger.hpp"

namespace insync {

// SQL of type timestamp: the bucket of a number, SQL of type bigint, as SliceChanges has it.
std::string bucket_of_number(const std::string& number);

// SQL: the bucket is in the window, whose ends may be open.
std::string within_window(const std::string& bucket, const SliceWindow& window);

// Each of these needs a transaction and makes its own Spi, as the extension's owner.
class Slices {
  public:
    // Adds what a batch did, in the transaction of the rows and through its Spi; `watermark` is the batch's, if it has
    // one. False where rows are counted by another rule since `ledger` was loaded: nothing was added.
    static bool add(int stream_id, const Ledger& ledger, const SliceChanges& changes, const std::string& watermark);

    // The target is empty, as one that somebody has truncated, or is going to be counted: the rows of all slices are 0.
    static void set_empty(int stream_id);
    // Forgets slices without rows that nobody has compared with the source.
    static void forget_empty(int stream_id);
    static void forget(int stream_id);
    // What was compared with the source isn't known any more.
    static void forget_verification(int stream_id);

    // The rows of the slices in the window are these, and none in the others of the window.
    static void recount(int stream_id, const SliceWindow& window, const SliceChanges& held);
    // All rows of the window were read; it has so many at the source. Rejected rows can be counted in a window of one
    // slice only. `refused` rows of the target should have been deleted.
    static void note_read(int stream_id, SliceUnit unit, const SliceWindow& window, const SliceChanges& source,
                          std::int64_t rejected, std::int64_t refused);

    // What a verification found: in each slice `b` (a number as SliceChanges has it) `s` rows at the source, `h` in the
    // target and `d` that differ.
    static void note_verified(int stream_id, const Ledger& ledger, const SliceWindow& window,
                              const nlohmann::json& found);

    // An attempt to repair the slices in the window begins: those that may be tried (again) by now. The next attempt of
    // each comes twice as late.
    static std::vector<SliceWindow> begin_repairs(int stream_id, SliceUnit unit, const SliceWindow& window);
    // Slices that are whole have no attempts any more.
    static void end_repairs(int stream_id);
};

}  // namespace insync
