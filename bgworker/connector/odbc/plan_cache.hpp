// What a session has learned about the sources of its streams, so that a poll needn't ask again.
//
// One connector serves the polls of many streams. An entry is used for a few minutes; it is dropped before that when
// the source's definitions have changed (definition_mark(), or a result that looks different), and after every failure.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "bgworker/connector/odbc/fetch.hpp"
#include "bgworker/connector/odbc/read_plan.hpp"

namespace insync::odbc {

// Columns of a result as the driver describes them, as text that is compared.
using ResultShape = std::string;

struct KnownSource {
    ReadPlan plan;
    FetchState fetch;
    std::chrono::steady_clock::time_point loaded = std::chrono::steady_clock::now();
    std::optional<std::string> mark = std::nullopt;  // of its definitions, when they were read
    ResultShape shape = "";                          // empty: not seen yet
    bool has_horizon = false;                        // the source has MIN_ACTIVE_ROWVERSION()
    bool one_page = false;                           // the changes of the last read were one page
};

class PlanCache {
  public:
    // The entry for reads of changes like this one; null where there is none, or where it is too old.
    KnownSource* find(const ReadRequest& request);
    KnownSource& keep(const ReadRequest& request, KnownSource known);
    void drop(const ReadRequest& request);
    void clear() { known_.clear(); }

  private:
    std::map<std::string, KnownSource> known_;
};

}  // namespace insync::odbc
