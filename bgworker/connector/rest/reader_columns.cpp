// Columns of a read: those that are known, and new fields; see reader.hpp.
#include <algorithm>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/reader.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::rest {

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

}  // namespace insync::rest
