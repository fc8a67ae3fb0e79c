// Verifies slices; see verification.hpp.
#include "bgworker/completeness/verification.hpp"

extern "C" {
#include "pgstat.h"
}

#include <algorithm>
#include <map>

#include "bgworker/apply/key_only_rows.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/server.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/completeness/differences.hpp"
#include "bgworker/ledger/ledgers.hpp"
#include "bgworker/ledger/slices.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/run/read_request.hpp"

namespace insync {

namespace {

// How many keys of differing rows are kept; all of them are counted.
constexpr std::size_t most_keys = 10000;

// From when on rows count as changing: what the stream hasn't read yet, and what is younger than option min_age by the
// source's own clock.
std::optional<Unsettled> unsettled_from(const Stream& stream, const nlohmann::json& opened) {
    const StreamState state = load_state(stream.id);
    if (stream.watermark.size() != 1 || !state.watermark) return std::nullopt;
    const SourceColumn* column = find_field(stream.source_columns, fold_name(stream.watermark.front()));
    if (column == nullptr) return std::nullopt;
    const std::string clock = text_member(opened, "source_now");
    Bookkeeping bookkeeping;
    pg::Subtransaction subtransaction;
    try {
        pg::Value from;
        std::string type;
        switch (column->transport) {
            case Transport::int2:
            case Transport::int4:
            case Transport::int8:
            case Transport::numeric:
                type = "numeric";
                from = pg::query("SELECT trunc($1::numeric) + 1", {*state.watermark}).first()[0];
                break;
            case Transport::timestamp:
            case Transport::timestamptz:
                type = column->transport == Transport::timestamp ? "timestamp" : "timestamptz";
                from = pg::query("SELECT least($1::" + type + " + interval '1 microsecond', nullif($2, '')::" + type +
                                     " - $3::bigint * interval '1 millisecond')::timestamp",
                                 {*state.watermark, clock, std::to_string(stream.options.min_age.value.count())})
                           .first()[0];
                break;
            default:
                break;
        }
        subtransaction.commit();
        if (!from) return std::nullopt;
        return Unsettled{*from, type};
    } catch (const pg::Error& error) {
        if (!error.is_data_fault()) throw;
        return std::nullopt;  // a watermark that PostgreSQL can't read
    }
}

}  // namespace

Verification::Verification(const Stream& stream, SliceWindow window, Depth depth, Transactions& transactions)
    : stream_(stream),
      window_(std::move(window)),
      depth_(depth),
      transactions_(transactions),
      reader_(stream, [this](const nlohmann::json&) {
          transactions_.run([&] {
              if (applier_) {
                  applier_->use(reader_.columns());
              } else {
                  applier_.emplace(stream_, reader_.columns(), false);
                  applier_->collect_keys(Applier::Covers::part);
                  applier_->count_source_slices();
              }
              if (applier_->columns_changed()) Streams::save_source_columns(stream_.id, applier_->columns());
              if (unsettled_) applier_->ignore_unsettled(unsettled_->from, unsettled_->pg_type);
          });
      }) {}

const std::vector<SliceVerdict>& Verification::execute(SourceSession& session) {
    ConnectorProcess& connector = session.open(stream_, transactions_);
    std::string activity = stream_.name + ": verifying";
    const char* shown = activity.c_str();
    pg::call([&] { pgstat_report_activity(STATE_RUNNING, shown); });
    with_protocol_errors(connector, [&] {
        load(session.answer());
        judge(measuring_->execute(connector, transactions_));
        if (depth_ != Depth::counts || !measuring_->is_conclusive() || (unsettled_ && !is_odbc_)) compare(connector);
        count_unreadable();
    });
    return verdicts_;
}

void Verification::load(const nlohmann::json& opened) {
    transactions_.run([&] {
        require_owner(stream_);
        if (stream_.options.operation_column.is_given)
            throw pg::Error(
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "stream \"" + stream_.name + "\" reads a log of changes, which cannot be compared with rows", "",
                "Read all of it again: SELECT sync_reset(" + pg::quote_literal(stream_.name) + ").");
        is_odbc_ = kind_of_server(stream_.server) == Kind::odbc;
        ledger_ = Ledgers::load(stream_.id);
        unsettled_ = unsettled_from(stream_, opened);
        measuring_.emplace(stream_, ledger_, window_, depth_, unsettled_, text_member(opened, "hash_kind"));
    });
}

// What the measures alone tell. Of slices that differ in them, the rows are looked at, if that was asked for.
void Verification::judge(const SliceMeasures& measures) {
    const bool keeps = stream_.options.deletes == DeleteMode::ignore;
    for (const auto& [bucket, measure] : measures) {
        SliceVerdict found;
        found.bucket = bucket;
        found.measure = measure;
        if (!measuring_->is_conclusive()) {
            // The rows are going to tell.
        } else if (measure.held < measure.source - measure.unsettled) {
            found.missing = measure.source - measure.unsettled - measure.held;
        } else if (measure.held > measure.source && !keeps) {
            found.extra = measure.held - measure.source;
        } else if (measure.held == measure.source && measure.unsettled == 0 && !measure.equal) {
            found.changed = 1;  // at least
        }
        // To be looked at.
        if (measuring_->is_conclusive() && depth_ != Depth::counts && !measure.equal && found.is_whole())
            found.changed = 1;
        verdicts_.push_back(std::move(found));
    }
}

// Looks at the rows of slices that differ; of all, where nothing could be measured.
void Verification::compare(ConnectorProcess& connector) {
    auto window_of = [&](const SliceWindow& window, bool no_time) {
        std::optional<Window> asked;
        std::string condition;
        transactions_.run([&] {
            const pg::OwnerScope scope(stream_.owner_oid);
            const auto target = describe_target(stream_.target_schema, stream_.target_table);
            const TargetColumn* column = target && ledger_ ? target->find(ledger_->column) : nullptr;
            if (column == nullptr) return;
            if (no_time) {
                asked = Window{require_slice_source(stream_, *ledger_).name, {}, {}, true};
                condition = "t." + pg::quote_identifier(column->name) + " IS NULL";
            } else if (window.from || window.to) {
                asked = source_window(stream_, *ledger_, *column, window);
                condition = target_window(*ledger_, *column, window);
            }
        });
        compare_window(connector, asked, condition);
    };
    if (!measuring_->is_conclusive()) return window_of(window_, false);
    if (!ledger_) {
        const bool differs = !verdicts_.empty() && !verdicts_.front().is_whole();
        for (auto& found : verdicts_) found.missing = found.extra = found.changed = 0;
        if (differs) window_of(window_, false);
        return;
    }
    const auto broken = broken_windows();
    const bool no_time = std::any_of(verdicts_.begin(), verdicts_.end(), [](const SliceVerdict& found) {
        return found.bucket == SliceRule::no_time && !found.is_whole();
    });
    for (auto& found : verdicts_) found.missing = found.extra = found.changed = 0;
    for (const auto& window : broken) window_of(window, false);
    if (no_time) window_of({}, true);
}

// Rows of the source that can't be converted aren't here. Nobody knows which keys they have, but how many they are.
void Verification::count_unreadable() {
    if (unreadable_ == 0 || !measuring_->counts_source()) return;
    for (auto& found : verdicts_) {
        const std::int64_t missing = found.measure.source - found.measure.unsettled - found.measure.held;
        if (found.is_whole() && missing > 0) found.missing = missing;
    }
}

void Verification::compare_window(ConnectorProcess& connector, const std::optional<Window>& window,
                                  const std::string& condition) {
    ReadRequest request = make_read_request(stream_, "full", nullptr);
    request.window = window;
    applier_.reset();
    read(connector, request, [&](const Batch& batch) {
        auto found = transactions_.run([&] { return applier_->compare(batch, depth_ != Depth::rows); });
        for (auto& difference : found) note(std::move(difference));
    });
    if (!applier_) return;
    for (const auto& [bucket, rows] : applier_->source_slices()) {
        if (!measuring_->counts_source()) verdict(ledger_ ? bucket : 0).measure.source += rows;
    }
    applier_->limit_deletes(condition);
    if (stream_.options.deletes != DeleteMode::ignore && applier_->unreadable_rows() == 0) {
        auto vanished = transactions_.run([&] { return applier_->list_vanished(most_keys); });
        if (vanished.is_cut) {
            // Where so many are gone, they haven't moved.
            for (auto& difference : vanished.rows) keep(std::move(difference));
            for (const auto& [bucket, rows] : vanished.slices) verdict(bucket).extra += rows;
            listed_ = std::max(listed_, static_cast<std::int64_t>(most_keys) + 1);
        } else {
            if (!vanished.rows.empty()) sort_out_moved(connector, vanished.rows);
            for (auto& difference : vanished.rows) note(std::move(difference));
        }
    }
    unreadable_ += applier_->unreadable_rows();
}

// Counts a row that differs, and keeps its key where there is room: most of the target can differ.
void Verification::note(Difference difference) {
    SliceVerdict& slice = verdict(difference.bucket);
    slice.missing += difference.kind == Difference::Kind::missing;
    slice.extra += difference.kind == Difference::Kind::extra;
    slice.changed += difference.kind == Difference::Kind::changed;
    keep(std::move(difference));
}

void Verification::keep(Difference difference) {
    if (listed_++ >= static_cast<std::int64_t>(most_keys)) return;
    SliceVerdict& slice = verdict(difference.bucket);
    slice.differences.push_back(std::move(difference));
}

void Verification::read(ConnectorProcess& connector, const ReadRequest& request,
                        const std::function<void(const Batch&)>& take) {
    reader_.request(connector, request);
    Batch batch;
    while (reader_.next(batch)) {
        if (batch.rows() + batch.rejects.size() == 0) continue;
        if (!applier_) throw ProtocolError("rows without columns");
        take(batch);
    }
}

// What isn't in the slice at the source may be in another one: such a row has changed, or is changing, and isn't gone.
void Verification::sort_out_moved(ConnectorProcess& connector, std::vector<Difference>& extra) {
    if (!is_odbc_) return;
    auto keys = transactions_.run([&] { return applier_->vanished_keys(); });
    if (!keys) return;
    std::map<std::string, bool> present;
    ReadRequest request = make_read_request(stream_, "full", nullptr);
    for (auto& part : in_parts(*keys)) {
        request.only = std::move(part);
        read(connector, request, [&](const Batch& batch) {
            for (const auto& [key, is_unsettled] : transactions_.run([&] { return applier_->list_keys(batch); }))
                present[key] = is_unsettled;
        });
    }
    for (auto& item : extra) {
        if (present.contains(item.key)) item.kind = Difference::Kind::changed;
    }
    std::erase_if(extra, [&](const Difference& item) {
        return item.kind == Difference::Kind::changed && (present[item.key] || depth_ != Depth::rows);
    });
}

SliceVerdict& Verification::verdict(std::int64_t bucket) {
    auto found = std::find_if(verdicts_.begin(), verdicts_.end(),
                              [&](const SliceVerdict& item) { return item.bucket == bucket; });
    if (found != verdicts_.end()) return *found;
    SliceVerdict& made = verdicts_.emplace_back();
    made.bucket = bucket;
    return made;
}

std::vector<SliceWindow> Verification::broken_windows() {
    std::string buckets = "{";
    for (const auto& found : verdicts_) {
        if (!found.is_whole()) buckets += (buckets.size() > 1 ? "," : "") + std::to_string(found.bucket);
    }
    std::vector<SliceWindow> windows;
    if (buckets.size() == 1 || !ledger_) return windows;
    transactions_.run([&] {
        const std::string unit(name_of(ledger_->unit));
        Bookkeeping bookkeeping;
        // Slices that follow each other are one window.
        for (const auto& row : pg::query("SELECT min(y.bucket), max(y.bucket) + ('1 ' || $2)::interval FROM (SELECT "
                                         "x.bucket, count(x.is_first) OVER (ORDER BY x.bucket) AS part FROM (SELECT "
                                         "b.bucket, CASE WHEN lag(b.bucket) OVER (ORDER BY b.bucket) + ('1 ' || "
                                         "$2)::interval = b.bucket THEN NULL ELSE true END AS is_first FROM (SELECT " +
                                             bucket_of_number("u") +
                                             " AS bucket FROM unnest($1::bigint[]) AS u) AS b WHERE "
                                             "isfinite(b.bucket)) AS x) AS y GROUP BY y.part ORDER BY 1",
                                         {buckets + "}", unit})
                                   .rows)
            windows.push_back({row[0], row[1]});
    });
    return windows;
}

bool Verification::differs_without_time() const {
    return ledger_ && std::any_of(verdicts_.begin(), verdicts_.end(), [](const SliceVerdict& found) {
               return found.bucket == SliceRule::no_time && !found.is_whole();
           });
}

bool Verification::can_read_again_by_time() const {
    if (!ledger_) return false;
    if (is_odbc_) return true;
    const SourceColumn* column = slice_source(stream_, *ledger_);
    return column != nullptr && can_ask_for_windows(stream_, *column) && !differs_without_time();
}

bool Verification::is_whole() const {
    return std::all_of(verdicts_.begin(), verdicts_.end(), [](const SliceVerdict& found) { return found.is_whole(); });
}

std::int64_t Verification::source_rows() const {
    std::int64_t rows = 0;
    for (const auto& found : verdicts_) rows += found.measure.source;
    return rows;
}

std::string Verification::message() const {
    const auto broken =
        std::count_if(verdicts_.begin(), verdicts_.end(), [](const SliceVerdict& found) { return !found.is_whole(); });
    std::string text = ledger_ ? std::to_string(verdicts_.size()) + " slices, " + std::to_string(broken) + " differ"
                       : broken > 0 ? std::string("the target differs")
                                    : std::string("the target is whole");
    if (!measuring_->left_out().empty()) {
        std::string names;
        for (const auto& name : measuring_->left_out()) names += (names.empty() ? "" : ", ") + name;
        text += "; not compared where all else is equal: " + names;
    }
    if (unreadable_ > 0) text += "; " + std::to_string(unreadable_) + " rows of the source cannot be converted";
    if (listed_ > static_cast<std::int64_t>(most_keys))
        text += "; the keys of the first " + std::to_string(most_keys) + " rows are kept";
    return text;
}

void Verification::record(std::int64_t run_id) {
    if (!ledger_) return;
    nlohmann::json slices = nlohmann::json::array(), keys = nlohmann::json::array();
    for (const auto& found : verdicts_) {
        const std::int64_t differences = found.missing + found.extra + found.changed;
        // What moves is taken for what is here, so that it isn't missed until it is read.
        const std::int64_t source =
            found.is_whole() && found.measure.unsettled > 0 ? found.measure.held : found.measure.source;
        slices.push_back({{"b", found.bucket}, {"s", source}, {"d", differences}, {"h", found.measure.held}});
        for (const auto& item : found.differences)
            keys.push_back({{"b", item.bucket}, {"k", name_of(item.kind)}, {"v", nlohmann::json::parse(item.key)}});
    }
    Slices::note_verified(stream_.id, *ledger_, window_, slices);
    Differences::replace(stream_.id, run_id, window_, keys);
}

}  // namespace insync
