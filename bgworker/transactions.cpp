// A worker's transactions; see transactions.hpp.
#include "bgworker/transactions.hpp"

#include "bgworker/installation.hpp"

extern "C" {
#include "access/xact.h"
#include "pgstat.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
}

namespace insync {

void WorkerTransactions::begin() {
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
    });
}

void WorkerTransactions::rollback() {
    pg::call([] { AbortCurrentTransaction(); });
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
