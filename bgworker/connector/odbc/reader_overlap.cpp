// What is read again of what was read before, and what isn't; see reader.hpp.
//
// Rows that are committed late are found as each read begins before the watermark, by the lookback. Where many rows
// stand there, a bulk load with one timestamp say, they are read until nothing can come late any more: the source's
// clock has gone on by the lookback since they were seen, and shows a later time than theirs by as much. From then on
// they are counted at the source, and read only where they are more or fewer than they were.
#include <algorithm>
#include <cstdlib>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/odbc/reader.hpp"
#include "bgworker/connector/odbc/sql/watermark_form.hpp"
#include "bgworker/connector/values/text_form.hpp"

namespace insync::odbc {

namespace {

// Fewer rows are read in less time than they are counted in.
constexpr std::uint64_t rows_worth_counting = 100;

// A clock whose zone isn't known can be wrong by this much, and goes back by an hour in autumn.
constexpr double widest_offset_s = 14 * 3600;
constexpr double autumn_s = 3600;

std::string text_of(const nlohmann::json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

// Texts of several layouts sort by what they mean only within one of them.
void Reader::set_text_bounds(Bounds& bounds) const {
    if (!bounds.low) return;
    const std::size_t watermark = *plan_.watermark;
    const bool is_text = follows_texts_;
    const bool times = plan_.kind == WatermarkKind::time && (plan_.dialect == Dialect::sqlite || is_text);
    if (!times && !(plan_.kind == WatermarkKind::text && is_text)) return;
    bounds.alike = written_alike(plan_.dialect, plan_.references[watermark], *bounds.low);
    if (!times || bounds.alike.empty()) return;
    bounds.others_from = lowest_text_since(*bounds.low);
    // The query's own comparison is one of texts as well.
    if (bounds.marker) bounds.marker = bounds.others_from;
}

// True where no row with the watermark or an earlier one can come any more, as the lookback promises.
bool Reader::has_settled() const {
    const std::string seen = text_of(position_, "seen");
    const std::optional<double> elapsed = seconds_between(seen, *clock_);
    const std::optional<double> ahead = seconds_between(*overlap_end_, clock_for(*overlap_end_));
    if (!elapsed || !ahead) return false;
    const double lookback = std::strtod(request_.lookback.c_str(), nullptr);
    const double least = lookback + static_cast<double>(resolution_us(*overlap_end_)) / 1e6;
    const bool knows_zone = is_zoned() || request_.zone_offset_s || parse_civil_time(*overlap_end_)->offset_seconds;
    if (*elapsed < lookback) return false;
    return *ahead >= least + (knows_zone ? 0 : widest_offset_s) || *elapsed >= least + autumn_s;
}

void Reader::leave_out_settled(Bounds& bounds) {
    if (plan_.kind != WatermarkKind::time || !overlap_end_ || !bounds.low || !clock_ || !has_settled()) return;
    const StatementText count = count_overlap(plan_, *overlap_end_, bounds);
    overlap_rows_ = connection_.query_value(count.sql, count.parameters);
    const auto settled = position_.find("settled");
    if (!overlap_rows_ || settled == position_.end()) return;
    if (text_of(*settled, "rows") != *overlap_rows_ || text_of(*settled, "low") != *bounds.low) return;
    if (bounds.marker && bounds.others_from.empty()) bounds.marker = overlap_end_;
    bounds.low = overlap_end_;
    bounds.low_is_known = true;
}

// Notes with the position what the next read has to know of its overlap.
void Reader::note_overlap(const std::string& low, bool was_left_out) {
    if (plan_.kind != WatermarkKind::time || !watermark_ || !clock_ || was_left_out) return;
    if (text_of(position_, "seen").empty()) {
        // The time now, as what was read last may be younger than this read.
        if (rows_ >= rows_worth_counting) position_["seen"] = json_of(source_clock());
    } else if (overlap_rows_ && !moved_) {
        position_["settled"] = {{"low", low}, {"rows", *overlap_rows_}};
    }
}

// Looks at the watermark of a row of changes: is it of the overlap?
void Reader::count_row(const Cursor& cursor, std::size_t row) {
    const std::size_t watermark = *plan_.watermark;
    const std::string literal = literal_of(plan_.columns[watermark], cursor.cell(row, watermark));
    const bool is_text = follows_texts_;
    if (is_text) require_form(literal);
    if (plan_.kind == WatermarkKind::text) {
        met_overlap_end_ = true;
        if (literal == *overlap_end_) reread_rows_++;
        return;
    }
    const auto order = compare_literals(plan_.kind, literal, *overlap_end_);
    if (!order) return;
    if (*order != std::strong_ordering::greater) reread_rows_++;
    if (*order != std::strong_ordering::less) met_overlap_end_ = true;
    const bool in_order = !is_text && plan_.dialect != Dialect::sqlite;
    if (*order == std::strong_ordering::greater && in_order) counts_overlap_ = false;  // as will be all others
}

void Reader::require_form(const std::string& literal) const {
    const bool is_time = plan_.kind == WatermarkKind::time;
    if (is_time && plan_.dialect == Dialect::sqlite) return;  // compared as times
    std::optional<std::string> problem = unsorted_form(literal);
    // Numbers are compared with numbers, times with whatever there is; other texts may have any form.
    const bool is_comparable = is_time || (!layout_of(*overlap_end_).empty() && !layout_of(literal).empty());
    if (!problem && is_comparable && !are_written_alike(*overlap_end_, literal)) {
        problem = unsorted_forms({*overlap_end_, literal}, false);
    }
    if (problem) throw UnsortedWatermark(plan_.columns[*plan_.watermark].name, *problem);
}

// A column of times that got a zone, or lost it, shows others than the watermark was one of.
bool Reader::watermark_type_changed() {
    const std::string phase = text_of(from_, "phase");
    const std::string literal = text_of(from_, phase == "load" ? "mark" : "watermark");
    if (literal.empty() || plan_.dialect == Dialect::sqlite) return false;
    const SourceColumn& watermark = plan_.columns[*plan_.watermark];
    const WatermarkKind kind = watermark_kind(watermark, std::nullopt);
    const bool was_time = is_literal_of(WatermarkKind::time, literal);
    const bool was_number = is_literal_of(WatermarkKind::integer, literal);
    if ((kind == WatermarkKind::time && !was_time) || (kind == WatermarkKind::integer && was_time && !was_number)) {
        warning_ = "the watermark \"" + literal + "\" is not valid for column \"" + watermark.name + "\" of type " +
                   watermark.source_type + ": everything was read again";
        return true;
    }
    for (const std::string& name : request_.watermark) {
        for (const nlohmann::json& known : request_.known_columns) {
            if (text_of(known, "name") != name) continue;
            const SourceColumn& now = plan_.relation.columns[find_column(plan_.relation.columns, name, "watermark")];
            const std::string before = text_of(known, "type");
            const bool was_zoned = before == name_of(Transport::timestamptz);
            if (!was_zoned && before != name_of(Transport::timestamp)) continue;
            if (now.type != Transport::timestamp && now.type != Transport::timestamptz) continue;
            if (was_zoned == (now.type == Transport::timestamptz)) continue;
            warning_ = "the source's column \"" + name + "\" changed from type " + text_of(known, "source_type") +
                       " to " + now.source_type + ", which changes its times: everything was read again";
            return true;
        }
    }
    return false;
}

// The source's highest watermark lies below the stream's: its numbers were restarted, or it was restored. A read of
// changes begins at or below the watermark, so it has met it or a later one otherwise.
bool Reader::is_below_overlap() {
    if (text_of(from_, "phase") != "changes" || !overlap_end_) return false;
    if (plan_.kind == WatermarkKind::rowversion) {
        if (!horizon_ || compare_literals(plan_.kind, *horizon_, *overlap_end_) != std::strong_ordering::less) {
            return false;
        }
    } else if (plan_.kind == WatermarkKind::time || met_overlap_end_) {
        return false;
    }
    warning_ = "the source's highest watermark is below the stream's, \"" + *overlap_end_ +
               "\", as if its numbers had started again: everything was read again";
    return true;
}

// From the beginning, in the middle of a read. The position says so at once: what is known of the source's columns by
// then must not hide it from the next run if this one breaks off.
void Reader::begin_again() {
    from_ = nullptr;
    begins_again_ = true;
    watermark_.reset();
    overlap_end_.reset();
    overlap_rows_.reset();
    moved_ = met_overlap_end_ = false;
    plan_.kind = watermark_kind(plan_.columns[*plan_.watermark], std::nullopt);
    position_ = {{"phase", "changes"}, {"watermark", nullptr}, {"key", nullptr}};
    send_position();
    position_ = nullptr;
}

}  // namespace insync::odbc
