// Servers that give no answer, as SQL sees them: insync.unreachable.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
#include "foreign/foreign.h"
#include "utils/timestamp.h"
}

#include "bgworker/catalog/stream.hpp"
#include "bgworker/pg/compat.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/shmem/reach.hpp"

using namespace insync;

namespace {

std::string time_text(TimestampTz time) {
    const char* text = pg::call([&] { return timestamptz_to_str(time); });
    return text;
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(insync_unreachable);

Datum insync_unreachable(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        ResultSet result(fcinfo);
        const Oid caller = GetUserId();
        const bool sees_all = sees_all_streams();
        for (const auto& [oid, reach] : shared::open_breakers()) {
            const Oid server_oid = oid;
            ForeignServer* server = pg::call([&]() -> ForeignServer* {
                ForeignServer* found = GetForeignServerExtended(server_oid, FSV_MISSING_OK);
                return found != nullptr && (sees_all || compat::has_server_usage(server_oid, caller)) ? found : nullptr;
            });
            if (server == nullptr) continue;
            result.add({server->servername, time_text(reach.failing_since), std::to_string(reach.failures),
                        time_text(reach.last_attempt), time_text(reach.next_attempt), reach.message});
        }
        return Datum(0);
    });
}
}
