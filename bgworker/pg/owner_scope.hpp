// The scope in which the SQL of a stream runs: as the stream's owner, with pinned settings, through SPI.
#pragma once

#include "bgworker/pg/spi.hpp"

namespace insync::pg {

// Deferred triggers and constraints fire at the end of the statement, as the stream's owner: at commit they would run
// as the worker, who is a superuser (and PostgreSQL refuses to queue them here).
inline constexpr const char* nothing_deferred = "SET CONSTRAINTS ALL IMMEDIATE";

// `restricted`: as in a SECURITY DEFINER function, see RunAs; not for statements that make or drop a table.
class OwnerScope {
  public:
    explicit OwnerScope(Oid owner, Plans plans = Plans::any, bool restricted = true)
        : settings_(plans), identity_(owner, restricted) {}

  private:
    PinnedSettings settings_;
    RunAs identity_;
    Spi spi_;
};

}  // namespace insync::pg
