// Discovers, completes and checks a stream's definition; see define_stream.hpp.
#include "bgworker/definition/define_stream.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"
}

#include <algorithm>

#include "bgworker/batch/batch_relation.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/ledger/calendar.hpp"
#include "bgworker/options/expression_words.hpp"
#include "bgworker/options/near_miss.hpp"
#include "bgworker/options/source_name.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/source/session.hpp"
#include "bgworker/target/expression_check.hpp"
#include "bgworker/target/key_moves.hpp"

namespace insync {

namespace {

std::vector<std::string> strings(const nlohmann::json& object, const char* name) {
    std::vector<std::string> items;
    if (auto found = object.find(name); found != object.end() && found->is_array()) {
        for (const auto& item : *found) items.push_back(item.get<std::string>());
    }
    return items;
}

std::string joined(const std::vector<std::string>& items) {
    std::string list;
    for (const auto& item : items) list += (list.empty() ? "" : ", ") + item;
    return list;
}

const SourceColumn* find_source(const std::vector<SourceColumn>& columns, const std::string& name) {
    auto exact = std::find_if(columns.begin(), columns.end(), [&](const auto& column) { return column.name == name; });
    if (exact != columns.end()) return &*exact;
    auto folded = std::find_if(columns.begin(), columns.end(),
                               [&](const auto& column) { return column.field == fold_name(name); });
    return folded != columns.end() ? &*folded : nullptr;
}

[[noreturn]] void unknown_column(const std::string& what, const std::string& name,
                                 const std::vector<SourceColumn>& columns) {
    std::vector<std::string> names;
    for (const auto& column : columns) names.push_back(column.field);
    std::string near = closest(name, names);
    throw pg::Error(ERRCODE_UNDEFINED_COLUMN, what + " \"" + name + "\" is not a column of the source",
                    "The source has the columns " + joined(names) + ".",
                    near.empty() ? "" : "Perhaps you meant the column \"" + near + "\".");
}

bool contains(const std::vector<std::string>& items, const std::string& item) {
    return std::find(items.begin(), items.end(), item) != items.end();
}

constexpr ExpressionScope over_batch{"batch",
                                     "It is SQL over the relation batch, whose columns are the source's; tables and "
                                     "functions outside pg_catalog need their schema's name."};

// Of a source without a key every row is told from others by all that it holds.
void compare_whole_rows(Stream& stream, const SourceDescription& description) {
    const std::string source = "source " + quote_for_message(stream.source) + " has no primary key";
    const std::string detail = description.unique_keys.empty()
                                   ? ""
                                   : "Its unique key (" + joined(description.unique_keys.front()) +
                                         ") allows NULL, and such rows cannot be distinguished.";
    auto refuse = [&](const std::string& what) {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, source, what + (detail.empty() ? "" : " " + detail),
                        "Name the columns that identify a row: key => '...'.");
    };
    if (!description.promises_key) refuse("Rows of an API need a key.");
    if (!stream.watermark.empty())
        refuse("Without a key, whole rows are compared, and a watermark cannot show which rows have changed.");
    if (!stream.options.deletes.is_given) stream.options.set(&StreamOptions::deletes, "hard");
    check_whole_rows(stream);
    auto add = [&](std::string name, Transport transport, const char* type) {
        while (find_source(stream.source_columns, name) != nullptr) name += "_";
        SourceColumn column;
        column.name = column.field = name;
        column.transport = transport;
        column.pg_type = type;
        column.source_type = row_identity_type;
        column.nullable = false;
        stream.source_columns.push_back(column);
        stream.source_key.push_back(name);
    };
    add("row_hash", Transport::uuid, "uuid");
    add("row_copy", Transport::int4, "integer");
}

void require_identity_columns(const Stream& stream, const Target& target) {
    for (const auto& name : stream.source_key) {
        if (target.find(name) != nullptr) continue;
        throw pg::Error(ERRCODE_UNDEFINED_COLUMN, "target " + target.qualified() + " has no column \"" + name + "\"",
                        "The source has no primary key, so its rows are identified by " + joined(stream.source_key) +
                            ", which the table must have as its key.",
                        "Name the columns that identify a row: key => '...'; or leave the table to sync_create(): "
                        "target => a name that does not exist.");
    }
}

// Of the target's unique keys the one that is the source's; else one that holds it and is filled: the primary key
// first.
void adopt_key(Stream& stream, const Target& target) {
    const nlohmann::json& named = stream.options.columns.value;
    auto is_filled = [&](const std::string& name) {
        return named.contains(name) || find_source(stream.source_columns, name) != nullptr;
    };
    auto is_all_filled = [&](const auto& key) { return std::all_of(key.begin(), key.end(), is_filled); };
    std::vector<std::string> own = stream.key;
    std::sort(own.begin(), own.end());
    for (const auto& key : target.unique_keys) {
        auto names = key;
        std::sort(names.begin(), names.end());
        if (names != own) continue;
        stream.key = key;
        return;
    }
    for (const auto& key : target.unique_keys) {  // the primary key is the first
        if (!is_all_filled(key) || !holds_source_key(stream, key)) continue;
        stream.key = key;
        return;
    }
    if (target.primary_key.empty() || !is_all_filled(target.primary_key)) return;
    if (!takes_more_than_source_key(stream, target.primary_key)) {
        stream.key = target.primary_key;
        return;
    }
    std::string keys[2];
    for (const auto& name : stream.source_key) keys[0] += (keys[0].empty() ? "" : ", ") + name;
    for (const auto& name : target.primary_key) keys[1] += (keys[1].empty() ? "" : ", ") + name;
    throw pg::Error(ERRCODE_INVALID_TABLE_DEFINITION,
                    "the primary key of target " + target.qualified() + " (" + keys[1] +
                        ") does not hold the source's key (" + keys[0] + ")",
                    "If " + keys[1] + " of a row changes at the source, the row would be there twice.",
                    "If it never changes, name it as the key: key => " + pg::quote_literal(keys[1]) +
                        ". Otherwise give the target a unique index on the source's key.");
}

// What a table that is filled from a path is called: its last segment without placeholders and extension, in letters
// that need no quotes; where nothing is left of it, `otherwise`.
std::string name_of_path(std::string path, const std::string& otherwise) {
    path = path.substr(0, path.find_first_of("?#"));
    std::string last, segment;
    for (char c : path + "/") {
        if (c != '/') {
            segment += c;
        } else {
            if (!segment.empty() && segment.find_first_of("{}") == std::string::npos) last = segment;
            segment.clear();
        }
    }
    last = fold_name(last.substr(0, last.find('.')));
    for (char& c : last) {
        bool plain = c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
        if (!plain) c = '_';
    }
    return last.find_first_not_of('_') == std::string::npos ? fold_name(otherwise) : last;
}

}  // namespace

