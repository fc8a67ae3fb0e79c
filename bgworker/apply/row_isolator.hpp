// Finds the rows of a batch that are refused, by halves.
//
// First what can't be converted, found by reading alone: a subtransaction that writes nothing costs no transaction id,
// and more than 64 of those with one slow the whole server down. Then what the target's constraints and triggers
// refuse, which takes about 2 log2(n) subtransactions a bad row.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/apply/rejects.hpp"
#include "bgworker/batch/batch_relation.hpp"
#include "bgworker/pg/spi.hpp"
#include "bgworker/target/statement.hpp"

namespace insync {

class RowIsolator {
  public:
    // All are the Applier's and outlive this; `descriptor` is of `columns`.
    RowIsolator(const ApplyShape& shape, const std::vector<SourceColumn>& columns, const TupleDesc& descriptor)
        : shape_(shape), columns_(columns), descriptor_(descriptor) {}

    // The shape has changed.
    void forget_plans();

    // Sorts rows of the batch into those that can be converted and rejects.
    void check(const Batch& batch, const std::vector<std::size_t>& rows, std::vector<std::size_t>& good,
               std::vector<RowReject>& rejects);

    // Writes the registered rows, or says why not.
    using TryWrite = std::function<std::optional<pg::Error>()>;
    // Writes rows of the batch; those that are refused for what they hold become rejects. Throws pg::Error for what
    // isn't a row's fault.
    void write(const Batch& batch, const std::vector<std::size_t>& rows, const TryWrite& try_write,
               std::vector<RowReject>& rejects);

  private:
    std::string failing_column();
    static pg::Plan& plan(std::unique_ptr<pg::Plan>& slot, const std::string& sql) {
        if (!slot) slot = std::make_unique<pg::Plan>(sql);
        return *slot;
    }

    const ApplyShape& shape_;
    const std::vector<SourceColumn>& columns_;
    const TupleDesc& descriptor_;
    std::unique_ptr<pg::Plan> check_;
    std::vector<std::unique_ptr<pg::Plan>> column_checks_;
};

}  // namespace insync
