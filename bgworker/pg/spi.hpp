// SQL from C++: the only part that includes spi.h.
//
// Parameters go in and values come out as text (casts stand in the statement), because what passes here is bookkeeping:
// a few rows a batch. The rows of a batch never do; they are a relation that the statement reads (register_relation).
#pragma once

#include "bgworker/pg/guard.hpp"

extern "C" {
#include "access/tupdesc.h"
#include "utils/tuplestore.h"
}

#include <optional>
#include <string>
#include <vector>

struct _SPI_plan;

namespace insync::pg {

using Value = std::optional<std::string>;

// The rows of a result, and how many rows the statement processed.
struct Rows {
    std::vector<std::vector<Value>> rows;
    std::uint64_t processed = 0;

    bool empty() const { return rows.empty(); }
    const std::vector<Value>& first() const { return rows.front(); }
};

// A connection to SPI for a scope. While an exception passes, the abort that follows closes it instead.
class Spi {
  public:
    // `nonatomic`: for a procedure that may commit.
    explicit Spi(bool nonatomic = false);
    ~Spi();
    Spi(const Spi&) = delete;
    Spi& operator=(const Spi&) = delete;

  private:
    int exceptions_;
};

// Which rows a statement sees: those that are committed when it begins, or those of the snapshot that the transaction
// has pushed, and then it may only read.
enum class Sees { latest, pushed_snapshot };

// Runs one statement with text parameters. Needs an Spi in scope. Throws Error.
Rows query(const std::string& sql, const std::vector<Value>& parameters = {}, Sees sees = Sees::latest);

// A statement planned once and run for many batches; the relations that it reads by name must be registered.
class Plan {
  public:
    explicit Plan(const std::string& sql);  // needs an Spi in scope, with the relations registered
    ~Plan();
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;

    // Runs it; returns the number of rows processed.
    std::uint64_t execute();
    // Runs it and returns its rows as text.
    Rows fetch();
    // Runs it and appends the tuples of its result to `store`.
    void execute_into(Tuplestorestate* store, TupleDesc descriptor);
    // Plans it now, so that what a planner has against it is said. True if the plan writes to its table with nothing
    // above: no extension's planner has put something of its own there, which may lead rows elsewhere.
    bool writes_plainly() const;
    // The type of each result column; for statements that return rows.
    TupleDesc descriptor() const;

  private:
    std::string sql_;
    _SPI_plan* plan_;
};

// Makes `store` readable as the relation `name` in this Spi, with `estimate` rows for the planner.
void register_relation(const char* name, TupleDesc descriptor, Tuplestorestate* store, double estimate);
// Leaves it to the end of the Spi if that fails.
void unregister_relation(const char* name) noexcept;

// Ends the procedure's transaction and starts the next; only in a non-atomic Spi.
void commit_and_chain();
void rollback_and_chain();

// name and name."part" quoted as identifiers; text as a literal.
std::string quote_identifier(const std::string& name);
std::string quote_literal(const std::string& text);

}  // namespace insync::pg
