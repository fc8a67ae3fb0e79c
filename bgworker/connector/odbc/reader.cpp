// The phases of a read; see reader.hpp. How rows become frames stands in reader_rows.cpp.
#include "bgworker/connector/odbc/reader.hpp"

#include <algorithm>
#include <charconv>

#include "bgworker/connector/civil_time.hpp"
#include "bgworker/connector/odbc/declared_columns.hpp"
#include "bgworker/connector/odbc/key_order.hpp"
#include "bgworker/connector/odbc/marker.hpp"

namespace insync::odbc {

namespace {

std::optional<std::string> text_member(const nlohmann::json& object, const char* name) {
    if (!object.is_object()) return std::nullopt;
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
}

std::string phase_of(const nlohmann::json& position) {
    return text_member(position, "phase").value_or("");
}

}  // namespace

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
                      "column \"" + column.name + "\" of type " + column.source_type + " can't be a watermark", "",
                      "A watermark is a time, a number, a rowversion or a text that grows with each change.");
    }
    resolve_marker(connection_, plan_);
    if (connection_.dialect() == Dialect::sqlite) {
        if (plan_.watermark) set_storage_class(*plan_.watermark);
        if (plan_.window) set_layout(plan_.window->time);
    }
    follows_texts_ = plan_.watermark && compares_texts(connection_, plan_);
    fetch_.emplace(plan_.columns);
    if (request_.row_identity.size() == 2) identity_.emplace(request_.row_identity);
    // Without a key no page can be run again, so every value has to be read whole the first time.
    fetch_->row_by_row = plan_.key.empty();
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

nlohmann::json Reader::json_of(const std::optional<std::string>& text) {
    return text ? nlohmann::json(*text) : nlohmann::json();
}

// As the watermark's column would show it. Nothing where the source has none that we know.
std::optional<std::string> Reader::source_clock() {
    // Where the stream says in which zone the source writes, that counts; else most likely the source's own.
    const bool is_local = (plan_.kind == WatermarkKind::time || plan_.kind == WatermarkKind::text) && !is_zoned();
    const bool is_told = is_local && request_.zone_offset_s;
    const std::optional<std::string> expression = clock_expression(connection_.dialect(), !is_local || is_told);
    if (!expression) return std::nullopt;
    const std::optional<std::string> clock =
        connection_.query_value(select_expressions(connection_.dialect(), *expression));
    const std::optional<CivilTime> time = clock && is_told ? parse_civil_time(*clock) : std::nullopt;
    return time ? format_moved(*time, *request_.zone_offset_s * 1000000) : clock;
}

void Reader::read_clock() {
    clock_ = source_clock();
}

std::optional<std::string> Reader::initial_watermark() const {
    return begins_again_ ? std::nullopt : request_.initial_watermark;
}

// The source's key as it was when the stream was made has to be one still: with another, several of its rows would be
// one row of the target.
void Reader::check_key() {
    key_is_unique_ = request_.key_is_unique;
    const Relation& relation = plan_.relation;
    if (!key_is_unique_ || relation.is_query || relation.is_view) return;
    std::vector<std::string> names;
    for (std::size_t part : plan_.key) names.push_back(plan_.columns[part].name);
    if (is_unique_key(relation, names)) return;
    if (relation.primary_key.empty() && relation.unique_keys.empty()) {
        // Somebody may load in bulk and make the key again: what matters is that the rows still have one.
        key_is_unique_ = false;
        lost_key_ = true;
        return;
    }
    auto list = [](const std::vector<std::string>& columns) {
        std::string text;
        for (const std::string& column : columns) text += (text.empty() ? "" : ", ") + column;
        return "(" + text + ")";
    };
    const std::vector<std::string>& now =
        relation.primary_key.empty() ? relation.unique_keys.front() : relation.primary_key;
    throw Failure(
        FailureClass::config, "the key of source " + quote_name(Dialect::generic, relation.text) + " has changed",
        "The stream's rows are told apart by " + list(names) + ", those of the source by " + list(now) + " now.",
        request_.remake.empty() ? "Make the stream again."
                                : "Make the stream and its target again: " + request_.remake);
}

void Reader::check_duplicate_keys() {
    if (key_is_unique_ || plan_.key.empty() || plan_.relation.has_marker || request_.only) return;
    std::vector<std::size_t> key = plan_.key;
    if (request_.is_change_log && plan_.watermark) key.push_back(*plan_.watermark);
    const StatementText probe = duplicate_key(plan_, key);
    const std::vector<TextRow> rows = connection_.query(probe.sql, probe.parameters);
    if (rows.empty()) return;
    std::string names, values;
    for (std::size_t i = 0; i < key.size(); i++) {
        names += (i > 0 ? ", " : "") + plan_.columns[key[i]].name;
        values += (i > 0 ? ", " : "") + rows[0][i].value_or("NULL");
    }
    throw Failure(FailureClass::config, "the key isn't unique in the source",
                  "Several rows have (" + names + ") = (" + values + ").", "Choose a key that identifies one row.");
}

void Reader::require_no_null_watermarks() {
    if (!plan_.has_nullable_watermark() || request_.null_watermark != ReadRequest::NullWatermark::fail) return;
    Bounds bounds;
    if (plan_.relation.has_marker) bounds = changes_bounds();
    const StatementText count = count_null_watermarks(plan_, bounds);
    const std::string rows = connection_.query_value(count.sql, count.parameters).value_or("0");
    if (rows == "0") return;
    throw Failure(FailureClass::source, rows + " rows have no watermark",
                  "Column \"" + plan_.columns[*plan_.watermark].name + "\" is null there.",
                  "Set the option null_watermark to include or reject, or name a second watermark column.");
}

