// A batch into the target by the server's own COPY: many rows a page and a WAL record, and no relation between.
//
// For first loads, where it does the same as the INSERT of statement.hpp and less work: constraints, triggers,
// defaults, generated columns and partitions are COPY's to heed. The batch's bytes are COPY's binary format already;
// columns are picked, and integers get the target's width.
#pragma once

#include <cstdint>
#include <optional>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/protocol/batch.hpp"
#include "bgworker/target/statement.hpp"

namespace insync {

// Inserts all rows of the batch, whose keys are known to differ from each other, and returns how many there are now.
// Nothing where the apply statement would do more than copy fields, or somebody else has a say in it: columns that are
// computed or of another type than the source's, domains among the columns that it doesn't fill, volatile checks, a
// filter, rules, row-level security, a missing right, a hook that watches rights, a client in another encoding. Runs as
// whoever is the current user, in a transaction, with an Spi in scope. Throws pg::Error, after which the subtransaction
// has to be rolled back.
std::optional<std::int64_t> copy_batch(const Batch& batch, const std::vector<SourceColumn>& columns,
                                       const ApplyShape& shape, const Stream& stream);

}  // namespace insync
