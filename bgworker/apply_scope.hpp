// Where the statements of an Applier run; for its own files.
#pragma once

#include "bgworker/apply.hpp"

namespace insync {

// Deferred triggers and constraints fire at the end of the statement, as the stream's owner: at commit they would run
// as the worker, who is a superuser (and PostgreSQL refuses to queue them here).
inline constexpr const char* nothing_deferred = "SET CONSTRAINTS ALL IMMEDIATE";

// As the stream's owner, security-restricted, with pinned settings, through SPI.
struct Applier::Scope {
    explicit Scope(const Stream& stream, pg::Plans plans = pg::Plans::key_lookups)
        : settings(plans), identity(stream.owner_oid) {}
    pg::PinnedSettings settings;
    pg::RunAs identity;
    pg::Spi spi;
};

}  // namespace insync
