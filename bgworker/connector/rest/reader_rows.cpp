// From pages to frames: columns, rows, rejects and positions of a read; see reader.hpp.
#include <algorithm>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/reader.hpp"
#include "bgworker/connector/values/text_form.hpp"
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

// The columns that the stream has: what options declare comes before what was discovered.
void Reader::add_known_columns() {
    auto find_declared = [&](const std::string& name) {
        return std::find_if(declared_.begin(), declared_.end(),
                            [&](const auto& column) { return column.name == name; });
    };
    const std::string other = settings_.text("other_fields");
    for (const nlohmann::json& known : request_.known_columns) {
        const std::string name = known.value("name", "");
        const auto found = find_declared(name);
        RestColumn column = found == declared_.end() ? RestColumn() : *found;
        column.name = name;
        column.is_declared = true;
        if (!column.is_typed) {
            column.type = transport_of(known.value("type", "text")).value_or(Transport::text);
            column.pg_type = known.value("pg_type", "text");
            column.source_type = known.value("source_type", "");
        }
        columns_.push_back(std::move(column));
    }
    if (columns_.empty()) return;
    for (const RestColumn& declared : declared_) {
        if (!has_column(declared.name)) columns_.push_back(declared);
    }
    for (std::size_t i = 0; i < columns_.size(); i++) {
        RestColumn& column = columns_[i];
        const auto parent = std::find_if(parent_names_.begin(), parent_names_.end(),
                                         [&](const std::string& field) { return column.name == "parent_" + field; });
        if (parent != parent_names_.end()) {
            parent_columns_.resize(parent_names_.size(), SIZE_MAX);
            parent_columns_[static_cast<std::size_t>(parent - parent_names_.begin())] = i;
        } else if (column.name == other) {
            other_column_ = i;
        } else if (find_declared(column.name) == declared_.end()) {
            column.field = fields_.add(column.name);
        }
    }
    known_fields_ = fields_.size();
    if (other_column_ || request_.only_keys) fields_.close();
}

bool Reader::has_column(const std::string& name) const {
    return std::any_of(columns_.begin(), columns_.end(), [&](const auto& column) { return column.name == name; });
}

// Is there a field without a column, which has a value in this page, or wasn't there before?
bool Reader::has_new_fields(const Page& page) const {
    if (fields_.size() > known_fields_) return true;
    return std::any_of(unset_fields_.begin(), unset_fields_.end(), [&](std::size_t field) {
        for (std::size_t row = 0; row < page.rows(); row++) {
            const Value::Kind kind = page.value(row, field).kind;
            if (kind != Value::Kind::absent && kind != Value::Kind::null) return true;
        }
        return false;
    });
}

// A column for each field that has none; but one that is always null is none, as nothing tells its type. False: there
// is no new one.
bool Reader::discover_columns(const Page& page) {
    const std::size_t before = columns_.size();
    unset_fields_.clear();
    for (std::size_t field = 0; field < fields_.size(); field++) {
        const std::string name = fields_.name(field);
        if (has_column(name)) continue;
        const auto declared =
            std::find_if(declared_.begin(), declared_.end(), [&](const auto& column) { return column.name == name; });
        RestColumn column = declared == declared_.end() ? RestColumn() : *declared;
        column.name = name;
        column.field = field;
        TypeGuess guess;
        for (std::size_t row = 0; row < page.rows(); row++) guess.add(page.value(row, field));
        if (!column.is_declared && !guess.has_values() && before > 0) {
            unset_fields_.push_back(field);
            continue;
        }
        if (!column.is_typed) take_guess(column, guess);
        columns_.push_back(std::move(column));
    }
    known_fields_ = fields_.size();
    return columns_.size() > before;
}

void Reader::send_columns() {
    out_.send(wire::FrameType::columns, {{"columns", to_json(std::vector<Column>(columns_.begin(), columns_.end()))}});
}

