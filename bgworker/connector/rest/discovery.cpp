// Discovery; see discovery.hpp.
#include "bgworker/connector/rest/discovery.hpp"

#include <algorithm>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/values/text_form.hpp"
#include "bgworker/connector/values/watermark_names.hpp"
#include "bgworker/options/near_miss.hpp"

namespace insync::rest {

namespace {

// Enough to tell types by, little enough to ask for.
constexpr std::size_t most_pages = 3;
constexpr std::size_t enough_rows = 1000;

// What is gathered of one field over all pages.
struct Seen {
    TypeGuess guess;
    std::unordered_set<std::string> values;
    std::int64_t nulls = 0;
    std::string last;
    bool is_number = false;
};

std::string list_of(const std::vector<RestColumn>& columns) {
    std::string list;
    for (const RestColumn& column : columns) list += (list.empty() ? "" : ", ") + column.name;
    return list;
}

std::string watermark_kind(const Seen& seen, const std::string& epoch) {
    if (!epoch.empty()) return "time";
    if (seen.is_number) return "integer";
    return parse_civil_time(seen.last) ? "time" : "text";
}

// The epoch that all of these numbers look like: as many digits as the years since 2001 have, and none in the future.
std::string epoch_like(const std::unordered_set<std::string>& values, const std::string& clock) {
    constexpr std::string_view epochs[] = {"epoch", "epoch_ms", "epoch_us"};
    const std::string now = clock.empty() ? "2100-01-01T00:00:00Z" : clock;
    for (const std::string_view epoch : epochs) {
        const std::string latest = format_time(format_moved(*parse_civil_time(now), day_us), epoch).value_or("");
        const bool all = std::all_of(values.begin(), values.end(), [&](const std::string& value) {
            const bool is_whole = value.find_first_not_of("0123456789") == std::string::npos;
            return is_whole && value.size() == latest.size() && value <= latest;
        });
        if (all && !values.empty() && !latest.empty()) return std::string(epoch);
    }
    return "";
}

// Looks at the first pages of a source, or of the children of the first parents.
class Explorer {
  public:
    // `key` is what pages that follow the last key need.
    Explorer(Session& session, Fields& fields, std::vector<std::size_t> key, const std::vector<std::string>& watermark)
        : session_(session), fields_(fields), key_(std::move(key)), watermark_(watermark) {}

    // Where a round number of rows is nothing to tell: of who only looks, and of the first of many children.
    void look_at_several() { memory_.defers = true; }

    bool has_enough() const { return rows >= enough_rows || pages >= most_pages; }

    void look(const Endpoint& endpoint, Values values, Discovery& found) {
        Query query(session_, endpoint, fields_, key_, std::move(values), memory_);
        bool is_whole = false;
        while (!has_enough() && query.next()) {
            const Page& page = query.page();
            seen.resize(fields_.size());
            // Where only the watermark orders the rows, some of a page can come on the next one again.
            std::vector<std::string> texts;
            for (std::size_t row = 0; row < page.rows(); row++) {
                if (texts_.contains(std::string(page.text(row)))) continue;
                texts.emplace_back(page.text(row));
                for (std::size_t field = 0; field < fields_.size(); field++) add(seen[field], page.value(row, field));
                if (std::all_of(watermark_.begin(), watermark_.end(), [&](const std::string& name) {
                        const std::optional<std::size_t> field = fields_.find(name);
                        return !field || page.value(row, *field).kind <= Value::Kind::null;
                    })) {
                    null_watermarks++;
                }
            }
            rows += texts.size();
            texts_.insert(std::make_move_iterator(texts.begin()), std::make_move_iterator(texts.end()));
            pages++;
            is_whole = query.is_last();
        }
        found.paging = name_of(query.pager().paging());
        found.rows = query.pager().total();
        if (!found.rows && is_whole) found.rows = static_cast<std::int64_t>(rows);
    }

