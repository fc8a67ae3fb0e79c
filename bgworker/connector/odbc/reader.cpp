// The phases of a read; see reader.hpp. How rows become frames stands in reader_rows.cpp.
#include "bgworker/connector/odbc/reader.hpp"

#include <algorithm>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/odbc/catalog.hpp"
#include "bgworker/connector/odbc/declared_columns.hpp"
#include "bgworker/connector/odbc/marker.hpp"
#include "bgworker/connector/odbc/plan_cache.hpp"
#include "bgworker/connector/odbc/read_position.hpp"
#include "bgworker/connector/odbc/sql/key_order.hpp"

namespace insync::odbc {

bool compares_texts(Connection& connection, const ReadPlan& plan) {
    const SourceColumn& column = plan.columns[*plan.watermark];
    if (column.type != Transport::text) return false;
    if (plan.dialect != Dialect::sqlite || column.affinity == Affinity::text) return true;
    const StatementText probe = storage_classes(plan, *plan.watermark);
    const std::vector<TextRow> rows = connection.query(probe.sql, probe.parameters);
    return rows.empty() || (rows[0][0] != "integer" && rows[0][0] != "real");
}

Reader::Reader(Connection& connection, const ReadRequest& request, FrameWriter& out)
    : connection_(connection), request_(request), out_(out), position_(request.position), from_(request.position) {
    encode_.replace_text = request.replace_text;
    encode_.null_zero_dates = request.null_zero_dates;
    encode_.source_has_zero_dates = connection.dialect() == Dialect::mysql;
    statements_before_ = connection.statements_sent;
    bytes_before_ = out.bytes_sent();
    bytes_at_position_ = out.bytes_sent();
}

void Reader::prepare_plan() {
    Relation relation = load_relation(connection_, request_.source);
    declare_columns(connection_.dialect(), relation.columns, request_.options);
    plan_ = make_read_plan(connection_.dialect(), std::move(relation), request_);
    for (SourceColumn& column : plan_.columns)
        column.is_key = std::find(request_.key_columns.begin(), request_.key_columns.end(), column.name) !=
                        request_.key_columns.end();
    check_key();
    if (!request_.full && !plan_.watermark) {
        throw Failure(FailureClass::config, "an incremental read needs a watermark", "",
                      "Name a watermark column, or read in mode full.");
    }
    if (plan_.watermark && plan_.kind == WatermarkKind::none) {
        const SourceColumn& column = plan_.columns[*plan_.watermark];
        throw Failure(FailureClass::config,
                      "column \"" + column.name + "\" of type " + column.source_type + " cannot be a watermark", "",
                      "A watermark is a time, a number, a rowversion or a text that grows with each change.");
    }
    resolve_marker(connection_, plan_);
    if (connection_.dialect() == Dialect::sqlite) {
        if (plan_.watermark) set_storage_class(*plan_.watermark);
        if (plan_.window) set_layout(plan_.window->time);
    }
    fetch_.emplace(plan_.columns);
    if (request_.row_identity.size() == 2) identity_.emplace(request_.row_identity);
    // Without a key no page can be run again, so every value has to be read whole the first time.
    fetch_->row_by_row = plan_.key.empty();
    note_watermark();
}

void Reader::note_watermark() {
    follows_texts_ = plan_.watermark && compares_texts(connection_, plan_);
    rejects_null_watermarks_ =
        plan_.has_nullable_watermark() && request_.null_watermark == ReadRequest::NullWatermark::reject;
}

// SQLite compares a text parameter with a number as text, unless the column has an affinity that says otherwise. What
// comes out of a view, a query or an expression has none that we could rely on, so the values are asked.
void Reader::set_storage_class(std::size_t index) {
    SourceColumn& column = plan_.columns[index];
    const bool reliable = !plan_.relation.is_query && !plan_.relation.is_view && column.affinity != Affinity::none;
    if (reliable) return;
    if (plan_.relation.has_marker) {
        if (plan_.watermark == index) return;  // resolved with the marker
        const bool number = watermark_kind(column, std::nullopt) == WatermarkKind::integer;
        column.parameter = number ? "CAST(? AS NUMERIC)" : "?";
        return;
    }
    const StatementText probe = storage_classes(plan_, index);
    const std::vector<TextRow> rows = connection_.query(probe.sql, probe.parameters);
    if (rows.empty()) return;
    auto is_number = [](const std::optional<std::string>& storage) {
        return storage == "integer" || storage == "real";
    };
    const bool low_number = is_number(rows[0][0]);
    if (low_number != is_number(rows[0][1]) || rows[0][1] == "blob") {
        throw Failure(FailureClass::config, "column \"" + column.name + "\" holds values of several types", "",
                      "A key or watermark has to hold only numbers or only texts.");
    }
    column.parameter = low_number ? "CAST(? AS NUMERIC)" : "?";
}

// Where the read stopped, unless its pages were of another order then: of a type that the source has altered since.
std::optional<After> Reader::stopped_after(const char* phase) const {
    const nlohmann::json& position = from_;
    if (phase_of(position) != phase || plan_.key.empty()) return std::nullopt;
    const std::optional<std::string> order = text_member(position, "order");
    if (order ? *order != order_text(plan_) : has_special_order(plan_)) return std::nullopt;
    const auto found = position.find("key");
    if (found == position.end() || !found->is_array() || found->size() != plan_.key.size()) return std::nullopt;
    After after;
    for (const nlohmann::json& part : *found) {
        if (!part.is_string()) return std::nullopt;
        after.key.push_back(part.get<std::string>());
    }
    return after;
}

// A position inside of pages in key order.
nlohmann::json Reader::key_position(const char* phase, const std::optional<After>& after) const {
    nlohmann::json position = {{"phase", phase}, {"key", nullptr}};
    if (!after || plan_.key.empty()) return position;
    position["key"] = after->key;
    position["order"] = order_text(plan_);
    return position;
}

std::optional<std::size_t> Reader::first_key() const {
    return plan_.key.empty() ? std::nullopt : std::optional(plan_.key[0]);
}

bool Reader::is_zoned() const {
    return plan_.watermark && plan_.columns[*plan_.watermark].type == Transport::timestamptz;
}

// Where the stream says in which zone the source writes, that counts; else most likely the source's own.
bool Reader::has_local_clock() const {
    return (plan_.kind == WatermarkKind::time || plan_.kind == WatermarkKind::text) && !is_zoned();
}

// Nothing where the source has no clock that we know.
std::optional<std::string> Reader::source_clock_expression() const {
    return clock_expression(connection_.dialect(), !has_local_clock() || request_.zone_offset_s);
}

// What that gave, as the watermark's column would show it.
std::optional<std::string> Reader::shown_clock(std::optional<std::string> clock) const {
    if (!clock || !has_local_clock() || !request_.zone_offset_s) return clock;
    const std::optional<CivilTime> time = parse_civil_time(*clock);
    return time ? format_moved(*time, *request_.zone_offset_s * 1000000) : clock;
}

std::optional<std::string> Reader::source_clock() {
    const std::optional<std::string> expression = source_clock_expression();
    if (!expression) return std::nullopt;
    return shown_clock(connection_.query_value(select_expressions(connection_.dialect(), *expression)));
}

void Reader::read_clock() {
    clock_ = source_clock();
}

std::optional<std::string> Reader::initial_watermark() const {
    return begins_again_ ? std::nullopt : request_.initial_watermark;
}

// Whether everything is read in key order before the changes are. A change log has an order of its own: its rows make
// sense one after the other.
bool Reader::begins_with_load(const std::string& phase) const {
    if (phase == "load" || phase == "changes") return phase == "load";
    return !initial_watermark() && !request_.is_change_log && !plan_.relation.has_marker && !plan_.key.empty();
}

nlohmann::json Reader::run(PlanCache* plans) {
    const bool keeps = plans != nullptr && plans->can_keep(connection_.dialect(), request_);
    // Asked for before the definitions are: what changes in between is noticed by the next poll.
    const std::optional<std::string> mark = keeps ? read_definition_mark(*plans) : std::nullopt;
    prepare_plan();
    std::optional<KnownSource> known;
    if (mark && !lost_key_) known.emplace(KnownSource{plan_, *fetch_, *mark});
    describes_results_ = known.has_value();
    read_clock();
    const std::string phase = phase_of(request_.position);
    const bool first = request_.full ? phase != "full" : phase.empty();
    if (first || lost_key_) check_duplicate_keys();
    send_columns();
    in_order([&] { read_phases(phase); });
    if (known) keep_for_polls(*plans, std::move(*known));
    return finish();
}

void Reader::send_columns() {
    std::vector<Column> sent(plan_.columns.begin(), plan_.columns.begin() + static_cast<std::ptrdiff_t>(plan_.sent));
    if (identity_) sent.insert(sent.end(), identity_->columns().begin(), identity_->columns().end());
    nlohmann::json columns = {{"columns", to_json(sent)}};
    if (request_.only_keys) columns["rows"] = "live_key";
    out_.send(wire::FrameType::columns, columns);
}

void Reader::in_order(const std::function<void()>& read) {
    try {
        read();
    } catch (const OutOfOrder&) {
        // Rows may be missing below what was read, so the next run reads it again.
        return_to_start();
        throw;
    }
}

void Reader::return_to_start() {
    position_ = start_;
    watermark_ = text_member(start_, "watermark");
    send_position();
}

// The members of the done frame.
nlohmann::json Reader::finish() {
    send_position();
    send_progress();
    nlohmann::json done = {{"complete", true},
                           {"source_now", json_of(clock_)},
                           {"future_rows", future_rows_},
                           {"null_watermarks", null_watermarks_},
                           {"reread_rows", reread_rows_},
                           {"lag_seconds", nullptr}};
    if (!warning_.empty()) done["warning"] = warning_;
    if (plan_.kind == WatermarkKind::time && clock_ && watermark_) {
        const std::optional<double> lag = seconds_between(*watermark_, *clock_);
        if (lag) done["lag_seconds"] = std::max(0.0, *lag);
    }
    return done;
}

void Reader::read_phases(const std::string& phase) {
    if (request_.full) {
        run_full();
    } else {
        require_no_null_watermarks();
        const bool type_changed = watermark_type_changed();
        if (type_changed) begin_again();
        read_changes(type_changed ? "" : phase);
        if (is_below_overlap()) {
            begin_again();
            read_changes("");
        }
    }
}

void Reader::read_changes(const std::string& phase) {
    if (begins_with_load(phase)) run_load();
    // Read before the snapshot begins: what lies below the horizon is committed then, and the snapshot sees it. The
    // other way round, a transaction that commits between the two would be passed over.
    if (plan_.kind == WatermarkKind::rowversion) horizon_ = read_rowversion_horizon();
    try {
        begin_snapshot();
        run_changes();
    } catch (...) {
        end_snapshot(true);
        throw;
    }
    end_snapshot(false);
}

void Reader::run_full() {
    const std::optional<After> after = stopped_after("full");
    const Bounds bounds;
    if (request_.only) return run_only(bounds);
    start_ = key_position("full", std::nullopt);
    position_ = key_position("full", after);
    read_null_keys(bounds);
    read_pages([&](const std::optional<After>& from) { return key_page(plan_, from, false, bounds); }, after,
               first_key(),
               [&](const Cursor& cursor, std::size_t, std::size_t last) {
                   position_ = key_position("full", after_row(cursor, last));
               });
    position_ = {{"phase", "done"}};
}

void Reader::run_load() {
    const std::optional<After> after = stopped_after("load");
    if (phase_of(from_) == "load") {
        watermark_ = text_member(from_, "mark");
    } else {
        // Noted before the first page: what changes while the load runs lies above it.
        watermark_ = read_mark();
    }
    plan_.kind = watermark_kind(plan_.columns[*plan_.watermark], watermark_);
    auto position = [&](const std::optional<After>& from) {
        nlohmann::json made = key_position("load", from);
        made["mark"] = json_of(watermark_);
        return made;
    };
    start_ = position(std::nullopt);
    position_ = position(after);
    read_null_keys({});
    read_pages(
        [&](const std::optional<After>& from) { return key_page(plan_, from, false, {}); }, after, first_key(),
        [&](const Cursor& cursor, std::size_t, std::size_t last) { position_ = position(after_row(cursor, last)); });
    position_ = {{"phase", "changes"}, {"watermark", json_of(watermark_)}, {"key", nullptr}};
    // The catch-up has begun even if nothing more is found: a later run must not load again.
    if (rows_since_position_ > 0) send_position();
}

std::optional<std::string> Reader::read_mark() {
    if (plan_.kind == WatermarkKind::rowversion) {
        if (!horizon_) horizon_ = read_rowversion_horizon();
        if (horizon_) return horizon_;
    }
    auto highest = [&](const std::optional<std::string>& cap) {
        const StatementText statement = max_watermark(plan_, cap, {});
        const std::optional<std::string> value = connection_.query_value(statement.sql, statement.parameters);
        return value ? std::optional(watermark_literal(plan_.columns[*plan_.watermark], *value)) : std::nullopt;
    };
    std::optional<std::string> mark = highest(std::nullopt);
    plan_.kind = watermark_kind(plan_.columns[*plan_.watermark], mark);
    if (!mark || !is_future(*mark)) return mark;
    // One row from the future must not hide all others: the mark is the highest of those that can be true. The cap is
    // written in the source's own layout, in which texts compare.
    const std::optional<CivilTime> time = parse_civil_time(*mark), now = parse_civil_time(clock_for(*mark));
    if (!time || !now) return mark;
    const std::string cap = format_moved(*time, now->microseconds_from_2000() - time->microseconds_from_2000());
    mark = highest(cap);
    // A text in another layout may sort below the cap and mean a later time.
    return mark && is_future(*mark) ? cap : mark;
}

// From where this run reads changes. Sets watermark_ to the stored one.
Bounds Reader::changes_bounds() {
    Bounds bounds;
    if (position_.is_object() && phase_of(position_) == "changes") watermark_ = text_member(position_, "watermark");
    const SourceColumn& column = plan_.columns[*plan_.watermark];
    plan_.kind = watermark_kind(column, watermark_ ? watermark_ : initial_watermark());
    bounds.high = horizon_;
    if (watermark_) {
        // Below the horizon nothing is open, so a rowversion needs no lookback.
        const std::string lookback = bounds.high ? "0" : request_.lookback;
        overlap_end_ = watermark_;
        bounds.low = subtract_lookback(plan_.kind, *watermark_, lookback);
        if (!bounds.low) {
            throw Failure(FailureClass::config,
                          "lookback \"" + lookback + "\" does not fit the watermark \"" + *watermark_ + "\"");
        }
    } else if (initial_watermark()) {
        bounds.low = initial_watermark();
    }
    if (plan_.relation.has_marker) {
        bounds.marker = bounds.low ? *bounds.low : plan_.lowest_marker;
    }
    set_text_bounds(bounds);
    return bounds;
}

void Reader::run_changes() {
    const bool loaded = phase_of(position_) == "changes" && phase_of(from_) != "changes";
    if (position_.is_null()) position_ = {{"phase", "changes"}, {"watermark", nullptr}, {"key", nullptr}};
    start_ = position_;
    Bounds bounds = changes_bounds();
    const std::string low = bounds.low.value_or("");
    leave_out_settled(bounds);
    if (!loaded) {
        read_null_watermarks();
        if (overlap_end_) reread_rows_ += null_watermarks_;
        if (!plan_.relation.has_marker || bounds.marker) read_null_keys(bounds);
    }
    counts_overlap_ = overlap_end_.has_value();
    read_pages(
        [&](const std::optional<After>& from) { return changes_page(plan_, from, bounds); }, std::nullopt,
        plan_.watermark,
        [&](const Cursor& cursor, std::size_t first, std::size_t last) { advance_watermark(cursor, first, last); });
    counts_overlap_ = false;
    note_overlap(low, bounds.low_is_known);
}

void Reader::read_null_watermarks() {
    if (!plan_.has_nullable_watermark() || request_.null_watermark == ReadRequest::NullWatermark::fail) return;
    Bounds bounds;
    if (plan_.relation.has_marker) bounds = changes_bounds();
    read_pages([&](const std::optional<After>& from) { return key_page(plan_, from, true, bounds); }, std::nullopt,
               first_key(), [](const Cursor&, std::size_t, std::size_t) {});
}

// Rows that no key-set page can reach are read in one go and rejected: they must not vanish without a trace.
void Reader::read_null_keys(const Bounds& bounds) {
    if (!plan_.has_nullable_key()) return;
    const StatementText statement = null_key_rows(plan_, bounds);
    FetchState state(plan_.columns);
    state.row_by_row = true;
    Cursor cursor(connection_, plan_.columns, state);
    cursor.execute(statement.sql, statement.parameters);
    while (cursor.next()) {
        send_row(cursor, 0);
        if (batch_is_full()) send_position();
    }
    send_progress();
}

}  // namespace insync::odbc
