// By what the rows of each stream are counted: the only place that writes insync.ledger.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bgworker/gaps/steadiness.hpp"
#include "bgworker/ledger/ledger.hpp"

namespace insync {

// Each of these needs a transaction and makes its own Spi, as the extension's owner.
class Ledgers {
  public:
    static std::optional<Ledger> load(int stream_id);
    static void insert(int stream_id, const Ledger& ledger, bool is_complete);
    static void forget(int stream_id);
    // The stream's rows are counted by another column from here on.
    static void replace(int stream_id, const Ledger& ledger);
    // Until the end of the transaction nobody else does this, nor adds to the ledger.
    static void lock(int stream_id);
    // What the target holds isn't known any more (its column is gone, say): nothing is said of it until it is counted.
    static void mark_incomplete(int stream_id);
    // All rows have been counted by this rule. False where another one holds by now.
    static bool set_complete(int stream_id, const std::string& rule);
    // All rows are going to be counted by this rule.
    static void set_rule(int stream_id, const std::string& rule);
    // So many rows were moved from one slice to another, in the transaction of the rows and through its Spi.
    static void add_moved(int stream_id, std::int64_t moved);
    // What the data say of the column. `judged_us`: when they were looked at, microseconds since 1970.
    static void note_steadiness(int stream_id, const Steadiness& found, std::int64_t judged_us);
};

}  // namespace insync
