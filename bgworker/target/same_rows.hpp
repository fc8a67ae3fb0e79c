// Rows that BEFORE triggers turn back into what the target has already.
//
// A trigger that changes what it is given (upper(), a default, a rounding) makes the target differ from the source for
// good, and MERGE would write such a row in each run anew. So behind the last BEFORE UPDATE trigger of a row stands,
// for the time of the statement, one more: where nothing of the row is different after all, the row is left alone, as
// PostgreSQL's suppress_redundant_updates_trigger() does; a time of now, in a column that the statement doesn't set,
// isn't looked at (updated_at).
#pragma once

extern "C" {
#include "postgres.h"

#include "nodes/execnodes.h"
}

namespace insync {

// For a MERGE that has started and hasn't run. Part of the C side of the wall.
void leave_same_rows_alone(ModifyTableState* merge);

}  // namespace insync
