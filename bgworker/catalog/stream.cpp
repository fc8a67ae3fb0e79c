// Stream definitions and bookkeeping; see stream.hpp.
#include "bgworker/catalog/stream.hpp"

extern "C" {
#include "catalog/pg_authid.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

#include <algorithm>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/options/near_miss.hpp"

namespace insync {

namespace {

std::string select_stream(const char* condition) {
    return std::string(
               "SELECT s.id, s.name, s.owner, s.server, s.source, s.target_schema, s.target_table, "
               "array_to_json(s.key),"
               " array_to_json(s.watermark), array_to_json(s.source_key), s.source_key_unique, s.mode, s.schedule, "
               "s.options,"
               " s.source_columns, s.watermark_kind, s.paused, r.oid FROM insync.stream AS s ") +
           join_owner + condition;
}

Stream to_stream(const std::vector<pg::Value>& row) {
    Stream stream;
    stream.id = std::stoi(*row[0]);
    stream.name = *row[1];
    stream.owner = *row[2];
    stream.server = *row[3];
    stream.source = *row[4];
    stream.target_schema = *row[5];
    stream.target_table = *row[6];
    stream.key = from_array_json(*row[7]);
    stream.watermark = from_array_json(*row[8]);
    stream.source_key = from_array_json(*row[9]);
    stream.source_key_unique = *row[10] == "t";
    stream.mode = *row[11];
    stream.schedule = row[12];
    stream.options = StreamOptions(nlohmann::json::parse(*row[13]));
    // None are known of a source that has never been reached.
    if (const auto columns = nlohmann::json::parse(*row[14]); !columns.empty())
        stream.source_columns = parse_columns(columns);
    stream.watermark_kind = row[15].value_or("");
    stream.paused = *row[16] == "t";
    stream.owner_oid = row[17] ? static_cast<Oid>(std::stoul(*row[17])) : InvalidOid;
    return stream;
}

}  // namespace

ExtensionIdentity::ExtensionIdentity() : identity_(usable_extension(), false) {}

bool Stream::compares_whole_rows() const {
    return !source_key_unique && source_key.size() == 2 && is_row_identity(source_key[0]) &&
           is_row_identity(source_key[1]);
}

bool Stream::is_row_identity(const std::string& field) const {
    const SourceColumn* column = find_field(source_columns, field);
    return column != nullptr && column->source_type == row_identity_type;
}

bool can_read_changes(const Stream& stream) {
    if (!stream.watermark.empty() || stream.options.response_watermark.is_given) return true;
    const nlohmann::json& parent = stream.options.parent.value;
    return parent.contains("watermark") || parent.contains("response_watermark");
}

bool is_owner(const Stream& stream) {
    Oid caller = GetUserId();
    return pg::call([&] {
        return OidIsValid(stream.owner_oid) ? has_privs_of_role(caller, stream.owner_oid) : superuser_arg(caller);
    });
}

namespace {

// Told by a right, so that GRANT and REVOKE are all that there is to it.
bool is_operator() {
    Oid caller = GetUserId();
    Bookkeeping bookkeeping;
    return pg::query("SELECT has_function_privilege($1::oid, to_regprocedure('insync.operate()')::oid, 'EXECUTE')",
                     {std::to_string(caller)})
               .first()[0] == "t";
}

}  // namespace

bool sees_all_streams() {
    Oid caller = GetUserId();
    return pg::call([&] { return has_privs_of_role(caller, ROLE_PG_MONITOR) || has_bypassrls_privilege(caller); }) ||
           is_operator();
}

bool may_operate(const Stream& stream) {
    return is_owner(stream) || is_operator();
}

void require_owner(const Stream& stream) {
    if (OidIsValid(stream.owner_oid)) return;
    const char* name = stream.owner.c_str();
    bool another = OidIsValid(pg::call([&] { return get_role_oid(name, true); }));
    pg::Error error(ERRCODE_UNDEFINED_OBJECT,
                    another ? "role \"" + stream.owner + "\" is not the one that owned stream \"" + stream.name + "\""
                            : "the owner of the stream, role \"" + stream.owner + "\", does not exist",
                    another ? "The owner was dropped, and its name given to another role." : "",
                    "A superuser can give it another: SELECT sync_alter(" + pg::quote_literal(stream.name) +
                        ", '{\"owner\": \"...\"}').");
    error.error_class = pg::ErrorClass::config;
    throw error;
}

void already_running(const Stream& stream) {
    throw pg::Error(
        ERRCODE_OBJECT_IN_USE, "stream \"" + stream.name + "\" is running", "",
        "SELECT * FROM insync.progress shows it; SELECT sync_cancel(" + pg::quote_literal(stream.name) + ") ends it.");
}

Stream load_stream(const std::string& name, Access access) {
    pg::Rows rows;
    {
        Bookkeeping bookkeeping;
        rows = pg::query(select_stream(" WHERE s.name = $1"), {name});
    }
    if (!rows.empty()) {
        Stream stream = to_stream(rows.first());
        const bool is_let_in =
            (access == Access::look && sees_all_streams()) || (access == Access::operate && is_operator());
        if (is_owner(stream) || is_let_in) return stream;
        throw pg::Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "must be owner of stream " + stream.name);
    }
    std::vector<std::string> own = matching_streams("%", access);  // others' names are not to be told
    std::string near = closest(name, std::vector<std::string_view>(own.begin(), own.end()));
    throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "stream \"" + name + "\" does not exist", "",
                    near.empty() ? "SELECT stream FROM sync_status() lists the streams."
                                 : "Perhaps you meant the stream \"" + near + "\".");
}

