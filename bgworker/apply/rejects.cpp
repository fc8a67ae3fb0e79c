// Keeps insync.error; see rejects.hpp.
#include "bgworker/apply/rejects.hpp"

#include <algorithm>

#include "bgworker/batch/batch_relation.hpp"
#include "bgworker/catalog/catalog_scope.hpp"

namespace insync {

namespace {

// A rejected row that is seen again with the same record and reason is left alone, without a lock on its row; and so is
// one that was mended here while the source still sends it as it was.
constexpr const char* unknown =
    " NOT EXISTS (SELECT FROM insync.error AS o WHERE o.stream_id = $1::integer AND o.fingerprint = r.fingerprint"
    " AND o.record = r.record AND o.message = r.message AND o.sqlstate = r.sqlstate)"
    " AND NOT EXISTS (SELECT FROM insync.mended AS d WHERE d.stream_id = $1::integer AND d.fingerprint = r.fingerprint"
    " AND d.source_hash = md5(r.record::text))";

constexpr const char* on_conflict =
    " ON CONFLICT (stream_id, fingerprint) DO UPDATE SET run_id = NULL, operation = excluded.operation,"
    " sqlstate = excluded.sqlstate, error_type = excluded.error_type, message = excluded.message, column_name = "
    "excluded.column_name,"
    " constraint_name = excluded.constraint_name, record = excluded.record, watermark = excluded.watermark, "
    "occurred_at = excluded.occurred_at,"
    " source_hash = excluded.source_hash RETURNING e.id";

constexpr const char* insert_columns =
    "INSERT INTO insync.error AS e (stream_id, stream, key, operation, sqlstate, error_type, message, column_name,"
    " constraint_name, record, watermark, occurred_at, fingerprint, source_hash)"
    " SELECT $1::integer, $2, r.key, r.operation, r.sqlstate, r.type, r.message, r.column_name, r.constraint_name, "
    "r.record,"
    " r.watermark, clock_timestamp(), r.fingerprint, md5(r.record::text) FROM (";

constexpr const char* source_fingerprint =
    "md5(CASE WHEN jsonb_typeof(i.item -> 'key') <> 'object' OR EXISTS (SELECT FROM jsonb_path_query(i.item -> 'key',"
    " '$.* ? (@ == null)')) THEN (i.item -> 'record')::text ELSE (i.item -> 'key')::text END)";

pg::Value optional_text(const std::string& text) {
    return text.empty() ? pg::Value() : pg::Value(text);
}

nlohmann::json optional_json(const std::string& text) {
    return text.empty() ? nlohmann::json() : nlohmann::json(text);
}

std::string dump(const nlohmann::json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<std::string> ids_of(const pg::Rows& result) {
    std::vector<std::string> ids;
    for (const auto& row : result.rows) ids.push_back(*row[0]);
    return ids;
}

nlohmann::json row_numbers(const std::vector<RowReject>& rows) {
    auto numbers = nlohmann::json::object();
    for (const auto& reject : rows) numbers[std::to_string(reject.row)] = true;
    return numbers;
}

}  // namespace

void Rejects::use(const std::vector<SourceColumn>& columns, const std::string& operation) {
    operation_ = operation;
    std::string pairs, missing;
    for (const auto& name : stream_.source_key) {
        const SourceColumn* found = find_field(columns, fold_name(name));
        if (found == nullptr) continue;
        std::string field = "b." + pg::quote_identifier(found->field);
        pairs += (pairs.empty() ? "" : ", ") + pg::quote_literal(found->field) + ", " + field + "::text";
        missing += (missing.empty() ? "" : " OR ") + field + " IS NULL";
    }
    key_ = "jsonb_build_object(" + pairs + ")";
    std::string record = "(to_jsonb(b.*) - '" + std::string(row_number_column) + "')";
    fingerprint_ = "md5(CASE WHEN " + (missing.empty() ? "true" : missing) + " THEN " + record + "::text ELSE " + key_ +
                   "::text END)";
}

std::vector<std::string> Rejects::store_rows(const std::vector<RowReject>& rows, const std::string& watermark) {
    auto items = nlohmann::json::object();
    for (const auto& reject : rows) {
        const auto& error = reject.error;
        items[std::to_string(reject.row)] = {
            {"sqlstate", error.state()},
            {"type", reject.error_type},
            {"message", error.message + (error.detail.empty() ? "" : " (" + error.detail + ")")},
            {"column", optional_json(reject.column)},
            {"constraint", optional_json(error.constraint)},
            {"operation", reject.operation.empty() ? operation_ : reject.operation},
            {"patch", reject.patch}};
    }
    auto result = pg::query(std::string(insert_columns) +
                                "SELECT l.key, l.item ->> 'operation' AS operation, l.item ->> 'sqlstate' AS sqlstate, "
                                "l.item ->> 'type' AS type, l.item "
                                "->> 'message' AS message,"
                                " l.item ->> 'column' AS column_name, l.item ->> 'constraint' AS constraint_name, "
                                "l.record || (l.item -> 'patch') AS record,"
                                " $4 AS watermark, l.fingerprint FROM (SELECT DISTINCT ON (x.fingerprint) x.*, "
                                "$3::jsonb -> x.row_number::text AS item"
                                " FROM (SELECT b.insync_row AS row_number, " +
                                key_ + " AS key, to_jsonb(b.*) - 'insync_row' AS record, " + fingerprint_ +
                                " AS fingerprint FROM batch AS b) AS x ORDER BY x.fingerprint, x.row_number DESC) AS l "
                                "WHERE l.item IS NOT NULL) AS r WHERE" +
                                unknown + on_conflict,
                            {std::to_string(stream_.id), stream_.name, dump(items), optional_text(watermark)});
    return ids_of(result);
}

std::vector<std::string> Rejects::store_source(const std::vector<SourceReject>& rejects) {
    auto items = nlohmann::json::array();
    for (const auto& reject : rejects) {
        items.push_back({{"sqlstate", reject.sqlstate},
                         {"message", reject.message},
                         {"column", optional_json(reject.column)},
                         {"constraint", optional_json(reject.constraint)},
                         {"type", reject.error_type},
                         {"operation", reject.operation.empty() ? operation_ : reject.operation},
                         {"key", reject.key},
                         {"record", reject.record},
                         {"watermark", optional_json(reject.watermark)}});
    }
    auto result =
        pg::query(std::string(insert_columns) +
                      "SELECT DISTINCT ON (x.fingerprint) x.item -> 'key' AS key, x.item ->> 'operation' AS operation,"
                      " x.item ->> 'sqlstate' AS sqlstate, x.item ->> 'type' AS type,"
                      " x.item ->> 'message' AS message, x.item ->> 'column' AS column_name,"
                      " x.item ->> 'constraint' AS constraint_name, "
                      "x.item -> 'record' AS record,"
                      " x.item ->> 'watermark' AS watermark, x.fingerprint FROM (SELECT i.item, " +
                      source_fingerprint +
                      " AS fingerprint FROM jsonb_array_elements($3::jsonb) AS i (item)) AS x ORDER BY x.fingerprint) "
                      "AS r WHERE" +
                      unknown + on_conflict,
                  {std::to_string(stream_.id), stream_.name, dump(items)});
    return ids_of(result);
}

std::int64_t Rejects::settle(const std::vector<RowReject>& rows, const std::vector<SourceReject>& from_source,
                             const std::function<std::int64_t()>& run_id, const std::string& watermark) {
    if (rows.empty() && from_source.empty() && !has_errors_) return 0;
    ExtensionIdentity identity;  // in the Spi that knows the batch
    if (seen_) remember(rows, from_source);
    if (has_errors_) {
        auto rejected = row_numbers(rows);
        // A newer version that was applied settles what is known of the row.
        for (const char* table : {"insync.error", "insync.mended"}) {
            pg::query(
                std::string("DELETE FROM ") + table +
                    " AS e USING (SELECT DISTINCT ON (x.fingerprint) x.* FROM (SELECT b.insync_row AS row_number, " +
                    fingerprint_ +
                    " AS fingerprint FROM batch AS b) AS x ORDER BY x.fingerprint, x.row_number DESC) AS r"
                    " WHERE e.stream_id = $1::integer AND e.fingerprint = r.fingerprint"
                    " AND NOT $2::jsonb ? r.row_number::text",
                {std::to_string(stream_.id), dump(rejected)});
        }
    }
    return keep(rows, from_source, run_id, watermark);
}

std::int64_t Rejects::keep(const std::vector<RowReject>& rows, const std::vector<SourceReject>& from_source,
                           const std::function<std::int64_t()>& run_id, const std::string& watermark) {
    ExtensionIdentity identity;
    std::vector<std::string> stored;
    if (!rows.empty()) stored = store_rows(rows, watermark);
    if (!from_source.empty()) {
        auto more = store_source(from_source);
        stored.insert(stored.end(), more.begin(), more.end());
    }
    if (!stored.empty()) {
        has_errors_ = true;
        // By their numbers: to look for those without a run would go through all that the stream has.
        pg::query("UPDATE insync.error AS e SET run_id = $1::bigint WHERE e.id = ANY ($2::bigint[])",
                  {std::to_string(run_id()), to_array(stored)});
    }
    return static_cast<std::int64_t>(stored.size());
}

std::int64_t Rejects::keep_deletes(const std::vector<SourceReject>& refused,
                                   const std::function<std::int64_t()>& run_id) {
    if (refused.empty()) return 0;
    if (seen_) {
        ExtensionIdentity identity;
        remember({}, refused);
    }
    return keep({}, refused, run_id, "");
}

void Rejects::forget_listed(const std::vector<std::int64_t>& refused) {
    if (!has_errors_) return;
    auto numbers = nlohmann::json::object();
    for (std::int64_t row : refused) numbers[std::to_string(row)] = true;
    ExtensionIdentity identity;
    pg::query(std::string("DELETE FROM insync.error AS e USING (SELECT ") + source_fingerprint +
                  " AS fingerprint FROM (SELECT jsonb_build_object('key', l.key, 'record', l.record) AS item FROM "
                  "listed AS l WHERE NOT $2::jsonb ? l.insync_row::text) AS i) AS r"
                  " WHERE e.stream_id = $1::integer AND e.operation = 'delete' AND e.fingerprint = r.fingerprint",
              {std::to_string(stream_.id), dump(numbers)});
}

void Rejects::forget_deletes(const std::vector<SourceColumn>& columns, const std::vector<SourceReject>& refused) {
    if (!has_errors_) return;
    std::vector<std::string> fields;
    for (const auto& column : columns) fields.push_back(column.field);
    auto items = nlohmann::json::array();
    for (const auto& reject : refused) items.push_back({{"key", reject.key}, {"record", reject.record}});
    ExtensionIdentity identity;
    pg::query(std::string("DELETE FROM insync.error AS e WHERE e.stream_id = $1::integer AND e.operation = 'delete'"
                          " AND NOT e.record ?& $2::text[] AND NOT EXISTS (SELECT FROM (SELECT ") +
                  source_fingerprint +
                  " AS fingerprint FROM jsonb_array_elements($3::jsonb) AS i (item)) AS r WHERE r.fingerprint = "
                  "e.fingerprint)",
              {std::to_string(stream_.id), to_array(fields), dump(items)});
}

void Rejects::remember_seen() {
    seen_ = std::make_unique<SeenKeys>("fingerprint");
}

void Rejects::remember(const std::vector<RowReject>& rows, const std::vector<SourceReject>& from_source) {
    auto add = [&](const pg::Rows& found) {
        std::vector<std::string> fingerprints;
        for (const auto& row : found.rows) fingerprints.push_back(*row[0]);
        seen_->add(fingerprints);
    };
    if (!rows.empty()) {
        add(pg::query("SELECT " + fingerprint_ + " FROM batch AS b WHERE $1::jsonb ? b.insync_row::text",
                      {dump(row_numbers(rows))}));
    }
    if (!from_source.empty()) {
        auto items = nlohmann::json::array();
        for (const auto& reject : from_source) items.push_back({{"key", reject.key}, {"record", reject.record}});
        add(pg::query(std::string("SELECT ") + source_fingerprint + " FROM jsonb_array_elements($1::jsonb) AS i (item)",
                      {dump(items)}));
    }
}

void Rejects::forget_vanished() {
    if (!has_errors_) return;
    if (!seen_) seen_ = std::make_unique<SeenKeys>("fingerprint");  // no batch came at all
    seen_->register_relation("seen_rejects");
    ExtensionIdentity identity;
    for (const char* table : {"insync.error", "insync.mended"}) {
        pg::query(std::string("DELETE FROM ") + table +
                      " AS e WHERE e.stream_id = $1::integer"
                      " AND NOT EXISTS (SELECT FROM seen_rejects AS s WHERE s.fingerprint = e.fingerprint)",
                  {std::to_string(stream_.id)});
    }
}

pg::Rows Rejects::take(int stream_id, const std::string& which, std::int64_t after, std::int64_t last, int limit) {
    Bookkeeping bookkeeping;
    return pg::query(
        "DELETE FROM insync.error AS e WHERE e.id IN (SELECT x.id FROM insync.error AS x WHERE x.stream_id = "
        "$1::integer AND x.id > $2::bigint AND x.id <= $3::bigint AND " +
            which + " ORDER BY x.id LIMIT " + std::to_string(limit) +
            ") RETURNING e.id, e.record, e.key, e.fingerprint, e.source_hash, e.source_hash <> md5(e.record::text)",
        {std::to_string(stream_id), std::to_string(after), std::to_string(last)});
}

void Rejects::note_replayed(int stream_id, const std::vector<std::vector<pg::Value>>& rows) {
    Bookkeeping bookkeeping;
    for (const auto& row : rows) {
        auto still = pg::query(
            "UPDATE insync.error AS e SET source_hash = $3 WHERE e.stream_id = $1::integer AND e.fingerprint = $2",
            {std::to_string(stream_id), row[3], row[4]});
        if (still.processed > 0 || row[5] != "t") continue;
        pg::query(
            "INSERT INTO insync.mended AS d (stream_id, fingerprint, source_hash) VALUES ($1::integer, $2, $3)"
            " ON CONFLICT (stream_id, fingerprint) DO UPDATE SET source_hash = excluded.source_hash, mended_at = "
            "excluded.mended_at",
            {std::to_string(stream_id), row[3], row[4]});
    }
}

std::uint64_t Rejects::forget_all(int stream_id) {
    forget_mended(stream_id);
    Bookkeeping bookkeeping;
    return pg::query("DELETE FROM insync.error AS x WHERE x.stream_id = $1::integer", {std::to_string(stream_id)})
        .processed;
}

void Rejects::forget_mended(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("DELETE FROM insync.mended AS x WHERE x.stream_id = $1::integer", {std::to_string(stream_id)});
}

}  // namespace insync
