// Rejected rows: into insync.error with their reason, each once, and out of it when a newer version was applied.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bgworker/apply/key_set.hpp"
#include "bgworker/catalog/stream.hpp"
#include "bgworker/protocol/batch.hpp"

namespace insync {

// A row of the current batch that can't be applied.
struct RowReject {
    std::size_t row;
    pg::Error error;
    std::string error_type;  // conversion or constraint
    std::string column;
    nlohmann::json patch = nlohmann::json::object();  // fields that the relation couldn't hold, as text
    std::string operation = "";                       // empty: that of its batch
};

class Rejects {
  public:
    Rejects(const Stream& stream, bool has_errors) : stream_(stream), has_errors_(has_errors) {}

    // The columns of the batches that follow, and what is to be done with their rows (upsert or delete); to be called
    // before the first, and when they change.
    void use(const std::vector<SourceColumn>& columns, const std::string& operation);

    // Settles a batch's rejects: stores those that are the last word on their key and removes what newer good rows made
    // obsolete. The relation `batch` holds the batch's rows. Returns how many rows of insync.error are new or changed;
    // only if there are any, `run_id` is asked for the run that they belong to.
    std::int64_t settle(const std::vector<RowReject>& rows, const std::vector<SourceReject>& from_source,
                        const std::function<std::int64_t()>& run_id, const std::string& watermark);

    // Only stores rejects, of a batch that isn't applied.
    std::int64_t keep(const std::vector<RowReject>& rows, const std::vector<SourceReject>& from_source,
                      const std::function<std::int64_t()>& run_id, const std::string& watermark);

    // Stores deletes that the target refused; each holds its own operation. Called through an Spi.
    std::int64_t keep_deletes(const std::vector<SourceReject>& refused, const std::function<std::int64_t()>& run_id);
    // Removes rejected deletes that are settled. Of those that rows of the relation `listed` stand for, but for these
    // numbers; called through the Spi that knows it.
    void forget_listed(const std::vector<std::int64_t>& refused);
    // Of all that hold less than a row of these columns, but for these rejects.
    void forget_deletes(const std::vector<SourceColumn>& columns, const std::vector<SourceReject>& refused);

    // Does the stream have rejects that a batch may settle?
    bool has_errors() const { return has_errors_; }

    // Takes up to `limit` rejected rows out, for sync_replay(): those with numbers above `after` up to `last` that
    // `which` (SQL over x) selects. Columns: id, record, key, fingerprint, source_hash, is the record mended ('t').
    static pg::Rows take(int stream_id, const std::string& which, std::int64_t after, std::int64_t last, int limit);
    // Rows of take() were applied: those that were mended and fit are remembered, so that the source's own version
    // isn't rejected again; those that don't fit yet keep the mark of the version that the source sent.
    static void note_replayed(int stream_id, const std::vector<std::vector<pg::Value>>& rows);
    // All rejected rows of the stream, and what was mended of it; returns how many were rejected.
    static std::uint64_t forget_all(int stream_id);
    static void forget_mended(int stream_id);

    // For a read of everything: begins to remember which rows were rejected, …
    void remember_seen();
    // … and at its end removes what was rejected before and wasn't met any more. Called through an Spi.
    void forget_vanished();

  private:
    void remember(const std::vector<RowReject>& rows, const std::vector<SourceReject>& from_source);
    // Both return the numbers of the rows of insync.error that are new or changed.
    std::vector<std::string> store_rows(const std::vector<RowReject>& rows, const std::string& watermark);
    std::vector<std::string> store_source(const std::vector<SourceReject>& rejects);

    const Stream& stream_;
    std::string operation_;
    std::string key_;          // SQL over b: the source key as jsonb of texts
    std::string fingerprint_;  // SQL over b
    bool has_errors_;
    std::unique_ptr<SeenKeys> seen_;  // fingerprints; also of batches that were rolled back, which met the row as well
};

}  // namespace insync