SourceDescription describe_source(const Server& server, const Stream& stream) {
    SourceSession session;
    return describe_source(session.open(server), server.kind, stream);
}

SourceDescription describe_source(ConnectorProcess& connector, Kind kind, const Stream& stream) {
    DescribeRequest request{stream.source, std::nullopt, std::nullopt, stream.options.map()};
    if (!stream.watermark.empty()) request.watermark = stream.watermark;
    // A key that is none of the source's is told with its columns; an API that knows no keys needs it for its requests.
    // What the stream adds of its own, such as the shop that all of its rows are of, the source has never heard of.
    const nlohmann::json& named = stream.options.columns.value;
    std::vector<std::string> key;
    for (const auto& name : stream.key) {
        if (!named.contains(name) || !is_constant(named.at(name).get<std::string>(), {})) key.push_back(name);
    }
    if (kind == Kind::rest && !key.empty()) request.key = key;
    auto answers = connector.call(request);
    SourceDescription description;
    description.promises_key = kind != Kind::rest;
    for (const auto& answer : answers) {
        if (!answer.contains("columns")) continue;
        description.columns = parse_columns(answer["columns"]);
        description.primary_key = strings(answer, "primary_key");
        for (const auto& key : answer.value("unique_keys", nlohmann::json::array()))
            description.unique_keys.push_back(key.get<std::vector<std::string>>());
        description.watermark_candidates = strings(answer, "watermark_candidates");
        auto text = [&](const char* name) {
            return answer.contains(name) && answer[name].is_string() ? answer[name].get<std::string>() : std::string();
        };
        description.rowversion = text("rowversion");
        description.kind = text("kind");
        description.response_watermark = text("response_watermark");
        description.watermark_kind = text("watermark_kind");
        description.literal_kind = answer.contains("literal_kind") ? text("literal_kind") : description.watermark_kind;
        description.watermark_format = text("watermark_format");
        description.highest_watermark = text("highest_watermark");
        description.clock = text("clock");
        description.clock_has_zone = answer.value("clock_has_zone", false);
        description.null_watermarks =
            answer.contains("null_watermarks") && answer["null_watermarks"].is_number_integer()
                ? answer["null_watermarks"].get<std::int64_t>()
                : 0;
    }
    if (description.columns.empty()) throw pg::Error(ERRCODE_FDW_ERROR, "the source did not describe itself");
    return description;
}

