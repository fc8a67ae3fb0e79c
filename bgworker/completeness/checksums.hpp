// What source and target say of their rows by slice, without sending them: counts, sums and hashes, from one grouped
// query on each side, both at work at the same time.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/catalog/transactions.hpp"
#include "bgworker/ledger/ledger.hpp"
#include "bgworker/ledger/slice_window.hpp"
#include "bgworker/source/session.hpp"
#include "bgworker/target/target.hpp"

namespace insync {

// How closely a verification looks: numbers of rows and sums, which keys there are, or all values.
enum class Depth { counts, keys, rows };
std::optional<Depth> depth_of(const std::string& name);

struct SliceMeasure {
    std::int64_t held = 0, source = 0;
    std::int64_t unsettled = 0;  // of the source's: rows that change at the moment
    bool equal = true;           // sums and hashes, as far as there are any
};
// By slice, as SliceChanges has it; one with the number 0 where rows aren't counted into slices.
using SliceMeasures = std::map<std::int64_t, SliceMeasure>;

// From when on a row of the source counts as changing.
struct Unsettled {
    std::string from;     // a watermark in the source's own words
    std::string pg_type;  // that compares it
};

class Measuring {
  public:
    // The caller is in a transaction. `hash_kind`: of the source's rows; empty: it has none. Throws pg::Error.
    Measuring(const Stream& stream, const std::optional<Ledger>& ledger, const SliceWindow& window, Depth depth,
              const std::optional<Unsettled>& unsettled, const std::string& hash_kind);

    // False where the source can't be asked for numbers of rows: PostgreSQL leaves some out, or it is an API that has
    // none.
    bool counts_source() const { return counts_source_; }
    // False where the measures don't tell what the depth asks for: rows have to be compared one by one then.
    bool is_conclusive() const { return counts_source_ && (depth_ == Depth::counts || hashes_); }
    // Columns of the target that take part in no hash, as their values have no text that both sides agree on.
    const std::vector<std::string>& left_out() const { return left_out_; }

    // No transaction is open. Throws pg::Error.
    SliceMeasures execute(ConnectorProcess& connector, Transactions& transactions);

  private:
    void choose_columns(const ApplyShape& shape, const Target& target);
    void choose_groups(const Target& target, const SliceWindow& window);
    void build_target_statement(const ApplyShape& shape, const std::string& condition);
    std::string group_statement() const;
    SliceMeasures look(ConnectorProcess& connector, Transactions& transactions, const MeasureRequest& request);
    static SliceMeasures judged_as_one(SliceMeasures measures, const std::map<std::int64_t, std::string>& signatures,
                                       const nlohmann::json& groups);
    void add_buckets(const TargetColumn& column, const SliceWindow& window);

    const Stream& stream_;
    std::optional<Ledger> ledger_;
    Depth depth_;
    std::string hash_kind_;
    SliceWindow window_;
    bool counts_source_ = true, hashes_ = false, is_rest_ = false;
    MeasureRequest request_;
    std::string target_statement_, local_group_, held_group_, bucket_;
    std::vector<std::string> left_out_, sums_, hashed_;  // the latter two: SQL over t
};

}  // namespace insync
