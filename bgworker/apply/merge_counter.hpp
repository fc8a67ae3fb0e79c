// How many rows a MERGE inserted, updated and deleted, each by itself.
//
// PostgreSQL before 17 tells only their sum (MERGE has no RETURNING there), but its executor counts them for EXPLAIN
// ANALYZE. An executor hook reads those counters from the one statement that was announced, at no cost for the rows.
#pragma once

#include <cstdint>

namespace insync {

struct MergeCounts {
    bool known = false;  // false: the plan had another shape than any that is known
    std::int64_t inserted = 0, updated = 0, deleted = 0;
};

// Installs the hooks; called once from _PG_init.
void install_merge_counter();

// Announces that the next statement of this backend is the MERGE to be counted.
void arm_merge_counter();

// The counts of the announced statement, once it has run.
MergeCounts take_merge_counts();

}  // namespace insync
