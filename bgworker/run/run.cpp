// A run, readable top to bottom; see run.hpp.
#include "bgworker/run/run.hpp"

extern "C" {
#include "pgstat.h"
#include "utils/timestamp.h"
}

#include <algorithm>
#include <cmath>

#include "bgworker/apply/key_only_rows.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/dependencies.hpp"
#include "bgworker/catalog/outcome.hpp"
#include "bgworker/catalog/runs.hpp"
#include "bgworker/catalog/server.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/catalog/watermarks.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/clock/zone_name.hpp"
#include "bgworker/pg/settings.hpp"
#include "bgworker/pg/time_zone.hpp"
#include "bgworker/run/read_request.hpp"
#include "bgworker/shmem/shared_state.hpp"
#include "bgworker/target/target_rights.hpp"

namespace insync {

namespace {

void report_activity(const std::string& text) {
    const char* activity = text.c_str();
    pg::call([&] { pgstat_report_activity(STATE_RUNNING, activity); });
}

void set_live_state(int stream_id, LiveState state) {
    shared::update_live(stream_id, [&](LiveStream& live) { live.state = state; });
}

// In a zone with daylight saving the hour before the clocks go back happens twice: a naive watermark then repeats, and
// rows of its second pass are older than what was read. The overlap grows by as much as the clocks went back.
std::int64_t repeated_seconds(const Stream& stream, const StreamState& state, std::int64_t lookback_s) {
    std::string zone = server_zone(stream.options.source_time_zone.text);
    if (zone.empty() || stream.watermark_kind != "time" || !state.watermark) return 0;
    Bookkeeping bookkeeping;
    pg::Subtransaction subtransaction;
    try {
        auto rows = pg::query(
            "SELECT greatest(0, extract(epoch FROM (b - b_utc) - (a - a_utc)))::bigint FROM ("
            " SELECT b, b AT TIME ZONE $2 AT TIME ZONE 'UTC' AS b_utc, a, a AT TIME ZONE $2 AT TIME ZONE 'UTC' AS "
            "a_utc FROM ("
            " SELECT w - interval '1 hour' - $3::bigint * interval '1 second' AS b, w + interval '1 hour' AS a"
            " FROM (SELECT $1::timestamp AS w) AS x) AS y) AS z",
            {*state.watermark, zone, std::to_string(lookback_s)});
        subtransaction.commit();
        return rows.first()[0] ? std::stoll(*rows.first()[0]) : 0;
    } catch (const pg::Error& error) {
        if (error.is_interrupt()) throw;
        return 0;  // a watermark that PostgreSQL can't read as a time has no hour that repeats
    }
}

}  // namespace

Run::Run(const Stream& stream, const RunRequest& request, Transactions& transactions)
    : stream_(stream),
      request_(request),
      transactions_(transactions),
      mode_(request.mode.empty() ? stream.mode : request.mode),
      reader_(stream, [this](const nlohmann::json& frame) { use_columns(frame); }),
      run_id_(0),
      started_at_(GetCurrentTimestamp()),
      retry_at_(DT_NOEND) {
    shared::update_live(stream.id, [&](LiveStream& live) {
        if (live.polls > 0) quiet_reread_ = live.rows_read;  // all that a quiet poll reads is of the overlap
        live.state = LiveState::starting;
        live.pid = MyProcPid;
        live.started_at = started_at_;
        live.run_id = request.run_id;
        live.batches = live.rows_read = live.written = live.bytes = 0;
    });
}

Run::~Run() {
    // However it ended, this process is no longer at it: sync_cancel() must not meet whoever comes next.
    shared::release_live();
}

void Run::begin() {
    in_transaction([&] {
        met_ = server_version(stream_.server, stream_.owner_oid);
        require_owner(stream_);
        if (request_.trigger == "request" || request_.trigger == "call") record_start();
    });
}

RunCounts Run::execute(ConnectorProcess& connector) {
    try {
        return with_protocol_errors(connector, [&] {
            load(connector);
            Batch batch;
            while (reader_.next(batch)) apply(batch);
            finish();
            return counts_;
        });
    } catch (pg::Error& error) {
        // Instead of PostgreSQL's own context, which may quote the rows.
        error.set_context("stream " + stream_.name + (run_id_ != 0 ? ", run " + std::to_string(run_id_) : "") +
                          ", after " + std::to_string(counts_.batches) + " batches with " +
                          std::to_string(counts_.rows_read) + " rows" +
                          (watermark_.empty() ? "" : ", watermark " + watermark_));
        transactions_.rollback();
        if (!error.is_interrupt()) transactions_.run([&] { name_lacking_rights(error, stream_); });
        fail(error);
        error.recorded = true;
        throw;
    }
}

// Reads where the stream stands, asks the connector to read on from there, and builds the statements for what it sends.
void Run::load(ConnectorProcess& connector) {
    std::int64_t repeated = 0;
    in_transaction([&] {
        state_ = load_state(stream_.id);
        require_same_target(stream_, mode_ == "full" || state_.position.is_null());
        repeated = repeated_seconds(stream_, state_, lookback_seconds(stream_));
        // What can only be told afterwards (polls) is recorded with their first batch; a first load now, so that a
        // crash shows.
        if (state_.position.is_null()) record_start();
    });
    position_ = state_.position;
    compares_keys_ = (mode_ == "full" || mode_ == "keys") && stream_.options.deletes != DeleteMode::ignore &&
                     !stream_.options.operation_column.is_given;
    if (mode_ == "keys") check_key_scan(stream_);
    saves_position_ = mode_ == stream_.mode;
    // The keys seen so far are lost with the process that saw them, so a read that compares keys starts over.
    bool inside_full = position_.is_object() && position_.value("phase", "") == "full";
    bool resumes = saves_position_ && !(compares_keys_ && inside_full);
    report_activity(stream_.name + ": reading " + stream_.source);
    set_live_state(stream_.id, LiveState::running);
    reader_.request(connector, make_read_request(stream_, mode_, resumes ? position_ : nlohmann::json(), repeated));
}

void Run::use_columns(const nlohmann::json& frame) {
    const RowKind kind = row_kind_of(frame);
    if ((kind == RowKind::live_key) != (mode_ == "keys") ||
        (kind == RowKind::deleted_key && !stream_.options.delete_feed.is_given))
        throw ProtocolError("unexpected row kind " + std::to_string(static_cast<int>(kind)));
    use_columns(kind);
}

void Run::use_columns(RowKind kind) {
    has_new_columns_ = true;
    transactions_.run([&] {
        if (applier_) {
            applier_->use(reader_.columns(), kind);
        } else {
            applier_.emplace(stream_, reader_.columns(), state_.has_errors, kind);
            if (compares_keys_) applier_->collect_keys();
        }
        if (applier_->columns_changed()) Streams::save_source_columns(stream_.id, applier_->columns());
    });
    if (!applier_->added_columns().empty()) tell_added_columns();
}

// Rows that were read before the source had a column have nothing in it until they are read again.
void Run::tell_added_columns() {
    if (mode_ == "full" || state_.position.is_null()) return;
    note_ += (note_.empty() ? "" : "; ") + ("new in the target: " + applier_->added_columns()) +
             ", which is NULL in rows that were read before; to fill it: SELECT sync_trigger(" +
             pg::quote_literal(stream_.name) + ", 'full')";
    in_transaction([&] { record_start(); });
}

bool Run::keeps_position(const Batch& batch) const {
    return !saves_position_ || batch.position.is_null() || batch.position == position_;
}

// One batch, one transaction; again if somebody was in the way.
void Run::apply(const Batch& batch) {
    if (batch.position.is_object()) reached_ = batch.position;
    if (batch.rows() + batch.rejects.size() == 0 && keeps_position(batch)) return;
    if (!applier_) throw ProtocolError("rows without columns");
    if (applier_->is_locked_out() && !has_new_columns_) use_columns(RowKind::full);
    has_new_columns_ = false;
    report_activity(stream_.name + ": applying batch " + std::to_string(counts_.batches + 1) + ", " +
                    std::to_string(counts_.rows_read + static_cast<std::int64_t>(batch.rows())) + " rows");
    set_live_state(stream_.id, LiveState::processing);
    for (int attempt = 0;; attempt++) {
        try {
            RunCounts total = in_transaction([&] { return apply_once(batch); });
            applier_->committed();
            counts_ = total;
            if (!keeps_position(batch)) {
                position_ = batch.position;
                watermark_ = batch.watermark;
            }
            break;
        } catch (const TooManyRejects&) {
            keep_rejects(batch);
            throw;
        } catch (const pg::Error& error) {
            if (!error.is_transient() || attempt + 1 == batch_attempts) throw;
        }
        wait_before_retry(attempt);
    }
    shared::update_live(stream_.id, [&](LiveStream& live) {
        live.state = LiveState::running;
        live.run_id = run_id_;
        live.batches = counts_.batches;
        live.rows_read = counts_.rows_read;
        live.written = counts_.inserted + counts_.updated + counts_.deleted + counts_.vanished;
        live.bytes = counts_.bytes;
    });
    if (request_.notices) {
        std::string text = stream_.name + ": " + std::to_string(counts_.rows_read) + " rows read, " +
                           std::to_string(counts_.inserted) + " inserted, " + std::to_string(counts_.updated) +
                           " updated, " + std::to_string(counts_.rejected) + " rejected" +
                           (counts_.filtered > 0 ? ", " + std::to_string(counts_.filtered) + " filtered out" : "");
        const char* notice = text.c_str();
        pg::call([&] { ereport(NOTICE, (errmsg_internal("%s", notice))); });
    }
}

void Run::keep_rejects(const Batch& batch) {
    counts_.rejected += in_transaction([&] {
        return applier_->keep_rejects(batch, [&] {
            record_start();
            return run_id_;
        });
    });
}

// Changes nothing of the run but its id, as the commit may fail. Returns the counts that the run then has.
RunCounts Run::apply_once(const Batch& batch) {
    RunCounts counts = applier_->apply(batch, [&] {
        record_start();
        return run_id_;
    });
    RunCounts total = counts_;
    total.add(counts);
    bool moved = !keeps_position(batch);
    if (counts.wrote() || moved) {
        record_start();
        Runs::save_progress(run_id_, total);
        if (moved) Watermarks::save(stream_.id, batch.position, batch.watermark);
    }
    return total;
}

void Run::record_start() {
    if (run_id_ != 0) return;
    if (auto live = shared::read_live(stream_.id); live && live->polls > 0) {
        const std::int64_t quiet = Runs::insert_quiet_polls(stream_, stream_.mode, live->polls,
                                                            to_unix_us(live->quiet_since), to_unix_us(live->last_poll));
        Runs::save_reread(quiet, quiet_reread_);
        shared::update_live(stream_.id, [](LiveStream& item) { item.polls = 0; });
    }
    if (request_.run_id != 0) {
        Runs::start_queued(request_.run_id, mode_, to_unix_us(started_at_));
        run_id_ = request_.run_id;
    } else {
        run_id_ = Runs::insert(stream_, mode_, "running", request_.trigger, to_unix_us(started_at_));
    }
    note_run(stream_.id, to_unix_us(started_at_));
}

}  // namespace insync