// Whether everything is read in key order before the changes are. A change log has an order of its own: its rows make
// sense one after the other.
bool Reader::begins_with_load(const std::string& phase) const {
    if (phase == "load" || phase == "changes") return phase == "load";
    return !initial_watermark() && !request_.is_change_log && !plan_.relation.has_marker && !plan_.key.empty();
}

nlohmann::json Reader::run() {
    prepare_plan();
    read_clock();
    const std::string phase = phase_of(request_.position);
    const bool first = request_.full ? phase != "full" : phase.empty();
    if (first || lost_key_) check_duplicate_keys();
    std::vector<Column> sent(plan_.columns.begin(), plan_.columns.begin() + static_cast<std::ptrdiff_t>(plan_.sent));
    if (identity_) sent.insert(sent.end(), identity_->columns().begin(), identity_->columns().end());
    nlohmann::json columns = {{"columns", to_json(sent)}};
    if (request_.only_keys) columns["rows"] = "present";
    out_.send(wire::FrameType::columns, columns);
    try {
        read_phases(phase);
    } catch (const OutOfOrder&) {
        // Rows may be missing below what was read, so the next run reads it again.
        position_ = start_;
        watermark_ = text_member(start_, "watermark");
        send_position();
        throw;
    }
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

std::optional<std::string> Reader::read_rowversion_horizon() {
    try {
        const std::optional<std::string> horizon = connection_.query_value("SELECT " + rowversion_horizon_expression());
        return horizon ? std::optional(rowversion_literal(*horizon)) : std::nullopt;
    } catch (const Failure& error) {
        if (error.disconnected) throw;
        out_.log("warning",
                 "the source has no MIN_ACTIVE_ROWVERSION(), so rows of transactions that commit late are "
                 "found only within the lookback: " +
                     error.message);
        return std::nullopt;
    }
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
                          "lookback \"" + lookback + "\" doesn't fit the watermark \"" + *watermark_ + "\"");
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

void Reader::begin_snapshot() {
    if (connection_.dialect() == Dialect::sqlserver) {
        const std::vector<TextRow> rows = connection_.query(sqlserver_isolation_statement());
        const bool known = !rows.empty() && rows[0].size() == 2;
        const Isolation isolation = sqlserver_isolation(known && rows[0][0] == "1", known && rows[0][1] == "1");
        if (!isolation.warning.empty()) out_.log("warning", isolation.warning);
        has_snapshot_ = true;
        connection_.snapshot_isolation = isolation.begin.size() > 1;
        for (const std::string& statement : isolation.begin) connection_.execute(statement);
        return;
    }
    for (const std::string& statement : odbc::begin_snapshot(connection_.dialect())) {
        connection_.guard(false);  // it is read-only by itself
        has_snapshot_ = true;
        connection_.execute(statement);
    }
}

void Reader::end_snapshot(bool failed) {
    if (!has_snapshot_) return;
    has_snapshot_ = false;
    try {
        for (const std::string& statement : odbc::end_snapshot(connection_.dialect())) connection_.execute(statement);
    } catch (const Failure&) {
        // The failure that led here says more than the one of cleaning up behind it.
        if (!failed) throw;
    }
    connection_.guard(plan_.relation.is_query);
}

nlohmann::json Reader::explain() {
    prepare_plan();
    read_clock();
    nlohmann::json statements = nlohmann::json::array();
    auto add = [&](const StatementText& statement) {
        statements.push_back(
            {{"purpose", statement.purpose}, {"sql", statement.sql}, {"parameters", statement.parameters}});
    };
    nlohmann::json shown = {{"source_now", json_of(clock_)}};
    const std::string phase = phase_of(request_.position);
    if (request_.full) {
        const std::optional<After> after = stopped_after("full");
        const Bounds bounds;
        if (request_.only) {
            add(rows_of_keys(plan_, next_keys(0), std::nullopt, bounds));
        } else {
            if (plan_.has_nullable_key()) add(null_key_rows(plan_, bounds));
            add(key_page(plan_, after, false, bounds));
            statements.back()["purpose"] = request_.only_keys ? "keys, to find what vanished" : "full";
        }
    } else {
        const bool loads = begins_with_load(phase);
        if (loads) {
            if (phase != "load") add(max_watermark(plan_, std::nullopt, {}));
            const std::optional<After> after = stopped_after("load");
            const std::optional<std::string> mark =
                phase == "load" ? text_member(request_.position, "mark") : read_mark();
            shown["mark"] = json_of(mark);
            add(key_page(plan_, after, false, {}));
            position_ = {{"phase", "changes"}, {"watermark", json_of(mark)}, {"key", nullptr}};
        }
        if (plan_.kind == WatermarkKind::rowversion) horizon_ = read_rowversion_horizon();
        Bounds bounds = changes_bounds();
        leave_out_settled(bounds);
        shown["watermark"] = json_of(watermark_);
        shown["low"] = json_of(bounds.low);
        shown["high"] = json_of(bounds.high);
        if (bounds.marker) shown["marker"] = *bounds.marker;
        const bool reads_nulls = request_.null_watermark != ReadRequest::NullWatermark::fail;
        if (!loads && plan_.has_nullable_watermark() && reads_nulls) add(key_page(plan_, std::nullopt, true, bounds));
        if (plan_.has_nullable_key()) add(null_key_rows(plan_, bounds));
        add(changes_page(plan_, std::nullopt, bounds));
    }
    return {{"statements", statements}, {"bounds", shown}};
}

}  // namespace insync::odbc
