// What an SQL function gets and gives: its arguments as C++ values, its rows from text.
#pragma once

#include "bgworker/pg/spi.hpp"

extern "C" {
#include "fmgr.h"
#include "funcapi.h"
}

#include <optional>
#include <string>
#include <vector>

// Declares an SQL function, exported though the library hides its symbols; stands in an extern "C" block.
#define INSYNC_SQL_FUNCTION(name)                    \
    extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
    PG_FUNCTION_INFO_V1(name)

namespace insync {

// Argument `index` as text; nullopt for NULL.
pg::Value text_argument(FunctionCallInfo call, int index);
// An argument that may not be NULL. Throws pg::Error that names it.
std::string required_text(FunctionCallInfo call, int index, const char* name);

// The rows of a set-returning function, as text for each column's input function.
class ResultSet {
  public:
    explicit ResultSet(FunctionCallInfo call);
    void add(const std::vector<pg::Value>& row);

  private:
    ReturnSetInfo* result_;
    AttInMetadata* input_;
};

// One row, for a function that returns a record.
Datum record_result(FunctionCallInfo call, const std::vector<pg::Value>& row);

}  // namespace insync