void resolve_target(Stream& stream, const std::string& given, Kind kind) {
    std::string name = given;
    if (name.empty() && kind == Kind::rest) {
        stream.target_table = name_of_path(stream.source, stream.name);
    } else if (name.empty()) {
        // The last part of a table's name; a SELECT has none, and its target is called as the stream.
        const auto parts = is_query(stream.source) ? std::nullopt : parse_source_name(stream.source);
        const std::string last = parts ? parts->back() : stream.name;
        stream.target_table = fold_name(last);
    } else {
        const char* text = name.c_str();
        List* parts = pg::call([&] { return textToQualifiedNameList(cstring_to_text(text)); });
        if (list_length(parts) > 2)
            throw pg::Error(ERRCODE_SYNTAX_ERROR, "invalid target " + quote_for_message(given), "",
                            "Write it as table or schema.table.");
        stream.target_table = strVal(llast(parts));
        if (list_length(parts) == 2) stream.target_schema = strVal(linitial(parts));
    }
    if (!stream.target_schema.empty()) return;
    // An existing table on the search path, else the schema in which CREATE TABLE would make one.
    const char* table = stream.target_table.c_str();
    const char* schema = pg::call([&]() -> const char* {
        Oid relation = RelnameGetRelid(table);
        if (OidIsValid(relation)) return get_namespace_name(get_rel_namespace(relation));
        List* path = fetch_search_path(false);
        return path == NIL ? nullptr : get_namespace_name(linitial_oid(path));
    });
    if (schema == nullptr)
        throw pg::Error(ERRCODE_UNDEFINED_SCHEMA, "no schema has been selected to create the target in", "",
                        "Give target as schema.table.");
    stream.target_schema = schema;
}

