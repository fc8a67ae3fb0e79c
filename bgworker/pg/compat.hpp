// What differs between PostgreSQL's major versions; the only file that asks for PG_VERSION_NUM.
#pragma once

extern "C" {
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "parser/parse_type.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/wait_event.h"
}

namespace insync::compat {

// True if `role` has USAGE on the foreign server. May ereport: call it through pg::call.
inline bool has_server_usage(Oid server, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(ForeignServerRelationId, server, role, ACL_USAGE) == ACLCHECK_OK;
#else
    return pg_foreign_server_aclcheck(server, role, ACL_USAGE) == ACLCHECK_OK;
#endif
}

// Raises an error unless `member` may give what is his to `role`: where PostgreSQL knows it, the right to SET ROLE.
inline void check_may_become(Oid member, Oid role) {
#if PG_VERSION_NUM >= 160000
    check_can_set_role(member, role);
#else
    check_is_member_of_role(member, role);
#endif
}

// The type that a text such as "numeric(10,2)" names. May ereport: call it through pg::call.
inline Oid parse_type(const char* text) {
    Oid type = InvalidOid;
    int32 modifier = -1;
#if PG_VERSION_NUM >= 160000
    parseTypeString(text, &type, &modifier, nullptr);
#else
    parseTypeString(text, &type, &modifier, false);
#endif
    return type;
}

// This process's number among PostgreSQL's, and the latch of the process with a number.
inline int process_number() {
#if PG_VERSION_NUM >= 170000
    return GetNumberFromPGProc(MyProc);
#else
    return MyProc->pgprocno;
#endif
}
inline Latch* process_latch(int number) {
    return &ProcGlobal->allProcs[number].procLatch;
}

// The number of a wait event with this name, where events have names. May ereport: call it through pg::call.
inline uint32 named_wait_event(const char* name) {
#if PG_VERSION_NUM >= 170000
    return WaitEventExtensionNew(name);
#else
    (void)name;
    return PG_WAIT_EXTENSION;
#endif
}

// A transaction of ours may take as long as its batch does. May ereport: call it through pg::call.
inline void disable_transaction_timeout() {
#if PG_VERSION_NUM >= 170000
    SetConfigOption("transaction_timeout", "0", PGC_USERSET, PGC_S_SESSION);
#endif
}

}  // namespace insync::compat
