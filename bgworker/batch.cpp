// Checks and stores the rows of a batch; see batch.hpp.
#include "bgworker/batch.hpp"

#include <algorithm>
#include <set>

#include "bgworker/wire.hpp"

namespace insync {

namespace {

constexpr std::size_t max_columns = 1600;

std::string text_member(const nlohmann::json& object, const char* name) {
    auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
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
    return folded;
}

std::vector<SourceColumn> parse_columns(const nlohmann::json& description) {
    if (!description.is_array() || description.empty()) throw ProtocolError("a description without columns");
    if (description.size() > max_columns) {
        throw ProtocolError("the source has " + std::to_string(description.size()) +
                            " columns, more than a table can have (1600)");
    }
    std::vector<SourceColumn> columns;
    std::set<std::string> taken{"insync_row"};
    for (const auto& item : description) {
        if (!item.is_object()) throw ProtocolError("a column that is no object");
        SourceColumn column;
        column.name = text_member(item, "name");
        column.pg_type = text_member(item, "pg_type");
        column.source_type = text_member(item, "source_type");
        // It becomes part of a CREATE TABLE.
        if (column.pg_type.find_first_not_of(
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ ().,[]") != std::string::npos) {
            throw ProtocolError("a column's type is no type name");
        }
        column.nullable = item.value("nullable", true);
        std::string type = text_member(item, "type");
        auto transport = transport_of(type);
        if (!transport) throw ProtocolError("unknown transport type \"" + type + "\"");
        column.transport = *transport;
        if (column.name.empty()) column.name = "column" + std::to_string(columns.size() + 1);
        column.field = fold_name(column.name);
        for (int suffix = 2; !taken.insert(column.field).second; suffix++) {
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
    }
    return array;
}

void Batch::append_rows(std::string_view payload, const std::vector<SourceColumn>& columns) {
    if (columns.empty()) throw ProtocolError("rows before their columns");
    std::size_t base = data_.size(), at = 0;
    auto need = [&](std::size_t bytes) {
        if (payload.size() - at < bytes) throw ProtocolError("a row is cut off");
    };
    while (at < payload.size()) {
        offsets_.push_back(base + at);
        need(2);
        if (wire::get_int16(payload.data() + at) != static_cast<std::int16_t>(columns.size())) {
            throw ProtocolError("a row has another number of fields than announced");
        }
        at += 2;
        for (const auto& column : columns) {
            need(4);
            std::int32_t length = wire::get_int32(payload.data() + at);
            at += 4;
            if (length == -1) continue;
            int size = size_of(column.transport);
            if (length < 0 || (size >= 0 && length != size)) {
                throw ProtocolError("a field of column \"" + column.name + "\" has length " + std::to_string(length));
            }
            need(static_cast<std::size_t>(length));
            at += static_cast<std::size_t>(length);
        }
    }
    data_.append(payload);
}

void Batch::append_reject(const nlohmann::json& reject) {
    if (!reject.is_object()) throw ProtocolError("a reject that is no object");
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
    if (!payload.is_object() || !payload.contains("position") || !payload["position"].is_object()) {
        throw ProtocolError("a position frame without a position");
    }
    auto count = payload.find("rows");
    if (count == payload.end() || !count->is_number_unsigned() ||
        count->get<std::uint64_t>() != rows() + rejects.size()) {
        throw ProtocolError("a position counts other rows than were sent");
    }
    position = payload["position"];
    watermark = text_member(payload, "watermark");
}

void Batch::clear() {
    data_.clear();
    offsets_.clear();
    rejects.clear();
    position = nullptr;
    watermark.clear();
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
