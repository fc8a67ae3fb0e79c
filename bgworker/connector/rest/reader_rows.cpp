// From pages to frames: columns, rows, rejects and positions of a read; see reader.hpp.
#include <algorithm>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/reader.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::rest {

namespace {

constexpr std::size_t max_record_bytes = 1u << 20;
constexpr std::size_t max_row_bytes = wire::max_payload - (1u << 20);

}  // namespace

nlohmann::json shown(const Value& value) {
    if (value.kind == Value::Kind::absent || value.kind == Value::Kind::null) return nullptr;
    if (value.text.size() > max_record_bytes) {
        return replaced_utf8(utf8_prefix(value.text, max_record_bytes)) + "...";
    }
    if (value.kind == Value::Kind::boolean) return value.text == "true";
    return replaced_utf8(value.text);
}

void Reader::send_page(const Query& query, const std::function<void(std::size_t)>& row_sent) {
    const Page& page = query.page();
    if (!child_) {
        if (columns_.empty() && page.rows() == 0) return;
        const bool gathers = !settings_.text("other_fields").empty();
        // New fields: what was sent so far is a batch of its own, with the columns that it had.
        if (columns_.empty() || (!gathers && has_new_fields(page))) take_new_fields(page);
    }
    for (std::size_t row = query.first_row(); row < page.rows(); row++) {
        if (child_) {
            send_children(page, row);
        } else {
            send_row(page, row);
        }
        row_sent(row);
        if (batch_is_full()) send_position();
    }
    send_progress();
}

void Reader::send_children(const Page& parents, std::size_t row) {
    Values values;
    for (std::size_t i = 0; i < parent_names_.size(); i++) {
        const std::optional<std::size_t> field = parent_fields_.find(parent_names_[i]);
        const Value value = field ? parents.value(row, *field) : Value();
        if (value.kind == Value::Kind::absent || value.kind == Value::Kind::null) {
            throw Failure(FailureClass::source, "a parent row has no field \"" + parent_names_[i] + "\"", "",
                          "Name a field that each row of the option parent has.");
        }
        parent_values_[i] = std::string(value.text);
        values.texts["parent." + parent_names_[i]] = parent_values_[i];
    }
    Query query(session_, *child_, fields_, key_fields_, std::move(values), child_memory_);
    if (finds_gaps_) query.watch_gaps();
    while (query.next()) {
        const Page& page = query.page();
        if (columns_.empty() ? page.rows() > 0 : settings_.text("other_fields").empty() && has_new_fields(page))
            take_new_fields(page);
        for (std::size_t child = query.first_row(); child < page.rows(); child++) {
            send_row(page, child);
            if (batch_is_full()) send_position();
        }
    }
    if (query.is_cut_off()) fail_cut_off("It has more of them for one parent.");
    has_gaps_ = has_gaps_ || (finds_gaps_ && query.may_have_gaps());
    pages_ += query.pages();
}

Value Reader::value_of(const Page& page, std::size_t row, const RestColumn& column) {
    const auto index = static_cast<std::size_t>(&column - columns_.data());
    for (std::size_t i = 0; i < parent_columns_.size(); i++) {
        if (parent_columns_[i] == index) return {Value::Kind::string, parent_values_[i]};
    }
    if (other_column_ == index) {
        scratch_ = page.others(row, [&](const std::string& name) { return fields_.takes_member(name); });
        if (scratch_.empty()) scratch_ = "{}";
        return {Value::Kind::json, scratch_};
    }
    return page.value(row, column.field);
}

void Reader::send_row(const Page& page, std::size_t row) {
    if (request_.only_keys) {
        return send_key(page.fault(row),
                        [&](std::size_t part) { return value_of(page, row, columns_[key_columns_[part]]); });
    }
    rows_++;
    if (is_superseded(page, row)) {
        superseded_rows_++;
        return;
    }
    rows_since_position_++;
    if (const std::string_view fault = page.fault(row); !fault.empty()) {
        return reject_row(page, row, "22032", std::string(fault), "");
    }
    if (!version_fields_.empty() && is_null(page, row, version_fields_)) {
        null_watermarks_++;
        if (request_.null_watermark == ReadRequest::NullWatermark::fail) require_no_null_watermarks();
        if (request_.null_watermark == ReadRequest::NullWatermark::reject) {
            return reject_row(page, row, "22004", "watermark column \"" + name_of_version() + "\" is null",
                              name_of_version());
        }
    }
    for (const std::size_t field : key_fields_) {
        const Value value = page.value(row, field);
        if (value.kind != Value::Kind::absent && value.kind != Value::Kind::null) continue;
        const std::string& name = fields_.name(field);
        return reject_row(page, row, sqlstate_of(Fault::null_key), "key column \"" + name + "\" is null", name);
    }
    out_.begin_row(static_cast<std::int16_t>(columns_.size()));
    for (const RestColumn& column : columns_) {
        const Value value = value_of(page, row, column);
        Fault fault = encode_value(out_, column, value, options_for(column, value), max_value_bytes_);
        if (fault == Fault::none && out_.row_bytes() > max_row_bytes) fault = Fault::too_long;
        if (fault != Fault::none) {
            out_.drop_row();
            return reject_row(page, row, sqlstate_of(fault), describe_fault(fault, column), column.name);
        }
    }
    out_.end_row();
}

