// From pages to frames: rows, rejects, positions and progress of a read; see reader.hpp.
#include <algorithm>
#include <cstring>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/odbc/catalog.hpp"
#include "bgworker/connector/odbc/reader.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::odbc {

namespace {

// A reject's record is meant to be read and replayed; values beyond this are shortened.
constexpr std::size_t max_record_bytes = 1u << 20;

// One row has to fit a frame, with room for the worker's own limits.
constexpr std::size_t max_row_bytes = wire::max_payload - (1u << 20);

// Keys that are no text are shown by their bytes: two rows that are rejected for them must not look like one.
std::string escaped(const std::string& bytes) {
    std::string text;
    for (const char c : bytes) {
        constexpr char digits[] = "0123456789ABCDEF";
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80 && byte != 0) {
            text += c;
        } else {
            text += std::string("\\x") + digits[byte >> 4] + digits[byte & 15];
        }
    }
    return text;
}

std::string record_text(const SourceColumn& column, const Cell& cell) {
    std::string literal = literal_of(column, cell);
    if (column.is_key && !is_valid_utf8(literal)) literal = escaped(literal);
    if (literal.size() <= max_record_bytes) return replaced_utf8(literal);
    return replaced_utf8(utf8_prefix(literal, max_record_bytes)) + "...";
}

}  // namespace

// Only whole numbers are looked at, as texts and the like are ordered by the source's own rules.
void PageOrder::require(const Cursor& cursor, std::size_t row) {
    if (!column) return;
    const Cell cell = cursor.cell(row, *column);
    if (cell.is_null || cell.fault != Fault::none) return;
    std::int64_t value = 0;
    std::memcpy(&value, cell.data.data(), sizeof value);
    if (previous && (value < *previous || (is_unique && value == *previous))) throw OutOfOrder();
    previous = value;
}

OutOfOrder::OutOfOrder()
    : Failure(FailureClass::source, "the source does not return its rows in the order that was asked for",
              "Rows would be lost, or read without an end.",
              "Check the source's driver, or the view or query that is read.") {}

UnsortedWatermark::UnsortedWatermark(const std::string& column, const std::string& problem)
    : Failure(FailureClass::config, "watermark column \"" + column + "\" holds texts that do not sort", problem,
              "Choose another column, or read a query that converts this one to a time or a number.") {}

PageOrder Reader::order_by(std::optional<std::size_t> column) const {
    PageOrder order;
    if (!column || plan_.columns[*column].fetch != Fetch::int64) return order;
    order.column = column;
    order.is_unique = key_is_unique_ && plan_.key.size() == 1 && *column == plan_.key[0];
    return order;
}

void Reader::read_pages(const PageStatement& page, std::optional<After> after, std::optional<std::size_t> ordered_by,
                        const Advance& advance) {
    const std::size_t page_rows = plan_.page_rows == 0 ? SIZE_MAX : plan_.page_rows;
    while (true) {
        const StatementText statement = page(after);
        Cursor cursor(connection_, plan_.columns, *fetch_);
        cursor.execute(statement.sql, statement.parameters);
        if (describes_results_ && shape_.empty()) shape_ = cursor.shape();
        std::size_t read = 0;
        bool again = false;
        std::optional<After> last;
        PageOrder order = order_by(ordered_by);
        while (!again && read < page_rows && cursor.next()) {
            const std::size_t count = std::min(cursor.intact_rows(), page_rows - read);
            again = cursor.intact_rows() < cursor.rows();
            send_rows(cursor, count, order, advance);
            if (count > 0 && !plan_.key.empty()) last = after_row(cursor, count - 1);
            read += count;
        }
        // A page begins behind the page before; a full one that ends where that ended would be read for ever.
        const bool goes_on = !again && read >= page_rows;
        if (goes_on && after && last->key == after->key && last->watermark == after->watermark) throw OutOfOrder();
        if (last) after = last;
        if (!again) pages_++;
        send_progress();
        if (!again && read < page_rows) return;
    }
}