void Reader::take_new_fields(const Page& page) {
    if (!discover_columns(page)) return;
    if (rows_since_position_ > 0) send_position();
    send_columns();
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
        version_kind_ = kind_of(counts, value.text);
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

bool Reader::is_null(const Page& page, std::size_t row, const std::vector<std::size_t>& fields) {
    return std::all_of(fields.begin(), fields.end(), [&](std::size_t field) {
        const Value::Kind kind = page.value(row, field).kind;
        return kind == Value::Kind::absent || kind == Value::Kind::null;
    });
}

// A row's watermark in the source's own form. The first one tells the kind, and with the source's clock, which times
// can't be believed.
std::optional<std::string> Reader::watermark_of(const Page& page, std::size_t row) {
    const Value value = page.value(row, *watermark_field_);
    if (value.kind == Value::Kind::absent || value.kind == Value::Kind::null) {
        if (child_) null_watermarks_++;
        return std::nullopt;
    }
    if (kind_ == WatermarkKind::none) kind_ = kind_of(value.kind != Value::Kind::string, value.text);
    if (!run_start_) run_start_ = session_.source_now();
    std::string literal(value.text);
    if (kind_ == WatermarkKind::text) require_form(literal);
    if (!is_literal_of(kind_, literal)) {
        future_rows_++;
        return std::nullopt;
    }
    if (is_future(literal) && is_beyond(literal, session_.source_now())) future_rows_++;
    if (begun_at_ && !is_later(literal, *begun_at_)) reread_rows_++;
    return literal;
}

// What we compare as texts has to be written as texts sort.
void Reader::require_form(const std::string& literal) const {
    std::optional<std::string> problem = unsorted_form(literal);
    if (!problem && watermark_ && !layout_of(*watermark_).empty() && !layout_of(literal).empty() &&
        !are_written_alike(*watermark_, literal)) {
        problem = unsorted_forms({*watermark_, literal}, false);
    }
    if (!problem) return;
    throw Failure(FailureClass::config,
                  "watermark field \"" + (child_ ? parent_fields_ : fields_).name(*watermark_field_) +
                      "\" holds texts that do not sort",
                  *problem, "Choose a field that is a time or a number.");
}

bool Reader::is_number(const std::string& name) const {
    const auto column =
        std::find_if(columns_.begin(), columns_.end(), [&](const auto& item) { return item.name == name; });
    return column != columns_.end() && (column->type == Transport::int8 || column->type == Transport::int4 ||
                                        column->type == Transport::int2 || column->type == Transport::numeric);
}

WatermarkKind Reader::kind_of(bool is_number, std::string_view literal) const {
    if (is_number || !epoch_.empty()) return WatermarkKind::integer;
    return parse_civil_time(literal) ? WatermarkKind::time : WatermarkKind::text;
}

bool Reader::is_later(const std::string& left, const std::string& right) const {
    return compare_literals(kind_, left, right) == std::strong_ordering::greater;
}

bool Reader::is_future(const std::string& literal) const {
    return is_beyond(literal, run_start_);
}

// Later than anything that was written by the time that the clock showed. The clock shows whole seconds, and so does
// what we add since we read it: the present may be two seconds on.
bool Reader::is_beyond(const std::string& literal, const std::optional<std::string>& clock) const {
    constexpr std::int64_t unseen_us = 2000000;
    const std::optional<CivilTime> time = clock ? parse_civil_time(*clock) : std::nullopt;
    const std::optional<std::string> now = time ? clock_for(literal, format_moved(*time, unseen_us)) : std::nullopt;
    return now && is_later(literal, *now);
}

// The clock as a watermark would show it: in the same zone, or as a number. A watermark without a zone is in that of
// the stream's option, or in UTC where there is none.
std::optional<std::string> Reader::clock_for(const std::string& literal, const std::string& clock) const {
    if (!epoch_.empty()) return format_time(clock, epoch_);
    const std::optional<CivilTime> time = parse_civil_time(literal), now = parse_civil_time(clock);
    if (kind_ != WatermarkKind::time || !time || !now) return std::nullopt;
    const bool is_local = !time->offset_seconds && request_.zone_offset_s;
    return is_local ? format_moved(*now, *request_.zone_offset_s * 1000000) : clock;
}

// The lower of a watermark and the clock, in the watermark's form. One without a zone may be in one that we don't know,
// and is left as it is then; the lookback has to cover what was written meanwhile.
std::string Reader::sooner_of(const std::string& literal, const std::string& clock) const {
    const std::optional<std::string> now = clock_for(literal, clock);
    if (!now || !is_later(literal, *now)) return literal;
    if (!epoch_.empty()) return *now;
    const std::optional<CivilTime> time = parse_civil_time(literal), clock_time = parse_civil_time(*now);
    if (!time->offset_seconds && !request_.zone_offset_s) return literal;
    // Both as the clock's face shows them: the zone is written as it was.
    return format_moved(*time, clock_time->microseconds_from_2000() - time->microseconds_from_2000());
}

}  // namespace insync::rest
