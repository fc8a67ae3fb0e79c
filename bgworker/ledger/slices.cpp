// Writes insync.slice; see slices.hpp.
#include "bgworker/ledger/slices.hpp"

#include "bgworker/catalog/catalog_scope.hpp"

namespace insync {

namespace {

// Numbers of buckets and rows, as arrays.
struct Arrays {
    explicit Arrays(const SliceChanges& changes) {
        for (const auto& [bucket, count] : changes) {
            buckets += (buckets.size() > 1 ? "," : "") + std::to_string(bucket);
            rows += (rows.size() > 1 ? "," : "") + std::to_string(count);
        }
        buckets += '}', rows += '}';
    }
    std::string buckets = "{", rows = "{";
};

}  // namespace

std::string bucket_of_number(const std::string& number) {
    // In hours, as an interval of microseconds would take a detour through floating point.
    return "CASE " + number + " WHEN (-9223372036854775808) THEN '-infinity'::timestamp WHEN 9223372036854775807" +
           " THEN 'infinity'::timestamp ELSE '2000-01-01'::timestamp + " + number +
           " / 3600000000 * interval '1 hour' END";
}

std::string within_window(const std::string& bucket, const SliceWindow& window) {
    auto bound = [&](const char* comparison, const std::optional<std::string>& time) {
        const std::string text = time ? pg::quote_literal(*time) + "::timestamp" : "NULL::timestamp";
        return "(" + bucket + comparison + text + " OR " + text + " IS NULL)";
    };
    return " " + bound(" >= ", window.from) + " AND " + bound(" < ", window.to);
}

bool Slices::add(int stream_id, const Ledger& ledger, const SliceChanges& changes, const std::string& watermark) {
    if (changes.empty()) return true;
    ExtensionIdentity identity;
    // Numbers, as to print and read times would cost more than all else here.
    const Arrays arrays(changes);
    // The lock: so that the rule stays until this commits, and who changes it sees what was added. Rows that leave a
    // slice have left it at the source, too: they aren't missing of what it had when it was asked, and no longer too
    // many here.
    auto added = pg::query(
        "WITH same AS (SELECT FROM insync.ledger AS l WHERE l.stream_id = $1::integer AND l.rule = $5 FOR KEY SHARE)"
        " INSERT INTO insync.slice AS s (stream_id, bucket, rows, first_watermark, last_watermark)"
        " SELECT $1::integer, " +
            bucket_of_number("x.bucket") +
            ", x.rows, nullif($4, ''), nullif($4, '')"
            " FROM same CROSS JOIN unnest($2::bigint[], $3::bigint[]) AS x (bucket, rows)"
            " ON CONFLICT (stream_id, bucket) DO UPDATE SET rows = s.rows + excluded.rows,"
            " differences = s.differences - least(s.differences, greatest(0, -excluded.rows)),"
            " source_rows = s.source_rows + least(0, excluded.rows + greatest(0, s.rows - s.source_rows)),"
            " first_watermark = coalesce(s.first_watermark, excluded.first_watermark),"
            " last_watermark = coalesce(excluded.last_watermark, s.last_watermark), touched_at = clock_timestamp()",
        {std::to_string(stream_id), arrays.buckets, arrays.rows, watermark, ledger.rule});
    return added.processed > 0;
}

void Slices::set_empty(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.slice AS s SET rows = 0 WHERE s.stream_id = $1::integer AND s.rows <> 0",
              {std::to_string(stream_id)});
}

void Slices::forget_empty(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("DELETE FROM insync.slice AS s WHERE s.stream_id = $1::integer AND s.rows = 0 AND s.verified_at IS NULL",
              {std::to_string(stream_id)});
}

void Slices::forget(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("DELETE FROM insync.slice AS s WHERE s.stream_id = $1::integer", {std::to_string(stream_id)});
}

void Slices::forget_verification(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.slice AS s SET verified_at = NULL, source_rows = NULL, differences = NULL WHERE s.stream_id = "
        "$1::integer",
        {std::to_string(stream_id)});
}

void Slices::recount(int stream_id, const SliceWindow& window, const SliceChanges& held) {
    const Arrays arrays(held);
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.slice AS s SET rows = x.rows FROM (SELECT c.bucket, coalesce(h.rows, 0) AS rows FROM "
        "insync.slice AS c LEFT JOIN (SELECT " +
            bucket_of_number("u.bucket") +
            " AS bucket, u.rows FROM unnest($4::bigint[], $5::bigint[]) AS u (bucket, rows)) AS h USING (bucket) WHERE "
            "c.stream_id = $1::integer AND c.bucket >= $2::timestamp AND c.bucket < $3::timestamp) AS x"
            " WHERE s.stream_id = $1::integer AND s.bucket = x.bucket AND s.rows <> x.rows",
        {std::to_string(stream_id), window.from, window.to, arrays.buckets, arrays.rows});
}

void Slices::note_read(int stream_id, SliceUnit unit, const SliceWindow& window, const SliceChanges& source,
                       std::int64_t rejected, std::int64_t refused) {
    const Arrays arrays(source);
    Bookkeeping bookkeeping;
    pg::query(
        "WITH window_slices AS (SELECT b.bucket, coalesce(x.rows, 0) AS rows, count(*) OVER () AS slices"
        " FROM generate_series(date_trunc($2, $3::timestamp), $4::timestamp - interval '1 microsecond', ('1 ' || "
        "$2)::interval) AS b (bucket) LEFT JOIN (SELECT " +
            bucket_of_number("u.bucket") +
            " AS bucket, u.rows FROM unnest($5::bigint[], $6::bigint[]) AS u (bucket, rows)) AS x USING (bucket))"
            " INSERT INTO insync.slice AS s (stream_id, bucket, rows, verified_at, source_rows, differences)"
            " SELECT $1::integer, w.bucket, 0, clock_timestamp(), w.rows + CASE w.slices WHEN 1 THEN $7::bigint ELSE 0 "
            "END, $8::bigint FROM window_slices AS w WHERE w.slices = 1 OR $7::bigint = 0 ORDER BY w.bucket"
            " ON CONFLICT (stream_id, bucket) DO UPDATE SET verified_at = excluded.verified_at,"
            " source_rows = excluded.source_rows, differences = excluded.differences",
        {std::to_string(stream_id), std::string(name_of(unit)), window.from, window.to, arrays.buckets, arrays.rows,
         std::to_string(rejected), std::to_string(refused)});
}

