// Checks and stores the rows of a batch; see batch.hpp.
#include "bgworker/protocol/batch.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "bgworker/protocol/wire.hpp"

namespace insync {

namespace {

constexpr std::size_t max_columns = 1600;

// Does `value` have the form of PostgreSQL's binary values of the type, as far as decoding relies on it?
bool has_form_of(Transport type, std::string_view value) {
    switch (type) {
        case Transport::jsonb:  // a version and text
            return !value.empty() && value[0] == 1;
        case Transport::numeric:  // four int16, the first of which says how many follow
            return value.size() >= 8 &&
                   value.size() == 8 + std::size_t{2} * static_cast<std::uint16_t>(wire::get_int16(value.data()));
        default:
            return size_of(type) < 0 || value.size() == static_cast<std::size_t>(size_of(type));
    }
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// A new target column's type becomes part of a CREATE TABLE: a name with numbers in parentheses or brackets, and behind
// its first word only what PostgreSQL's own types of several words have, so that no DEFAULT, CHECK or second column is
// among it.
bool is_type_name(std::string_view text) {
    static constexpr std::string_view digits = "0123456789";
    static constexpr std::string_view further_words = " precision varying with without time zone character ";
    bool first = true;
    for (std::size_t at = 0; at < text.size(); first = false) {
        std::size_t end = at + 1;
        if (text[at] == '(' || text[at] == '[') {
            end = std::min(text.find_first_not_of("0123456789, ", end), text.size()) + 1;
            if (first || end > text.size() || text[end - 1] != (text[at] == '(' ? ')' : ']')) return false;
        } else if (is_letter(text[at])) {
            while (end < text.size() && (is_letter(text[end]) || text[end] == '_' || text[end] == '.' ||
                                         digits.find(text[end]) != std::string_view::npos)) {
                end++;
            }
            std::string word = " " + fold_name(text.substr(at, end - at)) + " ";
            if (!first && further_words.find(word) == std::string_view::npos) return false;
        } else if (text[at] != ' ' || first) {
            return false;
        }
        at = end;
    }
    return true;
}

// As texts whose bytes compare as the values do; nothing for types where that takes more.
std::optional<std::string_view> comparable(Transport type, const Field& field, char (&number)[8]) {
    switch (type) {
        case Transport::int2:
        case Transport::int4:
        case Transport::int8:
        case Transport::date:
        case Transport::timestamp:
        case Transport::timestamptz: {
            std::string_view bytes(field.data, static_cast<std::size_t>(field.length));
            bytes.copy(number, sizeof number);
            number[0] = static_cast<char>(number[0] ^ '\x80');  // negative numbers first
            return std::string_view(number, bytes.size());
        }
        case Transport::text:
        case Transport::uuid:
            return std::string_view(field.data, static_cast<std::size_t>(field.length));
        default:
            return std::nullopt;
    }
}

}  // namespace

std::string fold_name(std::string_view name, std::size_t limit) {
    std::string folded(name);
    for (char& c : folded) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    if (folded.size() > limit) {
        std::size_t end = limit;
        while (end > 0 && (static_cast<unsigned char>(folded[end]) & 0xC0) == 0x80) end--;
        folded.resize(end);
    }
    // No table can have a column of these names.
    for (const char* system : {"ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"}) {
        if (folded == system) return folded + "_";
    }
    return folded;
}

RowKind row_kind_of(const nlohmann::json& columns_frame) {
    const std::string word = text_member(columns_frame, "rows");
    if (word.empty()) return RowKind::full;
    if (word == "deleted_key") return RowKind::deleted_key;
    if (word == "live_key") return RowKind::live_key;
    throw ProtocolError("rows of an unknown kind");
}

std::vector<SourceColumn> parse_columns(const nlohmann::json& description) {
    if (!description.is_array() || description.empty()) throw ProtocolError("a description without columns");
    if (description.size() > max_columns) {
        throw ProtocolError("the source has " + std::to_string(description.size()) +
                            " columns, more than a table can have (1600)");
    }
    std::vector<SourceColumn> columns;
    std::set<std::string> taken{"insync_row"};
    auto is_identity = [](const nlohmann::json& item) { return text_member(item, "source_type") == row_identity_type; };
    // What tells rows apart keeps its name, whatever the source calls its own.
    for (const auto& item : description) {
        if (item.is_object() && is_identity(item)) taken.insert(fold_name(text_member(item, "name")));
    }
    for (const auto& item : description) {
        if (!item.is_object()) throw ProtocolError("a column that is not an object");
        SourceColumn column;
        column.name = text_member(item, "name");
        column.pg_type = text_member(item, "pg_type");
        column.source_type = text_member(item, "source_type");
        if (!is_type_name(column.pg_type))
            throw ProtocolError("the type of column \"" + column.name + "\" is not the name of a type");
        auto flag = [&](const char* name, bool otherwise) {
            auto found = item.find(name);
            return found != item.end() && found->is_boolean() ? found->get<bool>() : otherwise;
        };
        column.nullable = flag("nullable", true);
        column.mapped = flag("mapped", true);
        column.made = flag("made", false);
        std::string type = text_member(item, "type");
        auto transport = transport_of(type);
        if (!transport) throw ProtocolError("unknown transport type \"" + type + "\"");
        column.transport = *transport;
        if (column.name.empty()) column.name = "column" + std::to_string(columns.size() + 1);
        column.field = fold_name(column.name);
        for (int suffix = 2; !is_identity(item) && !taken.insert(column.field).second; suffix++) {
            std::string tail = "_" + std::to_string(suffix);
            column.field = fold_name(column.name, max_name - tail.size()) + tail;
        }
        columns.push_back(std::move(column));
    }
    return columns;
}

const SourceColumn* find_field(const std::vector<SourceColumn>& columns, const std::string& field) {
    auto found =
        std::find_if(columns.begin(), columns.end(), [&](const auto& column) { return column.field == field; });
    return found != columns.end() ? &*found : nullptr;
}

nlohmann::json to_json(const std::vector<SourceColumn>& columns) {
    auto array = nlohmann::json::array();
    for (const auto& column : columns) {
        array.push_back({{"name", column.name},
                         {"type", name_of(column.transport)},
                         {"pg_type", column.pg_type},
                         {"source_type", column.source_type},
                         {"nullable", column.nullable}});
        if (!column.mapped) array.back()["mapped"] = false;
        if (column.made) array.back()["made"] = true;
    }
    return array;
}

void Batch::append_rows(std::string_view payload, const std::vector<SourceColumn>& columns) {
    if (columns.empty()) throw ProtocolError("rows before their columns");
    std::size_t base = data_.size(), before = offsets_.size(), at = 0;
    auto refuse = [&](const std::string& why) {
        offsets_.resize(before);
        throw ProtocolError(why);
    };
    auto take = [&](std::size_t count) {
        if (payload.size() - at < count) refuse("a row is cut off");
        at += count;
        return payload.substr(at - count, count);
    };
    while (at < payload.size()) {
        offsets_.push_back(base + at);
        if (wire::get_int16(take(2).data()) != static_cast<std::int16_t>(columns.size())) {
            refuse("a row has another number of fields than announced");
        }
        for (const auto& column : columns) {
            std::int32_t length = wire::get_int32(take(4).data());
            if (length == -1) continue;
            if (length < 0) refuse("a field of column \"" + column.name + "\" has length " + std::to_string(length));
            if (!has_form_of(column.transport, take(static_cast<std::size_t>(length)))) {
                refuse("a field of column \"" + column.name + "\" is no " + std::string(name_of(column.transport)));
            }
        }
    }
    data_.append(payload);
}

void Batch::append_reject(const nlohmann::json& reject) {
    if (!reject.is_object()) throw ProtocolError("a reject that is not an object");
    SourceReject item;
    if (auto key = reject.find("key"); key != reject.end() && key->is_object()) {
        for (const auto& [name, value] : key->items()) item.key[fold_name(name)] = value;
    }
    item.record = nlohmann::json::object();
    if (auto record = reject.find("record"); record != reject.end() && record->is_object()) {
        for (const auto& [name, value] : record->items()) item.record[fold_name(name)] = value;
    }
    item.sqlstate = text_member(reject, "sqlstate");
    item.message = text_member(reject, "message");
    item.column = fold_name(text_member(reject, "column"));
    item.watermark = text_member(reject, "watermark");
    if (item.sqlstate.size() != 5) item.sqlstate = "22000";
    rejects.push_back(std::move(item));
}

void Batch::set_position(const nlohmann::json& payload) {
    auto moved = payload.find("position");
    if (moved == payload.end() || !(moved->is_object() || moved->is_null())) {
        throw ProtocolError("a position frame without a position");
    }
    auto count = payload.find("rows");
    if (count == payload.end() || !count->is_number_unsigned() ||
        count->get<std::uint64_t>() != rows() + rejects.size()) {
        throw ProtocolError("a position counts other rows than were sent");
    }
    position = *moved;
    watermark = text_member(payload, "watermark");
}

void Batch::clear() {
    data_.clear();
    offsets_.clear();
    rejects.clear();
    position = nullptr;
    watermark.clear();
}

bool Batch::ascends(const std::vector<std::size_t>& by, const std::vector<SourceColumn>& columns) const {
    if (by.empty()) return false;
    std::vector<Field> before(columns.size()), row(columns.size());
    char numbers[2][8];
    for (std::size_t i = 0; i < rows(); i++) {
        read_row(i, row.data());
        int order = i == 0 ? -1 : 0;
        for (std::size_t at : by) {
            if (row[at].length < 0) return false;
            auto value = comparable(columns[at].transport, row[at], numbers[0]);
            if (!value) return false;
            if (order == 0) order = comparable(columns[at].transport, before[at], numbers[1])->compare(*value);
        }
        if (order >= 0) return false;
        before.swap(row);
    }
    return true;
}

std::vector<std::string> Batch::order_of(std::size_t row, const std::vector<std::size_t>& by,
                                         const std::vector<SourceColumn>& columns) const {
    std::vector<Field> fields(columns.size());
    read_row(row, fields.data());
    std::vector<std::string> order;
    char number[8];
    for (std::size_t at : by)
        order.emplace_back(comparable(columns[at].transport, fields[at], number).value_or(std::string_view()));
    return order;
}

void Batch::read_row(std::size_t row, Field* fields) const {
    const char* at = data_.data() + offsets_[row];
    int count = wire::get_int16(at);
    at += 2;
    for (int i = 0; i < count; i++) {
        fields[i].length = wire::get_int32(at);
        at += 4;
        fields[i].data = at;
        if (fields[i].length > 0) at += fields[i].length;
    }
}

}  // namespace insync
