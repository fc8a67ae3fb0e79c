// The phases of a read; see reader.hpp. How rows become frames stands in reader_rows.cpp.
#include "bgworker/connector/odbc/reader.hpp"

#include <algorithm>
#include <charconv>

#include "bgworker/connector/civil_time.hpp"
#include "bgworker/connector/odbc/marker.hpp"

namespace insync::odbc {

namespace {

constexpr std::int64_t one_day_us = std::int64_t{86400} * 1000000;

std::optional<std::string> text_member(const nlohmann::json& object, const char* name) {
    if (!object.is_object()) return std::nullopt;
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
}

std::string phase_of(const nlohmann::json& position) {
    return text_member(position, "phase").value_or("");
}

std::optional<After> key_of(const nlohmann::json& position, std::size_t parts) {
    const auto found = position.find("key");
    if (found == position.end() || !found->is_array() || found->size() != parts || parts == 0) return std::nullopt;
    After after;
    for (const nlohmann::json& part : *found) {
        if (!part.is_string()) return std::nullopt;
        after.key.push_back(part.get<std::string>());
    }
    return after;
}

nlohmann::json json_of(const std::optional<std::string>& text) {
    return text ? nlohmann::json(*text) : nlohmann::json();
}

}  // namespace

Reader::Reader(Connection& connection, const ReadRequest& request, FrameWriter& out, PlanCache* plans)
    : connection_(connection), request_(request), out_(out), plans_(plans), position_(request.position) {
    encode_.replace_text = request.replace_text;
    encode_.null_zero_dates = request.null_zero_dates;
    encode_.source_has_zero_dates = connection.dialect() == Dialect::mysql;
    statements_before_ = connection.statements_sent;
    bytes_before_ = out.bytes_sent();
    bytes_at_position_ = out.bytes_sent();
}

void Reader::load_plan() {
    plan_ = make_read_plan(connection_.dialect(), load_relation(connection_, request_.source), request_);
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
        for (std::size_t part : plan_.key) set_storage_class(part);
        if (plan_.watermark) set_storage_class(*plan_.watermark);
        if (plan_.window) set_layout(plan_.window->time);
    }
    fetch_.emplace(plan_.columns);
    // Without a key no page can be run again, so every value has to be read whole the first time.
    fetch_->row_by_row = plan_.key.empty();
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

std::optional<std::size_t> Reader::first_key() const {
    return plan_.key.empty() ? std::nullopt : std::optional(plan_.key[0]);
}

bool Reader::is_zoned() const {
    return plan_.watermark && plan_.columns[*plan_.watermark].type == Transport::timestamptz;
}

void Reader::read_clock() {
    read_clock_and_mark();
    if (!clock_) return;
    if (const std::optional<CivilTime> time = parse_civil_time(*clock_)) {
        future_from_ = format_moved(*time, one_day_us);
    }
}

void Reader::check_duplicate_keys() {
    if (request_.key_is_unique || plan_.key.empty() || plan_.relation.has_marker || request_.only) return;
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
    return !request_.initial_watermark && !request_.is_change_log && !plan_.relation.has_marker && !plan_.key.empty();
}

nlohmann::json Reader::run() {
    prepare_plan();
    read_clock();
    const std::string phase = phase_of(request_.position);
    const bool first = request_.full ? phase != "full" : phase.empty();
    if (first) check_duplicate_keys();
    send_columns();
    read_or_start_over(phase);
    send_position();
    send_progress();
    nlohmann::json done = {{"complete", true},
                           {"source_now", json_of(clock_)},
                           {"future_rows", future_rows_},
                           {"null_watermarks", null_watermarks_},
                           {"lag_seconds", nullptr}};
    if (plan_.kind == WatermarkKind::time && clock_ && watermark_) {
        const std::optional<double> lag = seconds_between(*watermark_, *clock_);
        if (lag) done["lag_seconds"] = std::max(0.0, *lag);
    }
    return done;
}

void Reader::read_in_order(const std::string& phase) {
    try {
        read_phases(phase);
    } catch (const OutOfOrder&) {
        // Rows may be missing below what was read, so the next run reads it again.
        position_ = start_;
        watermark_ = text_member(start_, "watermark");
        send_position();
        throw;
    }
}

void Reader::send_columns() {
    std::vector<Column> sent(plan_.columns.begin(), plan_.columns.begin() + static_cast<std::ptrdiff_t>(plan_.sent));
    nlohmann::json columns = {{"columns", to_json(sent)}};
    if (request_.only_keys) columns["rows"] = "present";
    out_.send(wire::FrameType::columns, columns);
}

void Reader::read_phases(const std::string& phase) {
    if (request_.full) {
        run_full();
    } else if (!can_poll(phase) || !poll()) {
        require_no_null_watermarks();
        const bool loads = begins_with_load(phase);
        if (loads) run_load();
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
}

void Reader::run_full() {
    std::optional<After> after;
    if (phase_of(request_.position) == "full") after = key_of(request_.position, plan_.key.size());
    const Bounds bounds;
    if (request_.only) return run_only(bounds);
    start_ = {{"phase", "full"}, {"key", nullptr}};
    position_ = {{"phase", "full"}, {"key", after ? nlohmann::json(after->key) : nlohmann::json()}};
    read_null_keys(bounds);
    read_pages([&](const std::optional<After>& from) { return key_page(plan_, from, false, bounds); }, after,
               first_key(),
               [&](const Cursor& cursor, std::size_t, std::size_t last) {
                   if (!plan_.key.empty()) position_["key"] = after_row(cursor, last).key;
               });
    position_ = {{"phase", "done"}};
}

void Reader::run_load() {
    std::optional<After> after;
    if (phase_of(request_.position) == "load") {
        watermark_ = text_member(request_.position, "mark");
        after = key_of(request_.position, plan_.key.size());
    } else {
        // Noted before the first page: what changes while the load runs lies above it.
        watermark_ = read_mark();
    }
    plan_.kind = watermark_kind(plan_.columns[*plan_.watermark], watermark_);
    start_ = {{"phase", "load"}, {"mark", json_of(watermark_)}, {"key", nullptr}};
    position_ = {{"phase", "load"},
                 {"mark", json_of(watermark_)},
                 {"key", after ? nlohmann::json(after->key) : nlohmann::json()}};
    read_null_keys({});
    read_pages(
        [&](const std::optional<After>& from) { return key_page(plan_, from, false, {}); }, after, first_key(),
        [&](const Cursor& cursor, std::size_t, std::size_t last) { position_["key"] = after_row(cursor, last).key; });
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
    if (!mark || !future_from_ || !is_future(*mark)) return mark;
    // One row from the future must not hide all others: the mark is the highest of those that can be true. The cap is
    // written in the source's own layout, in which texts compare.
    const std::optional<CivilTime> time = parse_civil_time(*mark);
    const std::optional<double> ahead = seconds_between(*future_from_, *mark);
    if (!time || !ahead) return mark;
    return highest(format_moved(*time, -static_cast<std::int64_t>(*ahead * 1e6)));
}

std::optional<std::string> Reader::read_rowversion_horizon() {
    try {
        const std::optional<std::string> horizon = connection_.query_value("SELECT " + rowversion_horizon_expression());
        if (known_ != nullptr) known_->has_horizon = horizon.has_value();
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
    plan_.kind = watermark_kind(column, watermark_ ? watermark_ : request_.initial_watermark);
    bounds.high = horizon_;
    if (watermark_) {
        // Below the horizon nothing is open, so a rowversion needs no lookback.
        const std::string lookback = bounds.high ? "0" : request_.lookback;
        bounds.low = subtract_lookback(plan_.kind, *watermark_, lookback);
        if (!bounds.low) {
            throw Failure(FailureClass::config,
                          "lookback \"" + lookback + "\" doesn't fit the watermark \"" + *watermark_ + "\"");
        }
    } else if (request_.initial_watermark) {
        bounds.low = request_.initial_watermark;
    }
    if (plan_.relation.has_marker) {
        bounds.marker = bounds.low ? *bounds.low : plan_.lowest_marker;
    }
    return bounds;
}

void Reader::run_changes() {
    const bool loaded = phase_of(position_) == "changes" && phase_of(request_.position) != "changes";
    if (position_.is_null()) position_ = {{"phase", "changes"}, {"watermark", nullptr}, {"key", nullptr}};
    start_ = position_;
    const Bounds bounds = changes_bounds();
    if (!loaded) {
        read_null_watermarks();
        if (!plan_.relation.has_marker || bounds.marker) read_null_keys(bounds);
    }
    const std::uint64_t pages_before = pages_;
    read_pages(
        [&](const std::optional<After>& from) { return changes_page(plan_, from, bounds); }, std::nullopt,
        plan_.watermark,
        [&](const Cursor& cursor, std::size_t first, std::size_t last) { advance_watermark(cursor, first, last); });
    if (known_ != nullptr) known_->one_page = pages_ - pages_before == 1;
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
        std::optional<After> after;
        if (phase == "full") after = key_of(request_.position, plan_.key.size());
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
            std::optional<After> after;
            if (phase == "load") after = key_of(request_.position, plan_.key.size());
            const std::optional<std::string> mark =
                phase == "load" ? text_member(request_.position, "mark") : read_mark();
            shown["mark"] = json_of(mark);
            add(key_page(plan_, after, false, {}));
            position_ = {{"phase", "changes"}, {"watermark", json_of(mark)}, {"key", nullptr}};
        }
        if (plan_.kind == WatermarkKind::rowversion) horizon_ = read_rowversion_horizon();
        const Bounds bounds = changes_bounds();
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
