// What a stream's batches do to the slices of its ledger, counted while they are applied.
//
// The apply statement notes it, unless somebody else has a say in what becomes of a row (rules, row triggers): then the
// target's rows are counted before and after. The counts of a transaction are added to the ledger in that transaction.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/ledger/ledger.hpp"
#include "bgworker/pg/spi.hpp"
#include "bgworker/protocol/batch.hpp"
#include "bgworker/target/statement.hpp"

namespace insync {

class SliceCounting {
  public:
    // All are the Applier's and outlive this. `columns` are those of the batch, `source` those of the source.
    SliceCounting(const Stream& stream, ApplyShape& shape, const std::vector<SourceColumn>& columns,
                  const std::vector<SourceColumn>& source)
        : stream_(stream), shape_(shape), columns_(columns), source_(source) {}

    // For the columns and the shape that hold from here on. Loads the ledger and, if the statement is to note its rows,
    // says so in the shape. Without a ledger nothing is counted.
    void use(const Target& target);
    bool has_ledger() const { return ledger_.has_value(); }
    bool compares() const { return compares_; }  // counts before and after
    // SQL of type timestamp: the bucket of a row t of the target, or of `alias`. Needs a ledger.
    const std::string& bucket() const { return bucket_; }
    std::string bucket_for(const char* alias) const;
    // The same, where rows are noted; else the bucket of rows without a time.
    std::string noted_bucket() const { return notes_ ? bucket_ : "'-infinity'::timestamp"; }
    // SQL of type bigint: the number of that bucket; 0 without a ledger.
    std::string number() const { return number_of(bucket_); }
    std::string number_for(const char* alias) const { return ledger_ ? number_of(bucket_for(alias)) : "0"; }

    // A batch of so many rows begins, in an Spi as the owner: what was counted of a batch that was rolled back is
    // forgotten, and the ledger is emptied if somebody has emptied the target.
    void begin_batch(std::size_t rows);
    // Around each attempt to write rows of the batch.
    void begin();
    void end();
    struct Counts {
        SliceChanges changes, source;
    };
    // What was counted so far; go_back() takes an attempt that failed out again.
    Counts counts() const { return {changes_, batch_source_}; }
    void go_back(Counts counts);
    // Rows that COPY has written: it asks nobody about them.
    void count_copied(const Batch& batch);
    // Rows came to a slice (positive), or left it.
    void add(Timestamp bucket, std::int64_t rows) { changes_[bucket] += rows; }
    // Whether rows are noted, so that those which a statement moves are to be added.
    bool notes() const { return notes_ != nullptr; }

    // Around statements that write many rows: all living rows of the stream are counted, if somebody has a say in them.
    void begin_all() { count_all(-1); }
    void end_all();
    // Runs a statement that deletes, marks or revives rows of the target; returns their number. `sign`: what a row does
    // to its slice.
    std::int64_t write(const std::string& statement, std::int64_t sign);

    // Adds what was counted to the ledger. `deleted`: rows that the batch deleted; nothing where all that left a slice
    // were. If the slices were defined anew meanwhile, the target is going to be counted.
    void save(const std::string& watermark, std::optional<std::int64_t> deleted = std::nullopt);
    // The transaction has committed.
    void committed();

    // The rows of each batch are counted as the source has them, from here on: for a read of whole slices.
    void count_source_slices() { counts_source_ = true; }
    bool counts_source() const { return counts_source_; }
    // The rows of the registered batch, now.
    void count_source();
    // Those of the present batch count, though nothing is committed.
    void keep_source();
    const SliceChanges& source_slices() const { return source_slices_; }

    // The stream's living rows in the target by slice, of those that the condition (SQL over t) selects; nothing where
    // they can't be told from others'.
    std::optional<SliceChanges> held(const std::string& condition) const;

  private:
    std::string number_of(const std::string& bucket) const { return ledger_ ? bucket_number(bucket) : "0"; }
    bool has_rows() const;
    void count_matches(std::int64_t sign);
    void count_all(std::int64_t sign);

    const Stream& stream_;
    ApplyShape& shape_;
    const std::vector<SourceColumn>& columns_;
    const std::vector<SourceColumn>& source_;
    std::optional<Ledger> ledger_;
    std::unique_ptr<SliceNotes> notes_;
    std::unique_ptr<pg::Plan> matches_, source_counts_;
    bool compares_ = false;
    bool needs_profile_ = false;  // rows that committed are in no ledger
    bool has_begun_ = false;      // a batch of this run has committed: what the ledger has is in the target
    std::string bucket_;          // SQL over t
    std::string bucket_type_;
    std::size_t batch_rows_ = 0;
    SliceChanges changes_;
    bool counts_source_ = false;
    SliceChanges source_slices_, batch_source_;
};

}  // namespace insync
