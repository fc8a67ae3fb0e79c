// Writes insync.watermark; see watermarks.hpp.
#include "bgworker/catalog/watermarks.hpp"

#include "bgworker/catalog/catalog_scope.hpp"

namespace insync {

void Watermarks::save(int stream_id, const nlohmann::json& position, const std::string& watermark) {
    Bookkeeping bookkeeping;
    pg::query(
        "INSERT INTO insync.watermark AS w (stream_id, position, watermark) VALUES ($1::integer, $2::jsonb, nullif($3, "
        "''))"
        " ON CONFLICT (stream_id) DO UPDATE SET position = excluded.position,"
        " watermark = coalesce(excluded.watermark, w.watermark), updated_at = clock_timestamp()",
        {std::to_string(stream_id), position.is_null() ? pg::Value() : pg::Value(position.dump()), watermark});
}

void Watermarks::reset(int stream_id, const std::optional<std::string>& watermark) {
    Bookkeeping bookkeeping;
    nlohmann::json position;
    if (watermark) position = {{"phase", "changes"}, {"watermark", *watermark}, {"key", nlohmann::json::array()}};
    pg::query(
        "INSERT INTO insync.watermark AS w (stream_id, position, watermark) VALUES ($1::integer, $2::jsonb, $3)"
        // Reading everything again doesn't show what was deleted meanwhile: a feed of deletes goes on where it was.
        " ON CONFLICT (stream_id) DO UPDATE SET position = CASE WHEN w.position ? 'deletes'"
        " THEN coalesce(excluded.position, '{}') || jsonb_build_object('deletes', w.position -> 'deletes')"
        " ELSE excluded.position END, watermark = excluded.watermark, updated_at = clock_timestamp()",
        {std::to_string(stream_id), position.is_null() ? pg::Value() : pg::Value(position.dump()), watermark});
}

void Watermarks::note_reconciled(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query(
        "INSERT INTO insync.watermark AS w (stream_id, reconciled_at) VALUES ($1::integer, clock_timestamp())"
        " ON CONFLICT (stream_id) DO UPDATE SET reconciled_at = excluded.reconciled_at",
        {std::to_string(stream_id)});
}

void Watermarks::note_planned(int stream_id, Planned planned) {
    const std::string column = planned == Planned::verification ? "verify_planned_at" : "repair_planned_at";
    Bookkeeping bookkeeping;
    pg::query("INSERT INTO insync.watermark AS w (stream_id, " + column +
                  ") VALUES ($1::integer, clock_timestamp()) ON CONFLICT (stream_id) DO UPDATE SET " + column +
                  " = excluded." + column,
              {std::to_string(stream_id)});
}

}  // namespace insync
