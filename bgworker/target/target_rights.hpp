// What a stream's owner may do with the target: PostgreSQL names one missing right at a time, a DBA wants all of them.
#pragma once

#include "bgworker/catalog/stream.hpp"

namespace insync {

// Gives an error about the target's rights (42501) all rights that the owner lacks as its detail, and the GRANT as its
// hint. Leaves other errors as they are. Needs a transaction that works.
void name_lacking_rights(pg::Error& error, const Stream& stream);

// Throws pg::Error (42501) where the owner has no right at all to something that the stream does with its target.
// Rights to some columns may be enough; whether they are, a run tells.
void require_target_rights(const Stream& stream);

}  // namespace insync
