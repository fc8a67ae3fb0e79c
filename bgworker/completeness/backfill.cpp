// Reads and applies a slice; see backfill.hpp.
#include "bgworker/completeness/backfill.hpp"

#include <algorithm>

extern "C" {
#include "pgstat.h"
}

#include "bgworker/apply/key_only_rows.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/notify.hpp"
#include "bgworker/catalog/server.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/ledger/ledgers.hpp"
#include "bgworker/ledger/slices.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/run/read_request.hpp"

namespace insync {

namespace {

void report_activity(const std::string& text) {
    const char* activity = text.c_str();
    pg::call([&] { pgstat_report_activity(STATE_RUNNING, activity); });
}

}  // namespace

Backfill::Backfill(const Stream& stream, const Job& job, Transactions& transactions)
    : stream_(stream),
      job_(job),
      transactions_(transactions),
      reader_(stream, [this](const nlohmann::json& frame) { use_columns(frame); }) {}

void Backfill::execute(ConnectorProcess& connector) {
    with_protocol_errors(connector, [&] {
        load();
        read(connector, request_);
        if (applier_ && deletes_ && may_have_vanished()) {
            reread_moved(connector);
        } else {
            deletes_ = false;
        }
        try {
            settle();
        } catch (const DeletesRefused& error) {
            transactions_.rollback();
            refuse(error);
        } catch (const TooManyRejects&) {
            transactions_.rollback();
            transactions_.run([&] { applier_->keep_refused([&] { return job_.run_id; }); });
            throw;
        }
    });
}

void Backfill::load() {
    report_activity(stream_.name + ": backfilling from " + job_.window.from.value_or("the beginning"));
    transactions_.run([&] {
        require_owner(stream_);
        auto ledger = Ledgers::load(stream_.id);
        if (!ledger)
            throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                            "stream \"" + stream_.name + "\" no longer has slices");
        ledger_ = *ledger;
        state_ = load_state(stream_.id);
        Window window;
        {
            const pg::OwnerScope scope(stream_.owner_oid);
            auto target = describe_target(stream_.target_schema, stream_.target_table);
            const TargetColumn* column = target ? target->find(ledger_.column) : nullptr;
            if (column == nullptr)
                throw pg::Error(ERRCODE_UNDEFINED_COLUMN,
                                "the target has no column \"" + ledger_.column + "\" any more");
            if (job_.options.value("no_time", false)) {
                window = {require_slice_source(stream_, ledger_).name, {}, {}, true};
                target_window_ = "t." + pg::quote_identifier(column->name) + " IS NULL";
            } else {
                window = source_window(stream_, ledger_, *column, job_.window);
                target_window_ = target_window(ledger_, *column, job_.window);
                // Where clocks go back at midnight, a bit of a day stands in the next one.
                auto around = pg::query("SELECT $1::timestamp - interval '1 day', $2::timestamp + interval '1 day'",
                                        {job_.window.from, job_.window.to});
                target_surroundings_ = target_window(ledger_, *column, {around.first()[0], around.first()[1]});
            }
        }
        request_ = make_read_request(stream_, "full", nullptr);
        request_.window = std::move(window);
    });
    deletes_ = stream_.options.deletes != DeleteMode::ignore && !stream_.options.operation_column.is_given;
}

void Backfill::use_columns(const nlohmann::json& frame) {
    const RowKind kind = row_kind_of(frame);
    if (kind != RowKind::full) throw ProtocolError("unexpected row kind " + std::to_string(static_cast<int>(kind)));
    transactions_.run([&] {
        if (applier_) {
            applier_->use(reader_.columns(), kind);
        } else {
            applier_.emplace(stream_, reader_.columns(), state_.has_errors, kind);
            applier_->count_source_slices();
            applier_->limit_deletes(target_window_);
            if (deletes_) applier_->collect_keys(Applier::Covers::part);
        }
        if (applier_->columns_changed()) Streams::save_source_columns(stream_.id, applier_->columns());
    });
}

void Backfill::read(ConnectorProcess& connector, const ReadRequest& request) {
    reader_.request(connector, request);
    Batch batch;
    while (reader_.next(batch)) {
        if (batch.rows() + batch.rejects.size() > 0) apply(batch);
    }
}