void complete_stream(Stream& stream, const SourceDescription& description, const std::optional<Target>& target) {
    const ReadMode mode = stream.options.mode;
    for (auto& name : stream.watermark) {
        const SourceColumn* column = find_source(stream.source_columns, name);
        if (column == nullptr) unknown_column("watermark", name, stream.source_columns);
        name = column->name;
    }
    if (!description.watermark_format.empty())
        stream.options.set(&StreamOptions::watermark_format, description.watermark_format);
    const bool takes_rowversion = stream.watermark.empty() && !description.rowversion.empty() && mode != ReadMode::full;
    if (takes_rowversion) stream.watermark = {description.rowversion};
    // Of the server or its preset: with the stream, it tells that changes can be read.
    if (stream.watermark.empty() && !stream.options.response_watermark.is_given &&
        !description.response_watermark.empty())
        stream.options.set(&StreamOptions::response_watermark, description.response_watermark);
    if (mode == ReadMode::incremental && !can_read_changes(stream)) {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "mode incremental needs a watermark", "",
                        "Name a column that shows which rows have changed: watermark => '...'.");
    }
    stream.mode = mode == ReadMode::full || !can_read_changes(stream) ? "full" : "incremental";
    if (stream.watermark == std::vector<std::string>{description.rowversion}) stream.watermark_kind = "rowversion";

    // The source's key, for reading in order.
    const nlohmann::json& named = stream.options.columns.value;
    const bool is_adopted = stream.source_key_unique;  // the key, when the stream was made
    std::vector<std::string> from_key;                 // source columns that fill the given key as they are
    for (auto& name : stream.key) {
        const SourceColumn* column = find_source(stream.source_columns, name);
        if (column != nullptr && !named.contains(name)) {
            from_key.push_back(column->name);
            if (!target || target->find(name) == nullptr) name = column->field;  // given as the source spells it
        } else if (!named.contains(name)) {
            unknown_column("key", name, stream.source_columns);
        }
    }
    auto within = [](const std::vector<std::string>& part, const std::vector<std::string>& whole) {
        return std::all_of(part.begin(), part.end(), [&](const auto& item) { return contains(whole, item); });
    };
    // A row whose key is NULL can't be told from others, so a key that allows it is not taken unasked.
    auto may_be_null = [&](const std::string& name) {
        const SourceColumn* column = find_source(stream.source_columns, name);
        return column == nullptr || column->nullable;
    };
    const auto whole_key =
        std::find_if(description.unique_keys.begin(), description.unique_keys.end(),
                     [&](const auto& key) { return std::none_of(key.begin(), key.end(), may_be_null); });
    if (!description.primary_key.empty() && (from_key.empty() || within(description.primary_key, from_key))) {
        stream.source_key = description.primary_key;
    } else if (!from_key.empty()) {
        stream.source_key = from_key;
    } else if (whole_key != description.unique_keys.end()) {
        stream.source_key = *whole_key;
    } else if (stream.key.empty()) {
        stream.source_key.clear();
        if (takes_rowversion) stream.watermark.clear(), stream.mode = "full";
        compare_whole_rows(stream, description);
        if (target) require_identity_columns(stream, *target);
    }
    auto same = [](std::vector<std::string> a, std::vector<std::string> b) {
        std::sort(a.begin(), a.end());
        std::sort(b.begin(), b.end());
        return a == b;
    };
    stream.source_key_unique = !description.primary_key.empty() && same(stream.source_key, description.primary_key);
    for (const auto& key : description.unique_keys) stream.source_key_unique |= same(stream.source_key, key);
    // Whoever names more of an API's columns than look like its key knows better: each of these keys is a row.
    const bool is_named = !stream.key.empty() && !is_adopted;
    if (is_named && !description.promises_key && takes_more_than_source_key(stream, stream.key))
        stream.source_key_unique = false;
    if (stream.source_key.empty()) {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                        "source " + quote_for_message(stream.source) + " has no primary key", "",
                        "Name the columns of the source that identify a row: key => '...'.");
    }
    if (!stream.key.empty()) return;

    // The target's: the stream's constants and the source's key, if they are unique there; or a wider key that holds
    // them, such as a partitioned table must have.
    for (const auto& [name, expression] : named.items()) {
        if (is_constant(expression.get<std::string>(), stream.source_columns)) stream.key.push_back(name);
    }
    for (const auto& name : stream.source_key) {
        std::string field = find_source(stream.source_columns, name)->field;
        if (!contains(stream.key, field)) stream.key.push_back(field);
    }
    if (target) adopt_key(stream, *target);
}

void note_filled_columns(Stream& stream, const std::map<std::string, std::string>& expression_types,
                         const std::optional<Target>& target, const std::vector<SourceColumn>& known) {
    for (auto& column : stream.source_columns) {
        const bool exists = target && target->find(column.field) != nullptr;
        column.made = !target && !expression_types.contains(column.field) && !stream.options.columns_only;
        column.mapped = !target || exists;
        if (known.empty()) continue;
        const SourceColumn* before = find_field(known, column.field);
        column.made = before != nullptr && before->made;
        column.mapped = before != nullptr ? before->mapped : !exists;
    }
}