// Two keys with bytes that aren't text would be one with the same sign in their place.
EncodeOptions Reader::options_for(const RestColumn& column, const Value& value) const {
    EncodeOptions options = encode_;
    if (value.kind != Value::Kind::string || is_valid_utf8(value.text)) return options;
    const auto& keys = request_.key_columns;
    options.replace_text &= std::find(keys.begin(), keys.end(), column.name) == keys.end();
    return options;
}

void Reader::reject_row(const Page& page, std::size_t row, const std::string& sqlstate, const std::string& message,
                        const std::string& column) {
    nlohmann::json key = nlohmann::json::object();
    nlohmann::json record = nlohmann::json::object();
    for (const std::size_t field : key_fields_) key[fields_.name(field)] = shown(page.value(row, field));
    for (const RestColumn& item : columns_) {
        Value value = value_of(page, row, item);
        // As the column would have it, so that a good version of the row is known by its key, and replayed records fit.
        const bool is_number = value.kind == Value::Kind::integer || value.kind == Value::Kind::decimal;
        if (is_number) value.text = number_in(item.type, value.text);
        record[replaced_utf8(item.name)] = shown(value);
        const bool is_key = std::find(key_fields_.begin(), key_fields_.end(), item.field) != key_fields_.end();
        if (is_number && is_key) key[fields_.name(item.field)] = shown(value);
    }
    out_.send(wire::FrameType::reject,
              {{"key", key},
               {"record", record},
               {"sqlstate", sqlstate},
               {"message", message},
               {"column", column},
               {"watermark", watermark_field_ && !child_ ? shown(page.value(row, *watermark_field_)) : nullptr}});
}

void Reader::expect_versions() {
    // Children have no watermark of their own, and are asked for anew each time that their parent turns up.
    if (version_fields_.empty() || request_.version_key.empty()) return;
    versions_.emplace();
    for (const std::string& name : request_.version_key) version_key_.push_back(fields_.add(name));
}

// True if a newer row with the same key was sent before. One without a watermark, such as the word of a delete, is
// taken as it comes; and so is one whose watermark is neither a time nor a number, which may be ordered in any way.
bool Reader::is_superseded(const Page& page, std::size_t row) {
    if (!versions_ || !page.fault(row).empty()) return false;
    std::string key;
    for (const std::size_t field : version_key_) {
        const Value value = page.value(row, field);
        if (value.kind == Value::Kind::absent || value.kind == Value::Kind::null) return false;
        key += value.text;
        key += static_cast<char>(1 + static_cast<int>(value.kind));
    }
    if (is_null(page, row, version_fields_)) return false;
    std::size_t field = version_fields_.front();
    for (std::size_t i = 1; i < version_fields_.size() && is_null(page, row, {field}); i++) field = version_fields_[i];
    const Value value = page.value(row, field);
    if (version_kind_ == WatermarkKind::none || version_kind_ == WatermarkKind::text) {
        const bool counts = value.kind != Value::Kind::string || is_number(fields_.name(field));
        version_kind_ = order_.kind_of(counts, value.text);
    }
    return version_kind_ != WatermarkKind::text && !versions_->admit(key, version_kind_, value.text);
}

bool Reader::batch_is_full() const {
    if (rows_since_position_ >= request_.batch_rows) return true;
    return out_.bytes_sent() + out_.pending_bytes() - bytes_at_position_ >= request_.batch_bytes;
}

void Reader::send_position() {
    nlohmann::json position = position_;
    if (feed_) position["deletes"] = feed_->position();
    note_memory(position, "pages", memory_);
    note_memory(position, "child_pages", child_memory_);
    if (unread_nulls_) position["unread_nulls"] = *unread_nulls_;
    out_.send(wire::FrameType::position, {{"position", position},
                                          {"watermark", watermark_ ? nlohmann::json(*watermark_) : nlohmann::json()},
                                          {"rows", rows_since_position_}});
    rows_since_position_ = 0;
    bytes_at_position_ = out_.bytes_sent();
}

void Reader::load_memory() {
    child_memory_.defers = true;
    if (!request_.position.is_object()) return;
    for (const auto& [name, memory] : {std::pair("pages", &memory_), {"child_pages", &child_memory_}}) {
        const auto found = request_.position.find(name);
        if (found == request_.position.end() || !found->is_object()) continue;
        memory->has_continued = found->value("continued", false);
        memory->longest = found->value("longest", std::int64_t{0});
        memory->places = names_in(found->value("around", nlohmann::json::array()));
    }
}

void Reader::note_memory(nlohmann::json& position, const char* name, const PageMemory& memory) {
    if (!memory.has_continued && memory.longest == 0) return;
    nlohmann::json& noted = position[name] = nlohmann::json::object();
    if (memory.has_continued) noted["continued"] = true;
    if (memory.longest > 0) noted["longest"] = memory.longest;
    if (!memory.places.empty()) noted["around"] = memory.places;
}

void Reader::send_progress() {
    out_.send(wire::FrameType::progress, {{"requests", session_.requests() - requests_before_},
                                          {"bytes", out_.bytes_sent() + out_.pending_bytes() - bytes_before_},
                                          {"pages", pages_},
                                          {"rows", rows_}});
}

}  // namespace insync::rest
