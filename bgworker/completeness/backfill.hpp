// One slice of a backfill: window → batches → apply → what the source had in it.
//
// The window is closed, the stream's watermark stays. Batches commit as those of a run do; that the slice is done, what
// vanished from it, and what the source had is one transaction at the end. A slice that is interrupted is read again.
#pragma once

#include "bgworker/apply/applier.hpp"
#include "bgworker/catalog/job.hpp"
#include "bgworker/catalog/transactions.hpp"
#include "bgworker/ledger/slice_window.hpp"
#include "bgworker/source/batch_reader.hpp"

namespace insync {

class Backfill {
  public:
    // The caller holds the stream's lock, shared with other slices of it.
    Backfill(const Stream& stream, const Job& job, Transactions& transactions);

    // Throws pg::Error; what was committed until then stays.
    void execute(ConnectorProcess& connector);

    // That the guard of deletes held: what is here too much is still here.
    const std::optional<pg::Error>& refusal() const { return refusal_; }
    std::int64_t rejected_rows() const { return applier_ ? applier_->rejected_rows() : 0; }

  private:
    void load();
    void use_columns(const nlohmann::json& frame);
    void read(ConnectorProcess& connector, const ReadRequest& request);
    void apply(const Batch& batch);
    void reread_moved(ConnectorProcess& connector);
    void settle();
    void refuse(const DeletesRefused& error);
    void mark_slices(std::int64_t refused);
    bool may_have_vanished();
    bool ledger_agrees();
    void recount();

    const Stream& stream_;
    const Job& job_;
    Transactions& transactions_;
    Ledger ledger_;
    StreamState state_;
    ReadRequest request_;
    std::string target_window_, target_surroundings_;
    bool deletes_ = false;
    std::optional<Applier> applier_;
    BatchReader reader_;
    std::int64_t source_rows_ = 0, written_ = 0;
    std::string message_;
    std::optional<pg::Error> refusal_;
};

}  // namespace insync