void check_whole_rows(const Stream& stream) {
    auto refuse = [&](const std::string& option, const std::string& why) {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                        "option " + option + " has no meaning for stream \"" + stream.name + "\"",
                        "The source has no key, so whole rows are compared" + why,
                        "Leave it out, or name the columns that identify a row: key => '...'.");
    };
    const StreamOptions& options = stream.options;
    for (const Text* option : std::initializer_list<const Text*>{&options.operation_column, &options.deleted_when,
                                                                 &options.delete_feed, &options.reconcile}) {
        if (option->is_given) refuse(std::string(option->name), ".");
    }
    if (stream.options.filter_leaves == LeavePolicy::keep)
        refuse("filter_leaves", ": a row that no longer passes the filter cannot be recognized.");
    if (stream.options.columns_only)
        refuse("columns_only", ", and the target needs the columns that distinguish them.");
    if (stream.options.deletes != DeleteMode::ignore) return;
    throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                    "option deletes of stream \"" + stream.name + "\" must be hard or soft",
                    "The source has no key: a row that has changed is another row, and what it was is gone.",
                    "Set it so, or name the columns that identify a row: key => '...'.");
}

std::map<std::string, std::string> check_expressions(const Stream& stream) {
    require_owner(stream);
    std::map<std::string, std::string> types;
    const pg::OwnerScope scope(stream.owner_oid);
    check_calendar(stream);
    BatchRelation relation(BatchRelation::descriptor(stream.source_columns));
    const nlohmann::json& named = stream.options.columns.value;
    for (const auto& [name, expression] : named.items()) {
        std::string type =
            check_expression("expression for column \"" + name + "\"", expression.get<std::string>(), over_batch);
        types[name] = type == "unknown" || type == "pg_catalog.unknown" ? "text" : type;
    }
    for (const Text* option : {&stream.options.filter, &stream.options.deleted_when}) {
        if (option->empty()) continue;
        check_condition("option " + std::string(option->name), option->text, over_batch);
    }
    return types;
}

void create_stream_target(const Stream& stream, const std::map<std::string, std::string>& expression_types) {
    std::vector<NewColumn> columns;
    std::string zone = stream.options.source_time_zone.text;
    bool only_named = stream.options.columns_only;
    // Constants of the stream first, as they lead the key; then the source's columns in its order; then what is
    // computed.
    for (const auto& [name, type] : expression_types) {
        if (contains(stream.key, name) && find_source(stream.source_columns, name) == nullptr)
            columns.push_back({name, type});
    }
    for (const auto& column : stream.source_columns) {
        if (auto named = expression_types.find(column.field); named != expression_types.end()) {
            columns.push_back({column.field, named->second});
        } else if (!only_named) {
            columns.push_back({column.field, new_column_type(column, zone)});
        }
    }
    auto has = [&](const std::string& name) {
        return std::any_of(columns.begin(), columns.end(), [&](const auto& c) { return c.name == name; });
    };
    for (const auto& [name, type] : expression_types) {
        if (!has(name)) columns.push_back({name, type});
    }
    if (std::string deleted = stream.options.deleted_column.text; !deleted.empty() && !has(deleted))
        columns.push_back({deleted, "timestamptz"});
    create_target(stream.target_schema, stream.target_table, columns, stream.key);
}

void require_new_name(const std::string& name) {
    Bookkeeping bookkeeping;
    if (pg::query("SELECT FROM insync.stream AS s WHERE s.name = $1", {name}).empty()) return;
    throw pg::Error(ERRCODE_DUPLICATE_OBJECT, "stream \"" + name + "\" already exists", "",
                    "Change it with sync_alter(), or drop it: SELECT sync_drop(" + pg::quote_literal(name) + ").");
}

nlohmann::json json_argument(FunctionCallInfo call, int index) {
    if (call->args[index].isnull) return nlohmann::json::object();
    Datum value = call->args[index].value;
    char* text = pg::call([&] { return DatumGetCString(DirectFunctionCall1(jsonb_out, value)); });
    return nlohmann::json::parse(text);
}

std::string join(const std::vector<std::string>& items) {
    std::string text;
    for (const auto& item : items) text += (text.empty() ? "" : ", ") + item;
    return text;
}

}  // namespace insync
