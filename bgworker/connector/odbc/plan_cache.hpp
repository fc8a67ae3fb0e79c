// What a session has learned about the sources of its streams, so that a poll needn't ask again.
//
// One connector serves the polls of many streams. An entry is used for a few minutes; it is dropped before that when
// the source's definitions have changed (definition_mark(), or a result that looks different), and whenever a poll
// fails or meets anything that it isn't made for.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "bgworker/connector/odbc/fetch.hpp"
#include "bgworker/connector/odbc/sql/read_plan.hpp"

namespace insync::odbc {

struct KnownSource {
    ReadPlan plan;
    FetchState fetch;
    std::string mark;           // of the definitions, before they were read; empty for a query
    std::string shape = {};     // of the results, as Cursor::shape() has it
    bool is_busy = false;       // its reads are longer than a block
    bool has_snapshot = false;  // SQL Server: its reads are in SNAPSHOT isolation
    std::chrono::steady_clock::time_point loaded = std::chrono::steady_clock::now();
};

class PlanCache {
  public:
    // Whether the reads that follow this one can be polls: reads of changes, from engines whose columns and clocks tell
    // enough. SQLite's columns hold what they like, so its plans are made of the values that are there; and it is near.
    bool can_keep(Dialect dialect, const ReadRequest& request) const;

    // The entry for a read like this one; null where there is none, or where it is too old.
    KnownSource* find(const ReadRequest& request);
    void keep(const ReadRequest& request, KnownSource known);
    void drop(const ReadRequest& request);
    void clear();

    // False once the source has refused a definition_mark(), as a server may that only resembles the one it is for.
    bool knows_marks = true;

  private:
    std::map<std::string, KnownSource> known_;
};

}  // namespace insync::odbc