void Slices::note_verified(int stream_id, const Ledger& ledger, const SliceWindow& window,
                           const nlohmann::json& found) {
    const std::string within = within_window("x.bucket", window);
    Bookkeeping bookkeeping;
    // Slices that neither side has rows in are whole as well, if they are over and no stretch of years that only rows
    // with odd times make a part of the series; where nothing was counted, the ledger's numbers stand in. While all
    // rows are being counted, that adds to what is here.
    pg::query(
        "WITH ledger AS (SELECT c.complete FROM insync.ledger AS c WHERE c.stream_id = $1::integer), found AS "
        "(SELECT " +
            bucket_of_number("f.b") +
            " AS bucket, f.s, f.d, f.h FROM jsonb_to_recordset($2::jsonb) AS f (b bigint, s bigint, d bigint, h "
            "bigint)),"
            " held AS (SELECT f.bucket FROM found AS f WHERE f.s + f.h > 0 UNION SELECT x.bucket FROM insync.slice AS "
            "x "
            "WHERE x.stream_id = $1::integer AND x.rows > 0),"
            " span AS (SELECT min(h.bucket) AS first, date_trunc($3, clock_timestamp() AT TIME ZONE $6) AS now FROM "
            "held "
            "AS h WHERE isfinite(h.bucket)),"
            " stretch AS (SELECT h.bucket AS first, lead(h.bucket, 1, p.now) OVER (ORDER BY h.bucket) AS next, p.now "
            "FROM "
            "held AS h, span AS p WHERE isfinite(h.bucket) AND h.bucket < p.now),"
            " every AS (SELECT f.bucket FROM found AS f UNION SELECT x.bucket FROM insync.slice AS x WHERE x.stream_id "
            "= "
            "$1::integer AND" +
            within +
            " UNION SELECT g FROM span AS p, generate_series(greatest(date_trunc($3, $4::timestamp), p.first), "
            "least($5::timestamp, p.now) - interval '1 microsecond', ('1 ' || $3)::interval) AS g WHERE $4 IS NOT NULL "
            "AND $5 IS NOT NULL AND p.first IS NOT NULL"
            " UNION SELECT x.bucket FROM stretch AS t, generate_series(t.first, t.next - interval '1 microsecond', ('1 "
            "' || $3)::interval) AS x (bucket) WHERE (t.next <= t.first + interval '366 days' OR t.next = t.now) AND" +
            within +
            ")"
            " INSERT INTO insync.slice AS s (stream_id, bucket, rows, verified_at, source_rows, differences)"
            " SELECT $1::integer, e.bucket, CASE WHEN l.complete THEN coalesce(f.h, 0) ELSE 0 END, clock_timestamp(),"
            " coalesce(f.s, 0), coalesce(f.d, 0)"
            " FROM every AS e LEFT JOIN found AS f USING (bucket) CROSS JOIN ledger AS l WHERE isfinite(e.bucket) OR "
            "$4 IS NULL AND $5 IS NULL ORDER BY e.bucket"
            " ON CONFLICT (stream_id, bucket) DO UPDATE SET verified_at = excluded.verified_at, differences = "
            "excluded.differences, source_rows = excluded.source_rows, rows = CASE WHEN (SELECT l.complete FROM ledger "
            "AS "
            "l) THEN excluded.rows ELSE s.rows END",
        {std::to_string(stream_id), found.dump(), std::string(name_of(ledger.unit)), window.from, window.to,
         ledger.zone});
}

std::vector<SliceWindow> Slices::begin_repairs(int stream_id, SliceUnit unit, const SliceWindow& window) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "INSERT INTO insync.slice AS s (stream_id, bucket, rows, repair_attempts, repair_at)"
        " SELECT $1::integer, b, 0, 1, clock_timestamp() + interval '10 minutes' FROM generate_series($2::timestamp, "
        "$3::timestamp - interval '1 microsecond', ('1 ' || $4)::interval) AS b"
        " ON CONFLICT (stream_id, bucket) DO UPDATE SET repair_attempts = s.repair_attempts + 1, repair_at = "
        "clock_timestamp() + least(interval '1 day', interval '10 minutes' * 2 ^ least(s.repair_attempts, 10))"
        " WHERE s.repair_at IS NULL OR s.repair_at <= clock_timestamp()"
        " RETURNING s.bucket, s.bucket + ('1 ' || $4)::interval",
        {std::to_string(stream_id), window.from, window.to, std::string(name_of(unit))});
    std::vector<SliceWindow> windows;
    for (const auto& row : rows.rows) windows.push_back({row[0], row[1]});
    return windows;
}

void Slices::end_repairs(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.slice AS s SET repair_attempts = 0, repair_at = NULL WHERE s.stream_id = $1::integer AND "
        "s.repair_attempts > 0 AND s.verified_at IS NOT NULL AND s.rows = s.source_rows AND s.differences = 0",
        {std::to_string(stream_id)});
}

}  // namespace insync
