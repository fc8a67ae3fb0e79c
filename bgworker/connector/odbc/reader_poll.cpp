// Polls: reads of changes for which the session knows the source already; see reader.hpp.
//
// Most polls find little or nothing, every few seconds, so they ask the source for two things: its clock, together with
// a mark of its definitions, and one page with everything that a poll reads. Where that page is full, its rows are the
// beginning of more than one statement can see in one state: the read starts over, in a snapshot.
#include "bgworker/connector/odbc/reader.hpp"

#include "bgworker/connector/odbc/catalog_statements.hpp"

namespace insync::odbc {

void Reader::prepare_plan() {
    known_ = plans_ != nullptr ? plans_->find(request_) : nullptr;
    is_warm_ = known_ != nullptr;
    if (is_warm_) {
        plan_ = known_->plan;
        fetch_ = known_->fetch;
        connection_.guard(plan_.relation.is_query);
    } else {
        load_plan();
        // SQLite's columns hold what they like, so its plans are made of the values that are there; and it is near.
        const bool may_keep = plans_ != nullptr && !request_.full && plan_.dialect != Dialect::sqlite;
        if (may_keep) known_ = &plans_->keep(request_, KnownSource{plan_, *fetch_});
    }
    rejects_null_watermarks_ =
        plan_.has_nullable_watermark() && request_.null_watermark == ReadRequest::NullWatermark::reject;
}

// The clock, and in the same statement what tells whether the plan is still right, the rowversions' horizon, and that
// the next statement is to be read-only.
void Reader::read_clock_and_mark() {
    const Query mark = known_ != nullptr && !plan_.relation.parts.empty() && connection_.knows_marks
                           ? definition_mark(plan_.dialect, plan_.relation.parts)
                           : Query();
    const bool guarded = connection_.is_guarded() && !read_only_expression(plan_.dialect).empty();
    const auto clock = clock_expression(plan_.dialect, plan_.kind != WatermarkKind::time || is_zoned());
    const bool asks_horizon = is_warm_ && known_->has_horizon;
    std::string list;
    auto add = [&](const std::string& expression) { list += (list.empty() ? "" : ", ") + expression; };
    if (clock) add(*clock);
    if (asks_horizon) add(rowversion_horizon_expression());
    if (guarded) add(read_only_expression(plan_.dialect));
    if (!mark.sql.empty()) add(mark.sql);
    if (list.empty()) return;
    std::vector<TextRow> rows;
    try {
        connection_.guard(false);
        rows = connection_.query(select_expressions(plan_.dialect, list), mark.parameters);
    } catch (const Failure& error) {
        // A server that only resembles the one whose catalog this is: the result's description has to do.
        if (mark.sql.empty() || error.disconnected) throw;
        connection_.knows_marks = false;
        connection_.guard(plan_.relation.is_query);
        return read_clock_and_mark();
    }
    connection_.guard(plan_.relation.is_query);
    if (guarded) connection_.skip_next_guard();
    if (rows.empty()) return;
    const TextRow& row = rows[0];
    std::size_t at = 0;
    if (clock) clock_ = row.at(at++);
    if (asks_horizon && row.at(at)) horizon_ = rowversion_literal(*row.at(at));
    if (mark.sql.empty()) return;
    if (is_warm_ && known_->mark != row.back()) {
        plans_->drop(request_);
        horizon_.reset();
        prepare_plan();
    }
    known_->mark = row.back();
}

// Where the plan comes from memory and the source refuses it, the definitions have changed in a way that no mark tells.
void Reader::read_or_start_over(const std::string& phase) {
    try {
        read_in_order(phase);
    } catch (const Failure& error) {
        if (plans_ != nullptr) plans_->drop(request_);
        known_ = nullptr;
        const bool may_be_the_plan = error.kind == FailureClass::config || error.kind == FailureClass::source;
        if (!is_warm_ || rows_ > 0 || error.disconnected || !may_be_the_plan) throw;
        position_ = request_.position;
        watermark_.reset();
        horizon_.reset();
        shape_checked_ = false;
        prepare_plan();
        send_columns();
        read_in_order(phase);
    }
    if (known_ != nullptr) known_->fetch = *fetch_;
}

bool Reader::can_poll(const std::string& phase) const {
    const bool counts_nulls =
        plan_.has_nullable_watermark() && request_.null_watermark == ReadRequest::NullWatermark::fail;
    return is_warm_ && known_->one_page && phase == "changes" && plan_.page_rows > 0 && !counts_nulls;
}

// False where there is more than a page, or than its buffers could hold.
bool Reader::poll() {
    start_ = position_;
    const Bounds bounds = changes_bounds();
    is_polling_ = true;
    known_->one_page = read_pages(
        [&](const std::optional<After>&) { return poll_page(plan_, bounds); }, std::nullopt, plan_.watermark,
        [&](const Cursor& cursor, std::size_t first, std::size_t last) { advance_watermark(cursor, first, last); },
        true);
    is_polling_ = false;
    if (!known_->one_page) null_watermarks_ = future_rows_ = 0;
    return known_->one_page;
}

// The driver describes each result without asking the source again.
void Reader::check_shape(Cursor& cursor) {
    if (known_ == nullptr || shape_checked_) return;
    shape_checked_ = true;
    const ResultShape shape = cursor.shape(plan_.dialect != Dialect::postgresql);
    if (known_->shape.empty()) known_->shape = shape;
    if (known_->shape == shape) return;
    throw Failure(FailureClass::source, "the source's columns changed while it was read", "",
                  "The next run reads the new columns.");
}

}  // namespace insync::odbc
