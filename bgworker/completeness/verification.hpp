// Compares a stretch of a stream's slices with its source: measures first, then the rows of slices that differ.
//
// Nothing is written but what was found: the marks of the slices, and which keys differ. The caller holds the stream's
// lock, so that what differs isn't just being applied; rows that the source changes at the moment don't count.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/apply/applier.hpp"
#include "bgworker/apply/difference.hpp"
#include "bgworker/completeness/checksums.hpp"
#include "bgworker/source/batch_reader.hpp"
#include "bgworker/source/session.hpp"

namespace insync {

// What was found of a slice.
struct SliceVerdict {
    std::int64_t bucket = 0;  // as SliceChanges has it
    SliceMeasure measure;
    // Counts alone don't tell which rows differ.
    std::int64_t missing = 0, extra = 0, changed = 0;
    std::vector<Difference> differences;

    bool is_whole() const { return missing + extra + changed == 0; }
};

class Verification {
  public:
    Verification(const Stream& stream, SliceWindow window, Depth depth, Transactions& transactions);

    // Throws pg::Error. Slices that are whole are among them.
    const std::vector<SliceVerdict>& execute(SourceSession& session);

    // Records what was found, in the caller's transaction: in insync.slice and insync.difference.
    void record(std::int64_t run_id);
    // The stretches of slices that aren't whole.
    std::vector<SliceWindow> broken_windows();

    // Rows without a time are in none of these.
    bool differs_without_time() const;

    // False where the source can't be asked for these stretches, so that only a full run makes right what differs.
    // Makes its own Spi.
    bool can_read_again_by_time() const;

    const std::optional<Ledger>& ledger() const { return ledger_; }
    bool is_whole() const;
    std::int64_t source_rows() const;
    // "400 slices, 3 differ", and what wasn't compared.
    std::string message() const;

  private:
    void load(const nlohmann::json& opened);
    void judge(const SliceMeasures& measures);
    void compare(ConnectorProcess& connector);
    void compare_window(ConnectorProcess& connector, const std::optional<Window>& window, const std::string& condition);
    void read(ConnectorProcess& connector, const ReadRequest& request, const std::function<void(const Batch&)>& take);
    void sort_out_moved(ConnectorProcess& connector, std::vector<Difference>& extra);
    void note(Difference difference);
    void keep(Difference difference);
    void count_unreadable();
    SliceVerdict& verdict(std::int64_t bucket);
    std::string window_text(std::int64_t bucket, bool end);

    const Stream& stream_;
    SliceWindow window_;
    Depth depth_;
    Transactions& transactions_;
    std::optional<Ledger> ledger_;
    std::optional<Unsettled> unsettled_;
    std::optional<Measuring> measuring_;
    std::optional<Applier> applier_;
    BatchReader reader_;
    std::vector<SliceVerdict> verdicts_;
    std::string condition_;
    std::int64_t unreadable_ = 0, listed_ = 0;
    bool is_odbc_ = false;
};

}  // namespace insync