std::optional<Stream> load_stream(int id) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(select_stream(" WHERE s.id = $1::integer"), {std::to_string(id)});
    if (rows.empty()) return std::nullopt;
    return to_stream(rows.first());
}

std::vector<std::string> matching_streams(const std::string& pattern, Access access) {
    Oid caller = GetUserId();
    const bool sees_all =
        (access == Access::look && sees_all_streams()) || (access == Access::operate && is_operator());
    pg::Rows rows;
    {
        Bookkeeping bookkeeping;
        rows = pg::query(std::string("SELECT s.name, r.oid FROM insync.stream AS s ") + join_owner +
                             " WHERE s.name LIKE $1 OR s.name = $1 AND strpos($1, '%') = 0 ORDER BY s.name",
                         {pattern});
    }
    std::vector<std::string> names;
    for (auto& row : rows.rows) {
        Oid owner = row[1] ? static_cast<Oid>(std::stoul(*row[1])) : InvalidOid;
        if (sees_all ||
            pg::call([&] { return OidIsValid(owner) ? has_privs_of_role(caller, owner) : superuser_arg(caller); }))
            names.push_back(*row[0]);
    }
    if (pattern.find('%') != std::string::npos) return names;
    if (std::find(names.begin(), names.end(), pattern) != names.end()) return {pattern};
    // A plain name that matches nothing is a mistake, and gets the error with near misses.
    if (names.empty()) (void)load_stream(pattern, access);
    return names;
}

StreamState load_state(int stream_id) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "SELECT w.position, w.watermark, w.failures, EXISTS (SELECT FROM insync.error AS e WHERE e.stream_id = "
        "$1::integer)"
        " OR EXISTS (SELECT FROM insync.mended AS d WHERE d.stream_id = $1::integer),"
        " (extract(epoch FROM w.last_run_at) * 1000000)::bigint, w.last_success_at = w.last_run_at"
        " FROM (SELECT $1::integer AS id) AS x LEFT JOIN insync.watermark AS w ON w.stream_id = x.id",
        {std::to_string(stream_id)});
    StreamState state;
    const auto& row = rows.first();
    if (row[0]) state.position = nlohmann::json::parse(*row[0]);
    state.watermark = row[1];
    state.failures = row[2] ? std::stoi(*row[2]) : 0;
    state.has_errors = *row[3] == "t";
    if (row[4]) state.last_run_us = std::stoll(*row[4]);
    state.last_run_succeeded = row[5] == "t";
    return state;
}

std::string to_array(const std::vector<std::string>& items) {
    std::string text = "{";
    for (const auto& item : items) {
        if (text.size() > 1) text += ',';
        text += '"';
        for (char c : item) {
            if (c == '"' || c == '\\') text += '\\';
            text += c;
        }
        text += '"';
    }
    return text + "}";
}

std::vector<std::string> from_array_json(const std::string& json_array) {
    std::vector<std::string> items;
    for (const auto& item : nlohmann::json::parse(json_array)) items.push_back(item.get<std::string>());
    return items;
}

}  // namespace insync
