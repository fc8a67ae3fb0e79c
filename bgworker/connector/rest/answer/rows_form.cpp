// Rows of other forms; see rows_form.hpp.
#include "bgworker/connector/rest/answer/rows_form.hpp"

#include <algorithm>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/json_failure.hpp"
#include "bgworker/connector/rest/answer/json_scanner.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::rest {

namespace {

std::string json_string(std::string_view characters) {
    std::string out = "\"";
    append_escaped(out, characters);
    return out + '"';
}

// A token as it stands in the text, quotes included.
std::string whole(const JsonToken& token) {
    const bool is_string = token.kind == JsonToken::Kind::string;
    return is_string ? '"' + std::string(token.text) + '"' : std::string(token.text);
}

template <typename Use>
void for_each_member(std::string_view object, const Use& use) {
    JsonCursor cursor(object);
    if (!cursor.take('{') || cursor.take('}')) return;
    do {
        const JsonToken name = cursor.string();
        cursor.expect(':');
        use(name, cursor.value());
    } while (cursor.next_or_close('}'));
}

template <typename Use>
void for_each_element(std::string_view array, const Use& use) {
    JsonCursor cursor(array);
    if (!cursor.take('[') || cursor.take(']')) return;
    do {
        use(cursor.value());
    } while (cursor.next_or_close(']'));
}

std::string pointer_to(const JsonToken& name) {
    std::string pointer = "/";
    for (char c : decoded(name)) pointer += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return pointer;
}

bool begins_with_array(std::string_view array) {
    JsonCursor cursor(array);
    return cursor.take('[') && cursor.peek() == '[';
}

// The one member of the answer that is an array of arrays; "" for an answer that is one itself, or has none.
std::string find_arrays(const JsonToken& top) {
    std::string found;
    if (top.kind != JsonToken::Kind::object) return found;
    for_each_member(top.text, [&](const JsonToken& name, const JsonToken& value) {
        if (found.empty() && value.kind == JsonToken::Kind::array && begins_with_array(value.text))
            found = pointer_to(name);
    });
    return found;
}

std::string map_rows(const JsonToken& map) {
    std::string rows;
    for_each_member(map.text, [&](const JsonToken& name, const JsonToken& value) {
        rows += (rows.empty() ? "{\"_key\":\"" : ",{\"_key\":\"") + std::string(name.text) + '"';
        if (value.kind != JsonToken::Kind::object) {
            rows += ",\"value\":" + whole(value) + '}';
            return;
        }
        std::string_view members = value.text.substr(1);
        const bool is_empty = JsonCursor(members).peek() == '}';
        rows.append(is_empty ? "" : ",").append(members);
    });
    return rows;
}

// Names that stand beside the rows: an array of texts, or of objects with a name.
std::vector<std::string> names_beside(const JsonToken& parent) {
    std::vector<std::string> names;
    if (parent.kind != JsonToken::Kind::object) return names;
    for_each_member(parent.text, [&](const JsonToken& member, const JsonToken& value) {
        constexpr std::string_view usual[] = {"columns", "fields", "header", "headers", "columnHeaders", "cols"};
        const bool is_usual = std::find(std::begin(usual), std::end(usual), decoded(member)) != std::end(usual);
        if (!is_usual || value.kind != JsonToken::Kind::array || !names.empty()) return;
        for_each_element(value.text, [&](const JsonToken& item) {
            if (item.kind == JsonToken::Kind::string) names.push_back(decoded(item));
            if (item.kind != JsonToken::Kind::object) return;
            for_each_member(item.text, [&](const JsonToken& name, const JsonToken& text) {
                if (decoded(name) == "name" && text.kind == JsonToken::Kind::string) names.push_back(decoded(text));
            });
        });
    });
    return names;
}

// A first row of texts alone, each other than the others, that no row of values would be.
std::vector<std::string> names_in_row(const JsonToken& row) {
    std::vector<std::string> names;
    bool is_header = row.kind == JsonToken::Kind::array;
    if (!is_header) return names;
    for_each_element(row.text, [&](const JsonToken& value) {
        is_header = is_header && value.kind == JsonToken::Kind::string && !value.text.empty();
        const std::string name = decoded(value);
        is_header = is_header && std::find(names.begin(), names.end(), name) == names.end();
        names.push_back(name);
    });
    if (!is_header) names.clear();
    return names;
}

std::string array_rows(const JsonToken& array, const JsonToken& parent, std::vector<std::string>& names) {
    std::vector<std::string> known = names.empty() ? names_beside(parent) : names;
    std::string rows;
    bool is_first = true;
    for_each_element(array.text, [&](const JsonToken& row) {
        if (row.kind != JsonToken::Kind::array) {
            rows += (rows.empty() ? "" : ",") + whole(row);
            return;
        }
        if (is_first && (known.empty() || known == names)) {
            const std::vector<std::string> header = names_in_row(row);
            // Every page of a sheet may begin with it, or the first alone.
            if (!header.empty() && (known.empty() || header == known)) {
                known = names = header;
                is_first = false;
                return;
            }
        }
        is_first = false;
        std::string members;
        std::size_t number = 0;
        for_each_element(row.text, [&](const JsonToken& value) {
            const std::string name = number < known.size() ? known[number] : "c" + std::to_string(number + 1);
            members += (members.empty() ? "" : ",") + json_string(name) + ':' + whole(value);
            number++;
        });
        rows += (rows.empty() ? "{" : ",{") + members + '}';
    });
    return rows;
}

std::string line_rows(std::string_view text) {
    std::string rows;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t first = line.find_first_not_of(" \t\r\x1e");
        if (first == std::string_view::npos) continue;
        if (!rows.empty()) rows += ',';
        rows.append(line.substr(first));
    }
    return rows;
}

