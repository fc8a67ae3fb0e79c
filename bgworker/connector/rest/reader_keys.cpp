// What tells of rows by their keys alone: those that a feed says were deleted, and those that there are; see
// reader.hpp.
#include <algorithm>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/reader.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::rest {

namespace {}  // namespace

// Notes from when on deletes count, or applies those since then: before anything else is read.
void Reader::begin_feed() {
    if (request_.full || !feed_->has_begun()) return feed_->begin_at(source_clock());
    if (change_mode() == ChangeMode::token) {
        throw Failure(FailureClass::config, "the options delete_feed and response_watermark exclude each other",
                      "What a delete could have removed wrongly is read again, which a token cannot ask for.");
    }
    const bool is_time = order_.is_time();
    if (watermark_ && change_mode() != ChangeMode::compare && !is_time) {
        throw Failure(FailureClass::config, "the option delete_feed needs a watermark that is a time",
                      "The stream's is \"" + replaced_utf8(utf8_prefix(*watermark_, 60)) + "\".");
    }
    read_deleted();
}

void Reader::read_deleted() {
    bool is_first = true;
    feed_->read([&](const DeleteFeed::Event& event) {
        if (is_first) send_key_columns("deleted_key");
        is_first = false;
        send_key(event.fault,
                 [&](std::size_t part) { return event.page.value(event.row, feed_->key_fields().at(part)); });
        if (batch_is_full()) send_position();
    });
    if (rows_since_position_ > 0) send_position();
    pages_ += feed_->pages();
}

// From here on rows have the key's columns only, until other columns are sent. `rows` says what that means.
void Reader::send_key_columns(const char* rows) {
    key_columns_.clear();
    std::vector<Column> columns;
    for (const std::string& name : request_.key_columns) {
        const auto found =
            std::find_if(columns_.begin(), columns_.end(), [&](const auto& column) { return column.name == name; });
        if (found == columns_.end()) {
            throw Failure(FailureClass::config, "the key column \"" + name + "\" is not known yet");
        }
        key_columns_.push_back(static_cast<std::size_t>(found - columns_.begin()));
        columns.push_back(*found);
    }
    out_.send(wire::FrameType::columns, {{"columns", to_json(columns)}, {"rows", rows}});
}

void Reader::send_key(std::string_view fault, const std::function<Value(std::size_t)>& value_of_part) {
    rows_++;
    rows_since_position_++;
    auto reject = [&](const std::string& sqlstate, const std::string& message, const std::string& column) {
        nlohmann::json key = nlohmann::json::object();
        for (std::size_t part = 0; part < key_columns_.size(); part++) {
            key[replaced_utf8(columns_[key_columns_[part]].name)] = shown(value_of_part(part));
        }
        out_.send(wire::FrameType::reject, {{"key", key},
                                            {"record", key},
                                            {"sqlstate", sqlstate},
                                            {"message", message},
                                            {"column", column},
                                            {"watermark", nullptr}});
    };
    if (!fault.empty()) return reject("22032", std::string(fault), "");
    out_.begin_row(static_cast<std::int16_t>(key_columns_.size()));
    for (std::size_t part = 0; part < key_columns_.size(); part++) {
        const RestColumn& column = columns_[key_columns_[part]];
        const Value value = value_of_part(part);
        const Fault problem = value.kind == Value::Kind::absent || value.kind == Value::Kind::null
                                  ? Fault::null_key
                                  : encode_value(out_, column, value, options_for(column, value), max_value_bytes_);
        if (problem == Fault::none) continue;
        out_.drop_row();
        return reject(
            sqlstate_of(problem),
            problem == Fault::null_key ? "key column \"" + column.name + "\" is null" : describe_fault(problem, column),
            column.name);
    }
    out_.end_row();
}

// The watermark, or the time of the oldest delete that was applied, in the watermark's form.
std::string Reader::before_deletes(const std::string& literal) const {
    const std::optional<std::int64_t> deleted = feed_->reread_from(), read = instant_of(literal, order_.epoch());
    if (!deleted || !read || *deleted >= *read) return literal;
    if (order_.epoch().empty()) return format_moved(*parse_civil_time(literal), *deleted - *read);
    return std::to_string(to_unix_us(*deleted) / unit_us(order_.epoch()));
}

}  // namespace insync::rest
