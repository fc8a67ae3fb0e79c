// sync_replay: applies rejected rows again, as they stand in insync.error now.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
}

#include "bgworker/apply/applier.hpp"
#include "bgworker/apply/json_records.hpp"
#include "bgworker/apply/key_only_rows.hpp"
#include "bgworker/apply/rejects.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/runs.hpp"
#include "bgworker/catalog/stream_lock.hpp"
#include "bgworker/pg/function_call.hpp"

using namespace insync;

namespace {

// Rows that are taken from insync.error and applied together.
constexpr int replay_rows = 1000;

// Which rejects can be applied together; SQL over x.
constexpr const char* upserts = "x.operation = 'upsert'";
// A delete that the target refused, of a row whose key at the source nothing tells.
constexpr const char* keyed_here =
    "x.operation = 'delete' AND x.error_type = 'constraint' AND coalesce(jsonb_typeof(x.key), 'null') = 'null'";

// Deletes whose record is a whole row of the source, or its key alone.
std::string deletes_of(const Stream& stream, bool whole) {
    std::vector<std::string> fields;
    for (const auto& column : stream.source_columns) fields.push_back(column.field);
    return "x.operation = 'delete' AND NOT (" + std::string(keyed_here) + ") AND " + (whole ? "" : "NOT ") +
           "x.record ?& " + pg::quote_literal(to_array(fields)) + "::text[]";
}

class Replay {
  public:
    // Of the rejects that `which` (SQL over x) selects, and whose rows have these columns.
    Replay(const Stream& stream, const std::string& which, const std::vector<SourceColumn>& columns)
        : stream_(stream), which_(which), columns_(columns) {
        encode_ = "SELECT " + record_values(columns) + " FROM jsonb_to_record($1::jsonb) AS r (" +
                  record_types(columns) + ")";
        mark_last();
    }
    bool is_empty() const { return last_ == 0; }
    std::int64_t taken() const { return std::ssize(taken_); }

    // Takes the next rows out of insync.error; those that still have another form than the source's columns go back.
    bool next(std::int64_t* after, Batch& batch) {
        take(after);
        batch.clear();
        pg::PinnedSettings settings;
        pg::Spi spi;
        for (const auto& row : taken_) encode(*row[1], row[2], batch);
        return !taken_.empty();
    }

    // The same as a JSON array of their records, as they are.
    bool next(std::int64_t* after, std::string& records) {
        take(after);
        auto array = nlohmann::json::array();
        for (const auto& row : taken_) array.push_back(nlohmann::json::parse(*row[1]));
        records = array.dump();
        return !taken_.empty();
    }

    // After the rows of next() were applied.
    void remember_mended() { Rejects::note_replayed(stream_.id, taken_); }

  private:
    void mark_last() {
        Bookkeeping bookkeeping;
        auto rows = pg::query(
            "SELECT coalesce(max(x.id), 0) FROM insync.error AS x WHERE x.stream_id = $1::integer AND " + which_,
            {std::to_string(stream_.id)});
        last_ = std::stoll(*rows.first()[0]);
    }

    void take(std::int64_t* after) {
        taken_ = Rejects::take(stream_.id, which_, *after, last_, replay_rows).rows;
        for (const auto& row : taken_) *after = std::max<std::int64_t>(*after, std::stoll(*row[0]));
    }

    void encode(const std::string& record, const pg::Value& key, Batch& batch) {
        pg::Subtransaction subtransaction;
        try {
            auto rows = pg::query(encode_, {record});
            subtransaction.commit();
            append_record(batch, columns_, rows.first());
        } catch (const pg::Error& error) {
            if (!error.is_data_fault()) throw;
            subtransaction.rollback();
            batch.append_reject({{"key", key ? nlohmann::json::parse(*key) : nlohmann::json()},
                                 {"record", nlohmann::json::parse(record)},
                                 {"sqlstate", error.state()},
                                 {"message", error.message}});
        }
    }

    const Stream& stream_;
    const std::string which_;
    const std::vector<SourceColumn> columns_;
    std::string encode_;
    std::vector<std::vector<pg::Value>> taken_;
    std::int64_t last_ = 0;
};

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(sync_replay);

Datum sync_replay(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_replay()");
        Stream stream = load_stream(required_text(fcinfo, 0, "name"));
        StreamLock lock(stream.id, StreamLock::short_patience_ms, StreamLock::Until::transaction_end);
        if (!lock.held()) {
            throw pg::Error(ERRCODE_OBJECT_IN_USE, "stream \"" + stream.name + "\" is running", "",
                            "Call sync_replay() again when the run has ended.");
        }
        stream = load_stream(stream.name);  // as who was waited for has left it
        require_owner(stream);              // whether or not there is anything to replay
        {
            // Applying makes constraints immediate, which fires what is deferred: what the caller has deferred is to
            // be fired by the caller, and not as the stream's owner.
            pg::Spi spi;
            pg::query("SET CONSTRAINTS ALL IMMEDIATE");
        }
        stream.options.set(&StreamOptions::max_rejects, nullptr);  // every row here was rejected before
        RunCounts counts;
        std::int64_t run_id = 0;
        auto run = [&] {
            if (run_id == 0) run_id = Runs::insert(stream, "replay", "running", "call");
            return run_id;
        };
        auto replay = [&](const std::string& which, const std::vector<SourceColumn>& columns, RowKind kind) {
            Replay rejected(stream, which, columns);
            if (rejected.is_empty()) return;
            Applier applier(stream, columns, true, kind);
            std::int64_t after = 0;
            for (Batch batch; rejected.next(&after, batch);) {
                run();
                counts.add(applier.apply(batch, run));
                applier.committed();
                rejected.remember_mended();
            }
        };
        auto delete_by_key = [&] {
            Replay rejected(stream, keyed_here, stream.source_columns);
            if (rejected.is_empty()) return;
            Applier applier(stream, stream.source_columns, true);
            std::int64_t after = 0;
            for (std::string records; rejected.next(&after, records);) {
                run();
                counts.rows_read += rejected.taken();
                counts.add(applier.delete_by_key(records, run));
            }
        };
        replay(upserts, stream.source_columns, RowKind::full);
        if (stream.options.deletes != DeleteMode::ignore) {
            replay(deletes_of(stream, true), stream.source_columns, RowKind::deleted_key);
            replay(deletes_of(stream, false), key_columns(stream), RowKind::deleted_key);
            delete_by_key();
        }
        if (run_id != 0) Runs::finish(run_id, "succeeded", counts, nullptr, "");
        return record_result(fcinfo,
                             {std::to_string(counts.rows_read - counts.rejected), std::to_string(counts.rejected)});
    });
}
}
