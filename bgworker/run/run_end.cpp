// How a run ends; see run.hpp.
#include "bgworker/run/run.hpp"

extern "C" {
#include "pgstat.h"
#include "utils/timestamp.h"
}

#include <algorithm>
#include <cmath>

#include "bgworker/catalog/notify.hpp"
#include "bgworker/catalog/outcome.hpp"
#include "bgworker/catalog/runs.hpp"
#include "bgworker/catalog/watermarks.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/ledger/ledger_choice.hpp"
#include "bgworker/shmem/shared_state.hpp"

namespace insync {

namespace {

constexpr const char* rare_logins =
    "Until the server or the user mapping is changed, the workers log in rarely, because refused logins can lock an "
    "account: next_run of sync_status() says when.";

}  // namespace

// Deletes what vanished, if the stream does that, and closes the run; a quiet poll is only counted.
void Run::finish() {
    // What the source says that it hasn't changed, it hasn't sent: nothing of it has vanished.
    if (compares_keys_ && applier_ && !done_flag("unchanged")) {
        auto run_id = [&] {
            record_start();
            return run_id_;
        };
        try {
            counts_ = in_transaction([&] {
                RunCounts total = counts_;
                total.add(applier_->delete_vanished(run_id));
                total.updated += applier_->undelete_present();
                if (total.vanished + total.updated > counts_.vanished + counts_.updated) record_start();
                if (run_id_ != 0) Runs::save_progress(run_id_, total);
                save_feed_position();
                return total;
            });
        } catch (const TooManyRejects&) {
            counts_.rejected += in_transaction([&] { return applier_->keep_refused(run_id); });
            throw;
        }
        if (applier_->unreadable_rows() > 0) {
            note_ = "nothing was deleted, because " + std::to_string(applier_->unreadable_rows()) +
                    " rows of the source could not be read";
        }
    }
    const auto told_lag = reader_.done().find("lag_seconds");
    double lag = told_lag != reader_.done().end() && told_lag->is_number() ? told_lag->get<double>() : NAN;
    if (const auto reread = reader_.done().find("reread_rows"); reread != reader_.done().end())
        reread_ = reread->is_number_integer() ? reread->get<std::int64_t>() : 0;
    std::string message = closing_message();
    // After a run that failed or was cancelled, a good one is told.
    const bool quiet = run_id_ == 0 && !(applier_ && applier_->has_altered_target()) && state_.failures == 0 &&
                       state_.last_run_succeeded && request_.trigger == "schedule" &&
                       shared::read_live(stream_.id).has_value();
    if (!quiet && counts_.wrote()) in_transaction([&] { judge_ledger(stream_); });
    const std::int64_t started_us = to_unix_us(started_at_);
    if (!quiet || started_us - state_.last_run_us.value_or(0) >= note_interval_us) {
        in_transaction([&] {
            if (!quiet) {
                record_start();
                Runs::finish(run_id_, "succeeded", counts_, nullptr, message);
                if (reread_ > 0) Runs::save_reread(run_id_, reread_);
            }
            record_success(stream_.id, started_us, mode_ != "keys", state_.failures > 0, met_);
        });
    }
    if ((mode_ == "full" || mode_ == "keys") && stream_.options.reconcile.is_given)
        in_transaction([&] { Watermarks::note_reconciled(stream_.id); });
    std::string shown = shared::clip_message(message);
    shared::update_live(stream_.id, [&](LiveStream& live) {
        live.state = LiveState::idle;
        live.pid = 0;
        live.lag_seconds = lag;
        live.last_poll = started_at_;
        live.next_run = retry_at_;  // until the schedule is looked at again
        strlcpy(live.message, shown.c_str(), sizeof live.message);
        if (quiet && live.polls++ == 0) live.quiet_since = started_at_;
    });
    shared::announce_run_end();
}

// What was deleted before everything was read has vanished with it: the stream's feed of deletes goes on from there.
void Run::save_feed_position() {
    const auto deletes = reached_.find("deletes");
    if (saves_position_ || deletes == reached_.end() || !position_.is_object() || applier_->unreadable_rows() > 0)
        return;
    position_["deletes"] = *deletes;
    Watermarks::save(stream_.id, position_, state_.watermark.value_or(""));
}

std::string Run::closing_message() const {
    std::string text = note_;
    if (applier_) {
        const std::string notes = applier_->notes();
        text += (text.empty() || notes.empty() ? "" : "; ") + notes;
    }
    auto add = [&](const char* member, const char* what) {
        auto found = reader_.done().find(member);
        if (found == reader_.done().end() || !found->is_number_integer() || found->get<std::int64_t>() == 0) return;
        text += (text.empty() ? "" : "; ") + std::to_string(found->get<std::int64_t>()) + what;
    };
    add("future_rows", " rows have a watermark beyond the source's clock, which does not move the stream's");
    add("null_watermarks", " rows without a watermark");
    add("superseded_rows", " rows are older than another one with the same key");
    if (std::string warning = text_member(reader_.done(), "warning"); !warning.empty())
        text += (text.empty() ? "" : "; ") + warning;
    return text;
}

bool Run::done_flag(const char* member) const {
    auto found = reader_.done().find(member);
    return found != reader_.done().end() && found->is_boolean() && found->get<bool>();
}

// Counts of rows that were written alone could be the same rows each time.
bool Run::has_progressed() const {
    if (counts_.inserted + counts_.updated + counts_.deleted + counts_.vanished == 0) return false;
    return saves_position_ ? position_ != state_.position : counts_.inserted + counts_.deleted + counts_.vanished > 0;
}

void Run::fail(const pg::Error& error) {
    transactions_.rollback();
    if (error.recorded) return;
    bool cancelled = error.sqlstate == ERRCODE_QUERY_CANCELED;
    // By whom, or by which time-out, stands in PostgreSQL's own words.
    std::string hint = error.hint;
    if (error.error_class == pg::ErrorClass::auth && stream_.schedule)
        hint += (hint.empty() ? "" : " ") + std::string(rare_logins);
    std::string message = (cancelled ? "cancelled: " : "") + error.message +
                          (error.detail.empty() ? "" : "\nDETAIL: " + error.detail) +
                          (hint.empty() ? "" : "\nHINT: " + hint);
    transactions_.run([&] {
        // The stream may have been dropped meanwhile; then there is nothing to keep books about.
        if (!load_stream(stream_.id)) return;
        bool repeated =
            run_id_ == 0 && request_.trigger == "schedule" && !cancelled && Runs::repeat_failure(stream_.id, message);
        if (!repeated) {
            record_start();
            Runs::finish(run_id_, cancelled ? "cancelled" : "failed", counts_, &error, message);
            if (dynamic_cast<const DeletesRefused*>(&error) != nullptr)
                send_alert(stream_, "deletes_refused", error.message);
        }
        const FailedRun failed{to_unix_us(started_at_), request_.trigger != "call", has_progressed(), met_};
        if (cancelled) return note_cancelled_run(stream_.id, failed);
        if (auto retry = record_failure(stream_, error, failed)) retry_at_ = *retry - postgres_epoch_us;
    });
    std::string shown = shared::clip_message(message);
    shared::update_live(stream_.id, [&](LiveStream& live) {
        live.state = LiveState::idle;
        live.pid = 0;
        live.last_poll = started_at_;
        live.next_run = retry_at_;  // until the schedule is looked at again
        strlcpy(live.message, shown.c_str(), sizeof live.message);
    });
    shared::announce_run_end();
}

}  // namespace insync