// Records of RFC 4180. A field that wasn't quoted and is empty is null.
class CsvReader {
  public:
    explicit CsvReader(std::string_view text) : text_(text) {
        const std::string_view header = text.substr(0, text.find('\n'));
        for (char candidate : {';', '\t', '|'}) {
            if (std::count(header.begin(), header.end(), candidate) >
                std::count(header.begin(), header.end(), separator_))
                separator_ = candidate;
        }
    }

    struct Field {
        std::string text;
        bool is_quoted = false;
    };

    bool next(std::vector<Field>& record) {
        record.clear();
        while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) at_++;
        if (at_ == text_.size()) return false;
        for (;;) {
            record.push_back(field());
            if (at_ < text_.size() && text_[at_] == separator_) {
                at_++;
                continue;
            }
            return true;
        }
    }

  private:
    Field field() {
        Field field;
        if (at_ < text_.size() && text_[at_] == '"') {
            field.is_quoted = true;
            for (at_++;; at_++) {
                if (at_ == text_.size()) throw Failure(FailureClass::source, "a quoted field of the CSV has no end");
                if (text_[at_] == '"' && text_.substr(at_ + 1, 1) != "\"") break;
                if (text_[at_] == '"') at_++;
                field.text += text_[at_];
            }
            at_++;
        }
        while (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r')
            field.text += text_[at_++];
        return field;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    char separator_ = ',';
};

// Numbers as JSON writes them are numbers; 007 isn't one.
bool is_number(std::string_view text) {
    try {
        JsonCursor cursor(text);
        const JsonToken token = cursor.value();
        return token.text.size() == text.size() &&
               (token.kind == JsonToken::Kind::integer || token.kind == JsonToken::Kind::decimal);
    } catch (const JsonError&) {
        return false;
    }
}

std::string csv_rows(std::string_view text, const std::vector<std::string>& given) {
    CsvReader reader(text);
    std::vector<CsvReader::Field> record;
    std::vector<std::string> names = given;
    std::string rows;
    if (names.empty() && reader.next(record)) {
        for (const auto& field : record) names.push_back(field.text);
    }
    for (std::size_t i = 0; i < names.size(); i++) {
        if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
            names.begin() + static_cast<std::ptrdiff_t>(i))
            throw Failure(FailureClass::config, "the header of the CSV has a name twice",
                          "It is \"" + replaced_utf8(names[i]) + "\".");
    }
    while (reader.next(record)) {
        if (record.size() != names.size())
            throw Failure(
                FailureClass::source, "a record of the CSV has another number of fields than its header",
                "It has " + std::to_string(record.size()) + ", the header " + std::to_string(names.size()) + ".");
        std::string members;
        for (std::size_t i = 0; i < record.size(); i++) {
            const auto& [value, is_quoted] = record[i];
            std::string json = json_string(replaced_utf8(value));
            if (!is_quoted && value.empty()) json = "null";
            if (!is_quoted && is_number(value)) json = value;
            members += (members.empty() ? "" : ",") + json_string(replaced_utf8(names[i])) + ':' + json;
        }
        rows += (rows.empty() ? "{" : ",{") + members + '}';
    }
    return rows;
}

}  // namespace

RowsForm form_of(RowsForm option, const std::optional<std::string>& content_type) {
    if (option != RowsForm::automatic) return option;
    if (!content_type) return RowsForm::objects;
    for (const char* lines : {"ndjson", "jsonl", "json-lines", "jsonlines", "json-seq"}) {
        if (content_type->find(lines) != std::string::npos) return RowsForm::ndjson;
    }
    return content_type->find("text/csv") != std::string::npos ? RowsForm::csv : RowsForm::objects;
}

std::string as_objects(std::string body, RowsForm form, std::optional<std::string>& path,
                       std::vector<std::string>& names) {
    const std::string_view text = without_mark(body);
    if (form == RowsForm::ndjson || form == RowsForm::csv) {
        path = "";
        return '[' + (form == RowsForm::csv ? csv_rows(text, names) : line_rows(text)) + ']';
    }
    if (form == RowsForm::objects || form == RowsForm::automatic) return body;
    try {
        JsonToken place = JsonCursor(text).value(), parent = place;
        if (!path) path = form == RowsForm::arrays ? find_arrays(place) : "";
        for (const std::string& step : pointer_tokens(*path)) {
            JsonCursor cursor(place.text);
            const auto next = find_in(cursor, step);
            if (!next) return body;  // that there are no rows is told by whoever reads them
            parent = place, place = *next;
        }
        const bool fits = place.kind == (form == RowsForm::map ? JsonToken::Kind::object : JsonToken::Kind::array);
        if (!fits) return body;
        const std::string rows = form == RowsForm::map ? map_rows(place) : array_rows(place, parent, names);
        const auto begin = static_cast<std::size_t>(place.text.data() - body.data());
        return body.substr(0, begin) + '[' + rows + ']' + body.substr(begin + place.text.size());
    } catch (const JsonError& error) {
        throw no_json(body, error);
    }
}

}  // namespace insync::rest
