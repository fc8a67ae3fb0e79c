// Writes insync.ledger; see ledgers.hpp.
#include "bgworker/ledger/ledgers.hpp"

#include "bgworker/catalog/catalog_scope.hpp"

namespace insync {

std::optional<Ledger> Ledgers::load(int stream_id) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "SELECT l.column_name, l.unit, l.time_zone, l.rule, l.complete FROM insync.ledger AS l WHERE l.stream_id = "
        "$1::integer",
        {std::to_string(stream_id)});
    if (rows.empty()) return std::nullopt;
    auto unit = slice_unit_of(*rows.first()[1]);
    if (!unit) return std::nullopt;
    return Ledger{*rows.first()[0], *unit, *rows.first()[2], *rows.first()[3], *rows.first()[4] == "t"};
}

void Ledgers::insert(int stream_id, const Ledger& ledger, bool is_complete) {
    Bookkeeping bookkeeping;
    pg::query(
        "INSERT INTO insync.ledger (stream_id, column_name, unit, time_zone, rule, complete)"
        " VALUES ($1::integer, $2, $3, $4, $5, $6::boolean)",
        {std::to_string(stream_id), ledger.column, std::string(name_of(ledger.unit)), ledger.zone, ledger.rule,
         is_complete ? "true" : "false"});
}

void Ledgers::forget(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("DELETE FROM insync.ledger AS l WHERE l.stream_id = $1::integer", {std::to_string(stream_id)});
}

void Ledgers::replace(int stream_id, const Ledger& ledger) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.ledger AS l SET column_name = $2, rule = $3, moved = 0 WHERE l.stream_id = $1::integer",
              {std::to_string(stream_id), ledger.column, ledger.rule});
}

void Ledgers::lock(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("SELECT FROM insync.ledger AS l WHERE l.stream_id = $1::integer FOR UPDATE", {std::to_string(stream_id)});
}

void Ledgers::mark_incomplete(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.ledger AS l SET complete = false WHERE l.stream_id = $1::integer AND l.complete",
              {std::to_string(stream_id)});
}

bool Ledgers::set_complete(int stream_id, const std::string& rule) {
    Bookkeeping bookkeeping;
    auto same =
        pg::query("UPDATE insync.ledger AS l SET complete = true WHERE l.stream_id = $1::integer AND l.rule = $2",
                  {std::to_string(stream_id), rule});
    return same.processed > 0;
}

void Ledgers::set_rule(int stream_id, const std::string& rule) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.ledger AS l SET rule = $2 WHERE l.stream_id = $1::integer AND l.rule <> $2",
              {std::to_string(stream_id), rule});
}

void Ledgers::add_moved(int stream_id, std::int64_t moved) {
    ExtensionIdentity identity;
    pg::query(
        "UPDATE insync.ledger AS l SET moved = l.moved + $2::bigint WHERE l.stream_id = $1::integer AND l.steady "
        "IS NOT false",
        {std::to_string(stream_id), std::to_string(moved)});
}

void Ledgers::note_steadiness(int stream_id, const Steadiness& found, std::int64_t judged_us) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.ledger AS l SET steady = $2::boolean, reason = nullif($3, ''), lag = $4::integer, first_read = "
        "('epoch'::timestamptz + $5::bigint / 1000000 * interval '1 second') AT TIME ZONE l.time_zone WHERE "
        "l.stream_id = $1::integer",
        {std::to_string(stream_id), found.kind == Steadiness::Kind::steady ? "true" : "false", found.reason,
         std::to_string(found.lag), std::to_string(judged_us)});
}

}  // namespace insync
