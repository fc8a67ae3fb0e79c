// Writes rows of the target that no batch had: deletes or marks what vanished, takes marks off what is there again.
//
// All of them in one statement. Where the target refuses one (a row of another table refers to it, a trigger has
// something against it), they are listed and written by halves, so that only those stay which are refused.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/apply/key_set.hpp"
#include "bgworker/apply/rejects.hpp"
#include "bgworker/apply/slice_counting.hpp"
#include "bgworker/pg/trigger_settings.hpp"

namespace insync {

class UnseenRows {
  public:
    using OwnerSettings = std::function<const TriggerSettings&()>;
    // All are the Applier's and outlive this. `source_columns` are those of the source.
    UnseenRows(const Stream& stream, const ApplyShape& shape, const std::vector<SourceColumn>& source_columns,
               SliceCounting& slices, OwnerSettings owner_settings)
        : stream_(stream),
          shape_(shape),
          source_columns_(source_columns),
          slices_(slices),
          owner_settings_(std::move(owner_settings)) {}

    struct Refused {
        std::int64_t row;  // of the relation `listed`
        pg::Error error;
    };
    using Refusals = std::vector<Refused>;

    // Writes the rows in `scope` (SQL over t) whose key is not in the relation `seen`, or is in it; adds those that the
    // target refuses to `refused`. With `lists` the rows are in the relation `listed` afterwards, whether or not one
    // was refused. Returns how many were written.
    std::int64_t write(Unseen which, const std::string& scope, bool lists, Refusals& refused);
    // Deletes or marks the rows in `scope` that have these keys: a JSON array of objects by the target's names.
    std::int64_t delete_by_key(const std::string& scope, const std::string& records, Refusals& refused);
    // Rejects of deletes that were refused, by the rows of the relation `listed`.
    static std::vector<SourceReject> rejects_of(const Refusals& refused);

  private:
    struct SourceForm {
        std::string key, record;
    };
    std::optional<SourceForm> source_form() const;
    std::unique_ptr<SeenKeys> list_rows(Unseen which, const std::string& scope);
    std::optional<pg::Error> try_write(Unseen which, const std::string& statement, std::int64_t& written);
    void write_listed(Unseen which, std::int64_t first, std::int64_t last, std::int64_t& written, Refusals& refused);

    const Stream& stream_;
    const ApplyShape& shape_;
    const std::vector<SourceColumn>& source_columns_;
    SliceCounting& slices_;
    OwnerSettings owner_settings_;
    std::unique_ptr<SeenKeys> listed_;
};

}  // namespace insync
