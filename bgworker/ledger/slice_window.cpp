// Bounds of slices for source and target; see slice_window.hpp.
#include "bgworker/ledger/slice_window.hpp"

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/server.hpp"
#include "bgworker/options/presets.hpp"

#include "bgworker/clock/zone_name.hpp"

namespace insync {

namespace {

// SQL: the first moment at which clocks in `zone` showed the time or a later one. Where they go back, a time comes
// twice: PostgreSQL takes the later one, an hour after it was an hour less.
std::string moment(const std::string& local, const std::string& zone) {
    const std::string time = local + "::timestamp", at = " AT TIME ZONE " + pg::quote_literal(zone);
    return "least(" + time + at + ", (" + time + " - interval '1 hour')" + at + " + interval '1 hour')";
}

bool has_zone(const TargetColumn& column) {
    return column.base_type == "timestamp with time zone";
}

}  // namespace

const SourceColumn* slice_source(const Stream& stream, const Ledger& ledger) {
    std::string field = fold_name(ledger.column);
    if (stream.options.columns.value.contains(ledger.column)) {
        // A column under another name, but nothing that is computed.
        field = stream.options.columns.value.at(ledger.column).get<std::string>();
        if (field.size() > 2 && field.front() == '"' && field.back() == '"') field = field.substr(1, field.size() - 2);
    }
    return find_field(stream.source_columns, field);
}

const SourceColumn& require_slice_source(const Stream& stream, const Ledger& ledger) {
    if (const SourceColumn* column = slice_source(stream, ledger)) return *column;
    pg::Error error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "the source cannot be asked for slices of stream \"" + stream.name + "\", as column \"" +
                        ledger.column + "\" is computed",
                    "", "Read everything: SELECT sync_trigger(" + pg::quote_literal(stream.name) + ", 'full').");
    error.error_class = pg::ErrorClass::config;
    throw error;
}

bool can_ask_for_windows(const Stream& stream, const SourceColumn& column) {
    if (kind_of_server(stream.server) != Kind::rest) return true;
    if (stream.options.parent.is_given) return false;
    OptionMap server;
    {
        Bookkeeping bookkeeping;
        for (const auto& row : pg::query("SELECT o.option_name, o.option_value FROM pg_foreign_server AS s CROSS JOIN "
                                         "pg_options_to_table(s.srvoptions) AS o WHERE s.srvname = $1",
                                         {stream.server})
                                   .rows)
            server[*row[0]] = row[1].value_or("");
    }
    const Askable can = askable(std::move(server), stream.options, stream.source);
    return can.slices || (can.since && !stream.watermark.empty() && stream.watermark.front() == column.name);
}

Window source_window(const Stream& stream, const Ledger& ledger, const TargetColumn& column,
                     const SliceWindow& window) {
    const SourceColumn& source = require_slice_source(stream, ledger);
    const std::string zone = server_zone(stream.options.source_time_zone.text);
    auto bound = [&](const std::optional<std::string>& local, const char* widen) -> std::optional<std::string> {
        if (!local) return std::nullopt;
        const std::string literal = pg::quote_literal(*local);
        std::string time = literal + "::timestamp";
        if (has_zone(column) && source.transport == Transport::timestamptz) {
            time = "(" + moment(literal, ledger.zone) + ") AT TIME ZONE 'UTC'";
        } else if (has_zone(column) && zone != ledger.zone) {
            time = "(" + moment(literal, ledger.zone) + ") AT TIME ZONE " +
                   pg::quote_literal(zone.empty() ? "UTC" : zone) + widen;
        }
        return *pg::query("SELECT (" + time + ")::timestamp::text").first()[0];
    };
    return {source.name, bound(window.from, " - interval '1 hour'"), bound(window.to, " + interval '1 hour'")};
}

SliceWindow whole_slices(const std::optional<Ledger>& ledger, const SliceWindow& window) {
    if (!ledger) return {};
    Bookkeeping bookkeeping;
    auto row = pg::query(
        "SELECT date_trunc($1, nullif($2::timestamp, '-infinity')), date_trunc($1, nullif($3::timestamp, 'infinity') - "
        "interval '1 microsecond') + ('1 ' || $1)::interval, coalesce($2::timestamp < $3::timestamp, true) AND "
        "$2::timestamp IS DISTINCT FROM 'infinity' AND $3::timestamp IS DISTINCT FROM '-infinity'",
        {std::string(name_of(ledger->unit)), window.from, window.to});
    if (row.first()[2] != "t")
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "\"from\" must be before \"to\"",
                        "They are " + window.from.value_or("NULL") + " and " + window.to.value_or("NULL") +
                            "; \"to\" itself is not included.");
    return {row.first()[0], row.first()[1]};
}

std::string target_window(const Ledger& ledger, const TargetColumn& column, const SliceWindow& window) {
    const std::string name = "t." + pg::quote_identifier(column.name);
    std::string condition;
    auto add = [&](const char* compare, const std::optional<std::string>& local) {
        if (!local) return;
        const std::string literal = pg::quote_literal(*local);
        condition += (condition.empty() ? "" : " AND ") + name + compare +
                     (has_zone(column) ? moment(literal, ledger.zone) : literal + "::timestamp");
    };
    add(" >= ", window.from);
    add(" < ", window.to);
    return condition;
}

}  // namespace insync
