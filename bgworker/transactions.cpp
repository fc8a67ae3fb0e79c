// A worker's transactions; see transactions.hpp.
#include "bgworker/transactions.hpp"

extern "C" {
#include "access/xact.h"
#include "pgstat.h"
#include "utils/snapmgr.h"
}

namespace insync {

void WorkerTransactions::begin() {
    pg::call([] {
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
        PushActiveSnapshot(GetTransactionSnapshot());
    });
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

void ProcedureTransactions::commit() {
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
