// Polls: reads of changes for which the session knows the source already; see reader.hpp.
//
// Most polls find little or nothing, every few seconds, so they ask the source for two things: its clock, together with
// a mark of its definitions, and one statement with everything that is to be read. Only an overlap that has settled is
// counted as well (reader_overlap.cpp). Whatever a poll isn't made for, more than a page of rows, other columns, a key
// that changed or an error, is left to a read that begins with the definitions. What was unexpectedly much has not been
// sent by then; of a source that is always busy, or has long values, some rows may be sent again.
#include <algorithm>

#include "bgworker/connector/odbc/read_position.hpp"
#include "bgworker/connector/odbc/reader.hpp"
#include "bgworker/connector/odbc/sql/catalog_statements.hpp"
#include "bgworker/options/source_name.hpp"

namespace insync::odbc {

namespace {

// By the name as the user wrote it, which may come to mean another table.
Query mark_of(Dialect dialect, const std::string& source) {
    const std::optional<std::vector<std::string>> parts = parse_source_name(source);
    return parts ? definition_mark(dialect, *parts) : Query();
}

}  // namespace

// Empty for a query, whose results have to tell by themselves; nothing where the source is no table that has a mark.
std::optional<std::string> Reader::read_definition_mark(PlanCache& plans) {
    if (is_query(request_.source)) return "";
    const Query mark = mark_of(connection_.dialect(), request_.source);
    if (mark.sql.empty() || !plans.knows_marks) return std::nullopt;
    try {
        connection_.guard(false);
        return connection_.query_value(select_expressions(connection_.dialect(), mark.sql), mark.parameters);
    } catch (const Failure& error) {
        if (error.disconnected || error.kind == FailureClass::transient) throw;
        plans.knows_marks = false;
        return std::nullopt;
    }
}

void Reader::keep_for_polls(PlanCache& plans, KnownSource known) {
    const bool has_horizon = plan_.kind != WatermarkKind::rowversion || horizon_;
    if (rows_ >= plan_.page_rows || shape_.empty() || !has_horizon) return plans.drop(request_);
    known.fetch = *fetch_;
    known.shape = shape_;
    known.is_busy = rows_ >= Cursor::block_rows(*fetch_);
    known.has_snapshot = connection_.snapshot_isolation;
    plans.keep(request_, std::move(known));
}

std::optional<nlohmann::json> Reader::poll(PlanCache& plans) {
    KnownSource* known = plans.find(request_);
    if (known == nullptr || phase_of(request_.position) != "changes") return std::nullopt;
    plan_ = known->plan;
    fetch_ = known->fetch;
    try {
        check_key();
        note_watermark();
        const bool reads_alike = connection_.snapshot_isolation || !known->has_snapshot;
        bool polled = false;
        if (reads_alike && !watermark_type_changed() && read_clock_and_mark(*known))
            in_order([&] { polled = poll_changes(*known); });
        if (polled) {
            known->fetch = *fetch_;
            return finish();
        }
    } catch (const Failure& error) {
        plans.drop(request_);
        // The source refuses what has been right: its definitions have changed in a way that no mark tells.
        const bool may_be_the_plan = error.kind == FailureClass::config || error.kind == FailureClass::source;
        if (rows_ > 0 || error.disconnected || !may_be_the_plan) throw;
    }
    plans.drop(request_);
    return std::nullopt;
}

// The clock, and in the same statement what tells whether the plan is still right, the rowversions' horizon, and that
// the next statement is to be read-only. False: the definitions have changed.
bool Reader::read_clock_and_mark(const KnownSource& known) {
    const Query mark = known.mark.empty() ? Query() : mark_of(plan_.dialect, request_.source);
    const std::optional<std::string> clock = source_clock_expression();
    const bool asks_horizon = plan_.kind == WatermarkKind::rowversion;
    const std::string guard = plan_.relation.is_query ? read_only_expression(plan_.dialect) : "";
    std::string list;
    for (const std::string& expression :
         {clock.value_or(""), asks_horizon ? rowversion_horizon_expression() : "", mark.sql, guard}) {
        if (!expression.empty()) list += (list.empty() ? "" : ", ") + expression;
    }
    connection_.guard(false);
    const std::vector<TextRow> rows = connection_.query(select_expressions(plan_.dialect, list), mark.parameters);
    connection_.guard(plan_.relation.is_query);
    if (!guard.empty()) connection_.skip_next_guard();
    if (rows.empty()) return false;
    std::size_t at = 0;
    if (clock) clock_ = shown_clock(rows[0].at(at++));
    if (asks_horizon) {
        const std::optional<std::string> horizon = rows[0].at(at++);
        if (!horizon) return false;
        horizon_ = rowversion_literal(*horizon);
    }
    return mark.sql.empty() || rows[0].at(at) == known.mark;
}

// False: this isn't for a poll.
bool Reader::poll_changes(const KnownSource& known) {
    start_ = position_;
    Bounds bounds = changes_bounds();
    const std::string low = bounds.low.value_or("");
    leave_out_settled(bounds);
    counts_overlap_ = overlap_end_.has_value();
    if (!poll_rows(bounds, known)) return false;
    counts_overlap_ = false;
    if (overlap_end_) reread_rows_ += null_watermarks_;
    note_overlap(low, bounds.low_is_known);
    if (is_below_overlap()) {
        begin_again();
        read_changes("");
    }
    return true;
}

bool Reader::poll_rows(const Bounds& bounds, const KnownSource& known) {
    Cursor cursor(connection_, plan_.columns, *fetch_);
    // What fits one block is known as a whole before any of it is sent.
    const bool in_one_block = !known.is_busy && !fetch_->row_by_row;
    const std::size_t most = in_one_block ? std::min(plan_.page_rows, Cursor::block_rows(*fetch_)) : plan_.page_rows;
    const StatementText statement = poll_page(plan_, bounds, most);
    cursor.execute(statement.sql, statement.parameters);
    if (cursor.shape() != known.shape) return false;
    const Advance advance = [&](const Cursor& at, std::size_t first, std::size_t last) {
        advance_watermark(at, first, last);
    };
    PageOrder order = order_by(plan_.watermark);
    std::size_t read = 0;
    for (bool more = cursor.next(); more; more = cursor.next()) {
        if (read + cursor.rows() >= most || !is_for_polls(cursor)) {
            if (read > 0) return_to_start();
            return false;
        }
        if (read == 0) send_columns();
        send_rows(cursor, cursor.rows(), order, advance);
        read += cursor.rows();
    }
    if (read == 0) send_columns();
    pages_++;
    return true;
}

bool Reader::is_for_polls(const Cursor& cursor) const {
    if (cursor.intact_rows() < cursor.rows()) return false;
    if (!plan_.has_nullable_watermark() || request_.null_watermark != ReadRequest::NullWatermark::fail) return true;
    for (std::size_t row = 0; row < cursor.rows(); row++) {
        if (cursor.cell(row, *plan_.watermark).is_null) return false;
    }
    return true;
}

}  // namespace insync::odbc
