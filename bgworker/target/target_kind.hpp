// What a relation is, beside its columns: whether rows that a stream writes into it are found there afterwards.
//
// Extensions keep the rows of a table elsewhere and have their planner lead each statement there: TimescaleDB's chunks,
// the shards of Citus. The catalogs tell which tables are such ones; what they don't tell, the plans do (Plan::
// writes_plainly()) and a look at the target after the first batch.
#pragma once

#include <string>

extern "C" {
#include "postgres.h"
}

namespace insync {

enum class TargetKind {
    table,       // an ordinary or partitioned one
    hypertable,  // of TimescaleDB: its rows lie in other tables, where only statements that TimescaleDB planned find
                 // them
};

// What the relation `table` (qualified, quoted) is. Throws pg::Error where it can't be filled: it is no table, Citus
// keeps its rows, a rule or a foreign table stands in the way of MERGE, a hypertable hides rows. Needs an Spi in scope.
TargetKind require_fillable(Oid oid, char relkind, const std::string& table);

// Has some AFTER trigger of the table, or of its partitions, the opportunity to take away rows that were inserted?
bool has_after_insert_triggers(Oid oid);

}  // namespace insync