// By what the driver hands over, before anything of it is changed or refused.
void Reader::identify(const Cursor& cursor, std::size_t row) {
    identity_->begin();
    for (std::size_t i = 0; i < plan_.sent; i++) {
        const Cell cell = cursor.cell(row, i);
        if (cell.is_null) {
            identity_->add_null();
        } else if (cell.fault != Fault::none) {
            identity_->add_fault();  // its bytes are those of another row, or only some of its own
        } else {
            identity_->add(cell.data);
        }
    }
    identity_->end();
}

void Reader::send_rows(const Cursor& cursor, std::size_t count, PageOrder& order, const Advance& advance) {
    std::size_t first = 0;
    for (std::size_t row = 0; row < count; row++) {
        order.require(cursor, row);
        if (counts_overlap_ && has_place(cursor, row)) count_row(cursor, row);
        send_row(cursor, row);
        if (batch_is_full()) {
            advance(cursor, first, row);
            send_position();
            first = row + 1;
        }
    }
    if (count > first) advance(cursor, first, count - 1);
}

// Whether the row stands anywhere in the order of changes.
bool Reader::has_place(const Cursor& cursor, std::size_t row) const {
    if (plan_.watermark && cursor.cell(row, *plan_.watermark).is_null) return false;
    return std::none_of(plan_.key.begin(), plan_.key.end(), [&](std::size_t part) {
        return plan_.columns[part].nullable && cursor.cell(row, part).is_null;
    });
}

void Reader::send_row(const Cursor& cursor, std::size_t row) {
    rows_++;
    rows_since_position_++;
    if (identity_) identify(cursor, row);
    for (std::size_t part : plan_.key) {
        if (plan_.columns[part].nullable && cursor.cell(row, part).is_null) {
            return reject_row(cursor, row, sqlstate_of(Fault::null_key),
                              describe_fault(Fault::null_key, plan_.columns[part]), plan_.columns[part].name);
        }
    }
    if (plan_.has_nullable_watermark() && cursor.cell(row, *plan_.watermark).is_null) {
        null_watermarks_++;
        if (rejects_null_watermarks_) {
            const std::string& name = plan_.columns[*plan_.watermark].name;
            return reject_row(cursor, row, "22004", "watermark column \"" + name + "\" is null", name);
        }
    }
    out_.begin_row(static_cast<std::int16_t>(plan_.sent + (identity_ ? identity_->columns().size() : 0)));
    for (std::size_t i = 0; i < plan_.sent; i++) {
        Fault fault = encode_cell(out_, plan_.columns[i], cursor.cell(row, i), encode_, connection_.max_value_bytes());
        if (fault == Fault::none && out_.row_bytes() > max_row_bytes) fault = Fault::too_long;
        if (fault != Fault::none) {
            out_.drop_row();
            return reject_row(cursor, row, sqlstate_of(fault), describe_fault(fault, plan_.columns[i]),
                              plan_.columns[i].name);
        }
    }
    if (identity_) identity_->append_to(out_);
    out_.end_row();
}

void Reader::reject_row(const Cursor& cursor, std::size_t row, const std::string& sqlstate, const std::string& message,
                        const std::string& column) {
    nlohmann::json key = nlohmann::json::object();
    nlohmann::json record = nlohmann::json::object();
    auto value_of = [&](std::size_t i) {
        const Cell cell = cursor.cell(row, i);
        return cell.is_null ? nlohmann::json() : nlohmann::json(record_text(plan_.columns[i], cell));
    };
    for (std::size_t part : plan_.key) key[replaced_utf8(plan_.columns[part].name)] = value_of(part);
    for (std::size_t i = 0; i < plan_.sent; i++) record[replaced_utf8(plan_.columns[i].name)] = value_of(i);
    if (identity_) {
        for (nlohmann::json* object : {&key, &record}) {
            (*object)[identity_->columns()[0].name] = identity_->hash_text();
            (*object)[identity_->columns()[1].name] = std::to_string(identity_->copy());
        }
    }
    out_.send(wire::FrameType::reject,
              {{"key", key},
               {"record", record},
               {"sqlstate", sqlstate},
               {"message", message},
               {"column", column},
               {"watermark", plan_.watermark ? value_of(*plan_.watermark) : nlohmann::json()}});
}

bool Reader::batch_is_full() const {
    if (rows_since_position_ >= request_.batch_rows) return true;
    return out_.bytes_sent() + out_.pending_bytes() - bytes_at_position_ >= request_.batch_bytes;
}

