// Reads the executor's own counters of MERGE; see merge_counter.hpp.
#include "bgworker/apply/merge_counter.hpp"

extern "C" {
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/execnodes.h"
}

#include "bgworker/target/same_rows.hpp"

namespace insync {

namespace {

ExecutorStart_hook_type next_start;
ExecutorEnd_hook_type next_end;
bool armed;
QueryDesc* counted;  // the announced statement while it runs
MergeCounts counts;

// The MERGE below what an extension may have put on top of the plan.
ModifyTableState* find_merge(PlanState* node) {
    if (node == nullptr) return nullptr;
    if (IsA(node, ModifyTableState)) {
        auto* state = reinterpret_cast<ModifyTableState*>(node);
        return state->operation == CMD_MERGE ? state : nullptr;
    }
    if (IsA(node, CustomScanState)) {
        ListCell* cell;
        foreach (cell, reinterpret_cast<CustomScanState*>(node)->custom_ps) {
            if (auto* found = find_merge(static_cast<PlanState*>(lfirst(cell)))) return found;
        }
    }
    return find_merge(outerPlanState(node));
}

// These hooks are part of the C side of the wall: plain calls, nothing with a destructor, errors pass through.
void on_start(QueryDesc* query, int flags) {
    // The first MERGE to start is the announced one: planning may run functions before it, its triggers run after it.
    if (armed && query->operation == CMD_MERGE) {
        armed = false;
        counted = query;
    }
    if (next_start != nullptr) {
        next_start(query, flags);
    } else {
        standard_ExecutorStart(query, flags);
    }
    if (query != counted) return;
    if (ModifyTableState* merge = find_merge(query->planstate)) leave_same_rows_alone(merge);
}

void on_end(QueryDesc* query) {
    if (query == counted) {
        counted = nullptr;
        if (ModifyTableState* state = find_merge(query->planstate)) {
            counts.known = true;
            counts.inserted = static_cast<std::int64_t>(state->mt_merge_inserted);
            counts.updated = static_cast<std::int64_t>(state->mt_merge_updated);
            counts.deleted = static_cast<std::int64_t>(state->mt_merge_deleted);
        }
    }
    if (next_end != nullptr) {
        next_end(query);
    } else {
        standard_ExecutorEnd(query);
    }
}

}  // namespace

void install_merge_counter() {
    next_start = ExecutorStart_hook;
    ExecutorStart_hook = on_start;
    next_end = ExecutorEnd_hook;
    ExecutorEnd_hook = on_end;
}

void arm_merge_counter() {
    counts = {};
    counted = nullptr;
    armed = true;
}

MergeCounts take_merge_counts() {
    armed = false;
    return counts;
}

}  // namespace insync