void Backfill::apply(const Batch& batch) {
    if (!applier_) throw ProtocolError("rows without columns");
    for (int attempt = 0;; attempt++) {
        try {
            const auto counts = transactions_.run([&] {
                auto applied = applier_->apply(batch, [&] { return job_.run_id; });
                add_progress(job_, applied);
                return applied;
            });
            applier_->committed();
            written_ += counts.inserted + counts.updated;
            return;
        } catch (const TooManyRejects&) {
            transactions_.run([&] { applier_->keep_rejects(batch, [&] { return job_.run_id; }); });
            throw;
        } catch (const pg::Error& error) {
            if (!error.is_transient() || attempt + 1 == batch_attempts) throw;
        }
        wait_before_retry(attempt);
    }
}

// Has the ledger as many rows as the source in each slice of the window?
bool Backfill::ledger_agrees() {
    Bookkeeping bookkeeping;
    SliceChanges held;
    auto rows = pg::query("SELECT " + bucket_number("s.bucket") +
                              ", s.rows FROM insync.slice AS s WHERE s.stream_id = $1::integer AND (s.bucket >= "
                              "$2::timestamp OR $2 IS NULL) AND (s.bucket < $3::timestamp OR $3 IS NULL)",
                          {std::to_string(stream_.id), job_.window.from, job_.window.to});
    for (const auto& row : rows.rows) held[std::stoll(*row[0])] = std::stoll(*row[1]);
    return std::all_of(held.begin(), held.end(), [&](const auto& slice) {
        auto found = applier_->source_slices().find(slice.first);
        return slice.second == (found != applier_->source_slices().end() ? found->second : 0);
    });
}

// Where the target holds as many rows as the source in each slice of the window, and nothing was rejected, it holds the
// same ones, as all of the source's are in it.
bool Backfill::may_have_vanished() {
    if (applier_->rejected_rows() > 0) return true;
    return transactions_.run([&] {
        auto ledger = Ledgers::load(stream_.id);
        return !ledger || !ledger->complete || !ledger_agrees();
    });
}

// What somebody else had done to the target's rows, and was mended now, is counted as if it had not been done.
// Not while all rows are being counted, as that adds to what is here.
void Backfill::recount() {
    const auto ledger = Ledgers::load(stream_.id);
    if (!ledger || !ledger->complete) return;
    const auto held = applier_->held_slices(target_surroundings_);
    if (!held) return;
    Slices::recount(stream_.id, job_.window, *held);
}

// What the window no longer has may stand in another slice at the source now: such rows are read by their keys, and
// applied, before those that are nowhere are deleted.
void Backfill::reread_moved(ConnectorProcess& connector) {
    // A row that has moved is another one where whole rows are compared.
    if (stream_.compares_whole_rows()) return;
    if (transactions_.run([&] { return kind_of_server(stream_.server); }) != Kind::odbc) return;
    auto keys = transactions_.run([&] { return applier_->vanished_keys(); });
    if (!keys) {
        deletes_ = false;
        message_ = "nothing was deleted, because the target's columns do not contain the source's key";
        return;
    }
    if (keys->empty()) {
        deletes_ = false;
        return;
    }
    ReadRequest request = request_;
    request.window.reset();
    for (auto& part : in_parts(*keys)) {
        request.only = std::move(part);
        read(connector, request);
    }
}

void Backfill::settle() {
    for (const auto& [bucket, rows] : applier_ ? applier_->source_slices() : SliceChanges()) source_rows_ += rows;
    transactions_.run([&] {
        RunCounts counts;
        const bool recounts = job_.window.from && job_.window.to && (deletes_ || written_ > 0) && !ledger_agrees();
        if (recounts) Ledgers::lock(stream_.id);
        if (deletes_) counts = applier_->delete_vanished([&] { return job_.run_id; });
        if (recounts) recount();
        mark_slices(applier_ ? applier_->refused_deletes() : 0);
        add_progress(job_, counts);
        finish_job(job_, source_rows_, message_);
    });
}

// The other slices go on: each of them is guarded for itself.
void Backfill::refuse(const DeletesRefused& error) {
    refusal_ = error;
    transactions_.run([&] {
        mark_slices(error.vanished);
        refuse_job(job_, error);
        send_alert(stream_, "deletes_refused", error.message);
    });
}

// What the source had in the slices of the window. Of rejected rows it isn't known which slice they are in.
void Backfill::mark_slices(std::int64_t refused) {
    Slices::note_read(stream_.id, ledger_.unit, job_.window, applier_ ? applier_->source_slices() : SliceChanges(),
                      applier_ ? applier_->rejected_rows() : 0, refused);
}

}  // namespace insync
