// A worker's transactions; see transactions.hpp.
#include "bgworker/catalog/transactions.hpp"

#include "bgworker/catalog/extension_lock.hpp"

extern "C" {
#include "access/xact.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
}

namespace insync {

void reload_settings() {
    if (!ConfigReloadPending) return;
    ConfigReloadPending = false;
    pg::call([] { ProcessConfigFile(PGC_SIGHUP); });
}

namespace {

// A transaction leaves the process in TopMemoryContext, where all that PostgreSQL's functions allocate until the next
// one would stay for the worker's life. So a context of our own is current in between, and emptied each time.
void leave_top_memory_context() {
    static MemoryContext between;
    if (between == nullptr)
        between = AllocSetContextCreate(TopMemoryContext, "pg_insync between transactions", ALLOCSET_SMALL_SIZES);
    MemoryContextReset(between);
    MemoryContextSwitchTo(between);
}

}  // namespace

void WorkerTransactions::begin() {
    reload_settings();
    pg::call([] {
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
    });
    lock_extension();
    pg::call([] { PushActiveSnapshot(GetTransactionSnapshot()); });
}

void WorkerTransactions::commit() {
    pg::call([] {
        PopActiveSnapshot();
        CommitTransactionCommand();
        pgstat_report_stat(true);
        leave_top_memory_context();
    });
}

void WorkerTransactions::rollback() {
    pg::call([] {
        AbortCurrentTransaction();
        leave_top_memory_context();
    });
}

void CallerTransactions::begin() {
    if (pg::call([] { return IsolationUsesXactSnapshot(); })) {
        throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                        "a source can only be compared in a transaction of isolation level read committed");
    }
    work_.emplace();
    pg::call([] { PushActiveSnapshot(GetTransactionSnapshot()); });
}

void CallerTransactions::commit() {
    pg::call([] { PopActiveSnapshot(); });
    work_->commit();
    work_.reset();
}

void CallerTransactions::rollback() {
    if (work_) work_->rollback();
    work_.reset();
}

void ProcedureTransactions::begin() {
    // Whatever the session's default is: a batch that is tried again must see what was in its way.
    pg::call([] {
        if (!FirstSnapshotSet) SetConfigOption("transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);
    });
    lock_extension();
    work_.emplace();
    pg::call([] { PushActiveSnapshot(GetTransactionSnapshot()); });
}

void ProcedureTransactions::commit() {
    pg::call([] { PopActiveSnapshot(); });
    work_->commit();
    work_.reset();
    pg::commit_and_chain();
}

void ProcedureTransactions::rollback() {
    if (work_) work_->rollback();
    work_.reset();
    pg::rollback_and_chain();
}

}  // namespace insync