    std::vector<Seen> seen;
    std::size_t rows = 0, pages = 0;
    std::int64_t null_watermarks = 0;  // rows in which each of the watermark's columns is null

  private:
    static void add(Seen& item, const Value& value) {
        item.guess.add(value);
        if (value.kind == Value::Kind::absent || value.kind == Value::Kind::null) {
            item.nulls++;
            return;
        }
        item.is_number = value.kind == Value::Kind::integer || value.kind == Value::Kind::decimal;
        item.last = value.text;
        item.values.insert(item.last);
    }

    Session& session_;
    Fields& fields_;
    std::vector<std::size_t> key_;
    const std::vector<std::string>& watermark_;
    PageMemory memory_;
    std::unordered_set<std::string> texts_;  // of the rows so far
};

// The first parents' children, and a column for each field of the parent that their request needs.
void look_at_children(Explorer& explorer, Session& session, const Settings& settings, const Endpoint& child,
                      const nlohmann::json& parent, Discovery& found) {
    Fields fields;
    const Endpoint endpoint = make_endpoint(settings.with_stream(parent), parent.value("source", ""), {}, {});
    const std::vector<std::string> names = child.parent_fields();
    std::vector<TypeGuess> guesses(names.size());
    PageMemory memory;
    Query parents(session, endpoint, fields, {}, {}, memory);
    explorer.look_at_several();
    while (!explorer.has_enough() && parents.next()) {
        for (std::size_t row = 0; row < parents.page().rows() && !explorer.has_enough(); row++) {
            Values values;
            for (std::size_t i = 0; i < names.size(); i++) {
                const std::optional<std::size_t> field = fields.find(names[i]);
                const Value value = field ? parents.page().value(row, *field) : Value();
                if (value.kind == Value::Kind::absent) {
                    throw Failure(FailureClass::config, "the parent's rows have no field \"" + names[i] + "\"", "",
                                  "Check the placeholders {parent....} and the option parent.");
                }
                guesses[i].add(value);
                values.texts["parent." + names[i]] = value.text;
            }
            explorer.look(child, std::move(values), found);
        }
    }
    for (std::size_t i = 0; i < names.size(); i++) {
        RestColumn column;
        column.name = "parent_" + names[i];
        take_guess(column, guesses[i]);
        column.source_type = "field of the parent";
        found.columns.push_back(std::move(column));
    }
    found.rows.reset();
}

}  // namespace

Discovery discover(Session& session, const Settings& settings, const std::string& source,
                   const std::vector<std::string>& key, const std::vector<std::string>& watermark, bool only_looks) {
    session.use(settings);
    const Endpoint endpoint = make_endpoint(settings, source, key, watermark);
    Fields fields;
    Discovery found;
    for (const auto& [name, declaration] : settings.object("fields")) {
        found.columns.push_back(declared_column(name, declaration, fields));
    }
    const std::size_t declared = fields.size();
    std::vector<std::size_t> last_key;
    if (endpoint.uses("last_key"))
        last_key.push_back(fields.add(key.empty() ? key_names[0] : std::string_view(key[0])));
    Explorer explorer(session, fields, std::move(last_key), watermark);
    if (only_looks) explorer.look_at_several();
    const auto parent = nlohmann::json::parse(settings.text("parent"), nullptr, false);
    if (parent.is_object()) {
        look_at_children(explorer, session, settings, endpoint, parent, found);
    } else {
        explorer.look(endpoint, {}, found);
    }
    const std::vector<Seen>& seen = explorer.seen;
    found.rows_seen = explorer.rows;
    for (RestColumn& column : found.columns) {
        // Declared with a pointer alone.
        if (column.is_declared && !column.is_typed && column.field < seen.size()) {
            take_guess(column, seen[column.field].guess);
        }
    }
    // What has no value yet has no type either: it is a column from its first value on.
    const std::string named = settings.text("columns") + settings.text("filter") + settings.text("deleted_when") +
                              settings.text("operation_column") + settings.text("slice_column");
    auto is_wanted = [&](std::size_t field) {
        const std::string& name = fields.name(field);
        return seen[field].guess.has_values() || settings.has("other_fields") ||
               named.find(name) != std::string::npos || std::find(key.begin(), key.end(), name) != key.end() ||
               std::find(watermark.begin(), watermark.end(), name) != watermark.end();
    };
    bool has_values = false;
    for (std::size_t field = declared; field < seen.size(); field++) has_values |= seen[field].guess.has_values();
    for (std::size_t field = declared; field < seen.size(); field++) {
        if (has_values && !is_wanted(field)) continue;
        RestColumn column;
        column.name = fields.name(field);
        take_guess(column, seen[field].guess);
        column.field = field;
        found.columns.push_back(std::move(column));
    }
    const std::string other = settings.text("other_fields");
    const bool has_other = std::any_of(found.columns.begin(), found.columns.end(),
                                       [&](const RestColumn& column) { return column.name == other; });
    if (!other.empty() && !has_other && !found.columns.empty()) {
        RestColumn column;
        column.name = other;
        column.type = Transport::jsonb;
        column.pg_type = "jsonb";
        column.source_type = "other fields";
        found.columns.push_back(std::move(column));
    }
    if (found.columns.empty() || (found.rows_seen == 0 && declared == 0)) {
        throw Failure(FailureClass::config, "the source has no rows, so its columns cannot be discovered", "",
                      "Declare them with the option fields, such as {\"id\": \"bigint\", \"name\": \"text\"}.");
    }
    auto field_named = [&](std::string_view name) -> std::optional<std::size_t> {
        const std::optional<std::size_t> field = fields.find(name);
        return field && *field < seen.size() ? field : std::nullopt;
    };
    for (const std::string_view name : key_names) {
        const std::optional<std::size_t> field = field_named(name);
        if (field && found.rows_seen > 0 && seen[*field].nulls == 0 && seen[*field].values.size() == found.rows_seen) {
            found.key = {std::string(name)};
            break;
        }
    }
    std::vector<std::pair<std::size_t, std::string>> ranked;
    for (const RestColumn& column : found.columns) {
        const bool is_time = column.type == Transport::timestamp || column.type == Transport::timestamptz;
        const std::optional<std::size_t> rank = watermark_rank(column.name);
        if (is_time && rank) ranked.emplace_back(*rank, column.name);
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [rank, name] : ranked) found.watermark_candidates.push_back(std::move(name));

    if (watermark.empty()) return found;
    const bool filters = endpoint.uses("since") || endpoint.order == Order::desc;
    if (watermark.size() > 1 && filters) {
        std::string names;
        for (const std::string& name : watermark) names += (names.empty() ? "" : ", ") + name;
        require_column_names(endpoint, !endpoint.uses("since"), names);
    }
    if (found.rows_seen == 0) {
        const auto column = std::find_if(found.columns.begin(), found.columns.end(),
                                         [&](const auto& item) { return item.name == watermark.front(); });
        const bool is_integer = column != found.columns.end() && column->type == Transport::int8;
        found.watermark_kind = is_integer && settings.epoch().empty() ? "integer" : "time";
        return found;
    }
    found.null_watermarks = explorer.null_watermarks;
    for (const std::string& name : watermark) {
        const std::optional<std::size_t> field = field_named(name);
        if (!field) {
            std::vector<std::string> names;
            for (const RestColumn& column : found.columns) names.push_back(column.name);
            const std::string near = closest(name, names);
            throw Failure(FailureClass::config, "watermark \"" + name + "\" is not a field of the source",
                          "The rows have the fields " + list_of(found.columns) + ".",
                          near.empty() ? "" : "Perhaps you meant the field \"" + near + "\".");
        }
        if (seen[*field].last.empty()) continue;
        const bool may_be_time = settings.text("watermark_format") == "auto" && seen[*field].is_number;
        std::string epoch = settings.epoch();
        if (may_be_time) epoch = epoch_like(seen[*field].values, session.source_now().value_or(""));
        if (!epoch.empty() && !format_time(seen[*field].last, epoch)) {
            throw Failure(FailureClass::config, "watermark \"" + name + "\" is not a time in the format " + epoch,
                          "It is \"" + seen[*field].last + "\".",
                          "Set the option watermark_format to what it is, or to auto.");
        }
        const std::string kind = watermark_kind(seen[*field], epoch);
        if (found.watermark_kind.empty()) {
            found.watermark_kind = kind;
            found.last_watermark = seen[*field].last;
            found.epoch = epoch;
            found.is_epoch_found = may_be_time && !epoch.empty();
        } else if (kind != found.watermark_kind || epoch != found.epoch) {
            throw Failure(FailureClass::config, "the watermark columns are of different kinds",
                          "\"" + name + "\" is " + kind + ", and the ones before it are " + found.watermark_kind + ".",
                          "Choose columns that can be compared.");
        }
        const std::vector<std::string> values(seen[*field].values.begin(), seen[*field].values.end());
        if (const auto problem = unsorted_forms(values, true); problem && kind == "text") {
            throw Failure(FailureClass::config, "watermark field \"" + name + "\" holds texts that do not sort",
                          *problem, "Choose a field that is a time or a number.");
        }
    }
    if (found.last_watermark.empty()) {
        throw Failure(FailureClass::config, "watermark field \"" + watermark.front() + "\" is never set",
                      "It is null in all " + std::to_string(found.rows_seen) + " rows that were read.",
                      "Choose a field that every change sets.");
    }
    return found;
}

std::vector<std::string> names_in_catalog(const std::string& body, const std::string& pointer) {
    const auto document = nlohmann::json::parse(body, nullptr, false);
    std::vector<std::string> names;
    const nlohmann::json::json_pointer at(pointer);
    if (document.is_discarded() || !document.contains(at)) {
        throw Failure(FailureClass::source, "the catalog has nothing at " + (pointer.empty() ? "its root" : pointer),
                      "", "Check the options catalog and catalog_path.");
    }
    const nlohmann::json& list = document[at];
    if (list.is_object()) {
        for (const auto& [path, value] : list.items()) {
            const std::string name = path.starts_with('/') ? path.substr(1) : path;
            if (!name.empty() && !name.starts_with("rpc/")) names.push_back(name);
        }
        return names;
    }
    for (const nlohmann::json& item : list) {
        if (item.is_string()) {
            names.push_back(item.get<std::string>());
            continue;
        }
        if (!item.is_object()) continue;
        for (const char* member : {"url", "name", "collection", "title", "id"}) {
            const auto found = item.find(member);
            if (found == item.end() || !found->is_string()) continue;
            names.push_back(found->get<std::string>());
            break;
        }
    }
    return names;
}

bool is_like(std::string_view text, std::string_view pattern) {
    // The place to go back to when what follows the last % doesn't fit.
    std::size_t at = 0, i = 0, star = std::string_view::npos, mark = 0;
    while (at < text.size()) {
        const bool escaped = i + 1 < pattern.size() && pattern[i] == '\\';
        if (!escaped && i < pattern.size() && pattern[i] == '%') {
            star = i++;
            mark = at;
        } else if (i < pattern.size() && ((!escaped && pattern[i] == '_') || pattern[i + escaped] == text[at])) {
            i += escaped ? 2 : 1;
            at++;
        } else if (star != std::string_view::npos) {
            i = star + 1;
            at = ++mark;
        } else {
            return false;
        }
    }
    while (i < pattern.size() && pattern[i] == '%') i++;
    return i == pattern.size();
}

}  // namespace insync::rest