void Reader::send_position() {
    nlohmann::json shown;
    if (watermark_) shown = *watermark_;
    out_.send(wire::FrameType::position,
              {{"position", position_}, {"watermark", shown}, {"rows", rows_since_position_}});
    rows_since_position_ = 0;
    bytes_at_position_ = out_.bytes_sent();
}

void Reader::send_progress() {
    out_.send(wire::FrameType::progress, {{"requests", connection_.statements_sent - statements_before_},
                                          {"bytes", out_.bytes_sent() + out_.pending_bytes() - bytes_before_},
                                          {"pages", pages_},
                                          {"rows", rows_}});
}

After Reader::after_row(const Cursor& cursor, std::size_t row) const {
    After after;
    if (plan_.watermark) {
        after.watermark = literal_of(plan_.columns[*plan_.watermark], cursor.cell(row, *plan_.watermark));
    }
    for (const PagePart& part : plan_.page_order) {
        after.key.push_back(literal_of(plan_.columns[part.column], cursor.cell(row, part.column)));
    }
    return after;
}

bool Reader::is_future(const std::string& literal) const {
    if (plan_.kind != WatermarkKind::time || !clock_) return false;
    return compare_literals(plan_.kind, literal, clock_for(literal)) == std::strong_ordering::greater;
}

// The source's clock to compare a time with: of UTC where that says an offset.
std::string Reader::clock_for(const std::string& literal) const {
    const std::optional<CivilTime> time = parse_civil_time(literal), now = parse_civil_time(*clock_);
    const bool is_local = request_.zone_offset_s && !is_zoned();
    if (!is_local || !time || !time->offset_seconds || !now || now->offset_seconds) return *clock_;
    return format_moved(*now, -*request_.zone_offset_s * 1000000);
}

// Rows come in the order of their watermark, so the block's last row that can be believed has its highest. What stands
// behind it is of the future, or isn't written as a watermark of this kind at all. Times that SQLite sorts as texts may
// be written in several ways; all that is still to come sorts behind the highest of them nevertheless.
void Reader::advance_watermark(const Cursor& cursor, std::size_t first, std::size_t last) {
    const bool in_order = plan_.dialect != Dialect::sqlite;
    for (std::size_t row = last + 1; row-- > first;) {
        if (!has_place(cursor, row)) continue;
        const After here = after_row(cursor, row);
        // The very first literal tells how a text column writes its watermarks.
        if (!watermark_) plan_.kind = watermark_kind(plan_.columns[*plan_.watermark], here.watermark);
        if (is_future(here.watermark) || !is_literal_of(plan_.kind, here.watermark)) {
            future_rows_++;
            continue;
        }
        if (watermark_ && here.watermark == *watermark_) {
            // The overlap of an earlier run ends here: what it found with the same watermark stays behind its position.
            if (!moved_ && in_order) return;
            if (!moved_) continue;
        } else if (watermark_ && plan_.kind != WatermarkKind::text &&
                   compare_literals(plan_.kind, here.watermark, *watermark_) != std::strong_ordering::greater) {
            if (in_order) return;
            continue;
        }
        watermark_ = here.watermark;
        moved_ = true;
        position_ = {{"phase", "changes"}, {"watermark", *watermark_}, {"key", here.key}};
        if (in_order || plan_.kind != WatermarkKind::time) return;
    }
}

nlohmann::json Reader::preview(std::size_t rows) {
    plan_ = make_read_plan(connection_.dialect(), load_relation(connection_, request_.source), request_);
    fetch_.emplace(plan_.columns);
    fetch_->row_by_row = true;
    out_.send(wire::FrameType::columns,
              {{"columns", to_json(std::vector<Column>(plan_.columns.begin(), plan_.columns.end()))}});
    StatementText statement = preview_rows(plan_, rows);
    Cursor cursor(connection_, plan_.columns, *fetch_);
    cursor.execute(statement.sql, statement.parameters);
    while (rows_ < rows && cursor.next()) send_row(cursor, 0);
    send_progress();
    return {{"complete", true}, {"rows", rows_}};
}

}  // namespace insync::odbc
