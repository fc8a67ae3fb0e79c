// A batch as a relation: `batch`, which the apply statement reads.
//
// Columns are the source's, by their folded names and transport types, and `insync_row`, the row's number in the batch.
#pragma once

#include <vector>

#include "bgworker/pg/spi.hpp"
#include "bgworker/protocol/batch.hpp"

namespace insync {

// The name under which statements see a batch.
inline constexpr const char* batch_relation_name = "batch";
inline constexpr const char* row_number_column = "insync_row";

// PostgreSQL's type of what a transport type holds; its binary format is that of the pipe.
Oid type_of(Transport transport);

// A field whose bytes PostgreSQL refused (a jsonb column that holds no JSON): the row can't stand in the relation.
struct DecodeFault {
    std::size_t row;
    std::size_t column;
    std::string value;
    pg::Error error;
};

// Turns rows of a batch into a tuplestore that is registered as `batch` for as long as the object lives.
class BatchRelation {
  public:
    // The relation's row type; allocated in the current memory context.
    static TupleDesc descriptor(const std::vector<SourceColumn>& columns);

    // Decodes the rows of `batch` that `selection` names. Rows with a field that can't be decoded get NULL there and
    // are added to `faults`. Needs an Spi in scope. Throws pg::Error.
    BatchRelation(const Batch& batch, const std::vector<SourceColumn>& columns, TupleDesc descriptor,
                  const std::vector<std::size_t>& selection, std::vector<DecodeFault>* faults);
    // An empty relation, for planning, or one to be filled by `store()`.
    explicit BatchRelation(TupleDesc descriptor);
    ~BatchRelation();
    BatchRelation(const BatchRelation&) = delete;
    BatchRelation& operator=(const BatchRelation&) = delete;

    Tuplestorestate* store() { return store_; }

  private:
    Tuplestorestate* store_;
    int exceptions_;
};

}  // namespace insync
