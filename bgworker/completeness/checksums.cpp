// Measures both sides; see checksums.hpp.
#include "bgworker/completeness/checksums.hpp"

#include <algorithm>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/server.hpp"
#include "bgworker/clock/zone_name.hpp"
#include "bgworker/options/expression_words.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/protocol/canonical_text.hpp"
#include "bgworker/run/read_request.hpp"
#include "bgworker/target/owned_rows.hpp"
#include "bgworker/target/shape.hpp"

namespace insync {

namespace {

// Sums tell some changed values where counts are equal. Each costs the source two fifths of its own GROUP BY, so they
// are for engines that have no hash, which tells all of them for twice that.
constexpr std::size_t most_sums = 2;

// Type names and digits of the target's columns, of domains those beneath.
constexpr const char* types_query =
    "SELECT a.attname, b.typname, CASE WHEN b.typname = 'numeric' AND m.mod >= 4 THEN (m.mod - 4) & 2047"
    " WHEN b.typname IN ('timestamp', 'timestamptz', 'time') THEN m.mod ELSE -1 END, t.typtype = 'd'"
    " FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid JOIN pg_type AS b ON b.oid = CASE t.typtype WHEN "
    "'d' THEN t.typbasetype ELSE t.oid END CROSS JOIN LATERAL (SELECT CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE "
    "a.atttypmod END AS mod) AS m WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped";

std::string list(const std::vector<std::string>& items) {
    std::string text;
    for (const auto& item : items) text += (text.empty() ? "" : ", ") + item;
    return text;
}

// Of a sum of hashes, which has more digits than fit a number.
std::uint64_t modulo_two_64(const std::string& digits) {
    std::uint64_t value = 0;
    for (const char digit : digits) {
        if (digit < '0' || digit > '9') break;
        value = value * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    return value;
}

}  // namespace

std::optional<Depth> depth_of(const std::string& name) {
    if (name == "counts") return Depth::counts;
    if (name == "keys") return Depth::keys;
    if (name == "rows") return Depth::rows;
    return std::nullopt;
}

Measuring::Measuring(const Stream& stream, const std::optional<Ledger>& ledger, const SliceWindow& window, Depth depth,
                     const std::optional<Unsettled>& unsettled, const std::string& hash_kind)
    : stream_(stream), ledger_(ledger), depth_(depth), hash_kind_(hash_kind), window_(window) {
    is_rest_ = kind_of_server(stream.server) == Kind::rest;
    request_.rows = make_read_request(stream, "full", nullptr);
    request_.rows.watermark = stream.watermark;
    // An API counts all rows or none: what changes at the moment is told by the rows of the slices that differ.
    if (unsettled && !is_rest_) request_.unsettled_from = unsettled->from;
    const pg::OwnerScope owner_scope(stream.owner_oid);
    const auto target = describe_target(stream.target_schema, stream.target_table);
    if (!target)
        throw pg::Error(ERRCODE_UNDEFINED_TABLE, "the target of stream \"" + stream.name + "\" does not exist");
    const auto shape = build_shape(stream, stream.source_columns, *target);
    // What PostgreSQL computes of a row, and whom it leaves out, no source can tell.
    counts_source_ = shape.filter.empty() && shape.delete_condition.empty() &&
                     !stream.options.operation_column.is_given && (!is_rest_ || (depth == Depth::counts && ledger_));
    if (counts_source_) choose_columns(shape, *target);
    choose_groups(*target, window);
    std::string condition = living_condition(shape), scope = stream_scope(shape, stream.source_columns);
    if (!scope.empty()) condition += " AND " + scope;
    if (ledger_ && (window.from || window.to))
        condition += " AND " + target_window(*ledger_, *target->find(ledger_->column), window);
    build_target_statement(shape, condition);
}

// The columns that source and target write alike.
void Measuring::choose_columns(const ApplyShape& shape, const Target& target) {
    std::map<std::string, std::vector<pg::Value>> types;
    for (auto& row : pg::query(types_query, {std::to_string(target.oid)}).rows) types[*row[0]] = row;
    const bool may_hash = !hash_kind_.empty() &&
                          *pg::query(
                               "SELECT CASE WHEN has_schema_privilege('insync', 'USAGE') THEN "
                               "has_function_privilege('insync.row_hash(text, \"any\")', 'EXECUTE') ELSE false END")
                                  .first()[0] == "t";
    hashes_ = may_hash && depth_ != Depth::counts;
    RowFormat format;
    format.kind = hash_kind_of(hash_kind_).value_or(HashKind::crc32);
    std::vector<std::string> sources;
    std::vector<std::pair<std::string, std::string>> sums;  // source column, SQL over t
    for (const auto& column : shape.columns) {
        // What the connector counts, the source doesn't know.
        if (stream_.compares_whole_rows() && stream_.is_row_identity(column.field)) continue;
        // What the stream adds of its own, such as its shop, is in the scope.
        if (column.key && is_constant(column.expression, stream_.source_columns)) continue;
        const auto& type = types[column.plain_name];
        const SourceColumn* source = column.field.empty() ? nullptr : find_field(stream_.source_columns, column.field);
        const auto written =
            source != nullptr ? value_format(source->transport, source->pg_type, source->source_type) : std::nullopt;
        if (!written || !keeps_text(*written, *type[1], std::stoi(type[2].value_or("-1")))) {
            if (column.key) hashes_ = false;
            if (!column.key) left_out_.push_back(column.plain_name);
            continue;
        }
        const std::string value = "t." + column.name + (type[3] == "t" ? "::pg_catalog." + *type[1] : "");
        if (!column.key && written->kind == ValueFormat::Kind::integer) sums.emplace_back(source->name, value);
        if (depth_ == Depth::keys && !column.key && !stream_.compares_whole_rows()) continue;
        format.columns.push_back(*written);
        sources.push_back(source->name);
        hashed_.push_back(value);
    }
    if (hashes_ && !hashed_.empty()) {
        request_.hash = sources;
        hashed_.insert(hashed_.begin(), pg::quote_literal(to_text(format)));
        return;
    }
    hashes_ = false;
    hashed_.clear(), left_out_.clear();
    if (depth_ != Depth::counts || is_rest_ || !hash_kind_.empty()) return;
    for (const auto& [name, value] : sums) {
        if (sums_.size() == most_sums) break;
        request_.sums.push_back(name);
        sums_.push_back(value);
    }
}

// Groups are counted at the source by its own days where those are the ledger's, else by jobs of which any zone's are
// made.
void Measuring::choose_groups(const Target& target, const SliceWindow& window) {
    if (!ledger_) {
        held_group_ = bucket_ = "'-infinity'::timestamp", local_group_ = "NULL::timestamp";
        return;
    }
    const TargetColumn* column = target.find(ledger_->column);
    if (column == nullptr)
        throw pg::Error(ERRCODE_UNDEFINED_COLUMN, "the target has no column \"" + ledger_->column + "\" any more");
    const SourceColumn& source = require_slice_source(stream_, *ledger_);
    if (window.from || window.to) request_.rows.window = source_window(stream_, *ledger_, *column, window);
    // Dates are grouped as they are: what they mean is then reckoned once a day in place of once a row.
    const std::string value = "t." + pg::quote_identifier(column->name);
    const bool is_date = column->base_type == "date";
    held_group_ = is_date ? value : bucket_expression(*ledger_, column->base_type, value);
    bucket_ = is_date ? bucket_expression(*ledger_, "date", "y.held_group") : "y.held_group";
    const std::string zone = server_zone(stream_.options.source_time_zone.text);
    const std::string to_zone = " AT TIME ZONE " + pg::quote_literal(ledger_->zone);
    local_group_ = "g.\"group\"";
    using Unit = MeasureRequest::Unit;
    Unit unit = ledger_->unit == SliceUnit::hour ? Unit::hour : Unit::day;
    if (column->base_type == "timestamp with time zone") {
        std::string from_zone;
        if (source.transport == Transport::timestamptz) {
            from_zone = "'UTC'";
        } else if (zone != ledger_->zone) {
            from_zone = pg::quote_literal(zone.empty() ? "UTC" : zone);
        }
        if (!from_zone.empty()) {
            local_group_ = "(" + local_group_ + " AT TIME ZONE " + from_zone + ")" + to_zone;
            unit = Unit::quarter;
        }
    }
    request_.by_time = {source.name, unit};
    if (is_rest_ && counts_source_) add_buckets(*column, window);
}

// APIs tell one number at a time.
void Measuring::add_buckets(const TargetColumn& column, const SliceWindow& window) {
    if (!window.from || !window.to) {
        pg::Error error(ERRCODE_INVALID_PARAMETER_VALUE, "an API is asked for the rows of one slice after the other",
                        "", "Give both \"from\" and \"to\".");
        error.error_class = pg::ErrorClass::config;
        throw error;
    }
    for (const auto& row : pg::query("SELECT b, b + $3::interval FROM generate_series(date_trunc($4, $1::timestamp), "
                                     "$2::timestamp - interval '1 microsecond', $3::interval) AS b",
                                     {window.from, window.to, "1 " + std::string(name_of(ledger_->unit)),
                                      std::string(name_of(ledger_->unit))})
                               .rows) {
        const Window bounds = source_window(stream_, *ledger_, column, {row[0], row[1]});
        request_.buckets.emplace_back(*bounds.from, *bounds.to);
    }
}

void Measuring::build_target_statement(const ApplyShape& shape, const std::string& condition) {
    std::string sums, signature;
    int number = 0;
    auto add = [&](const std::string& sum) {
        const std::string name = "sum_" + std::to_string(number++);
        sums += ", " + sum + " AS " + name;
        signature += "sum(y." + name + ")::text, ";
    };
    for (const auto& sum : sums_) add("sum(" + sum + ")::numeric");
    if (!hashed_.empty()) add("sum(insync.row_hash(" + list(hashed_) + "))::numeric");
    target_statement_ = "SELECT " + bucket_number("x.bucket") + ", x.rows, x.signature FROM (SELECT " + bucket_ +
                        " AS bucket, sum(y.rows)::bigint AS rows, array_to_string(ARRAY[" + signature +
                        "'']::text[], '|', 'N') AS signature FROM (SELECT " + held_group_ +
                        " AS held_group, count(*) AS rows" + sums + " FROM " + shape.target + " AS t WHERE " +
                        condition + " GROUP BY 1) AS y GROUP BY 1) AS x";
}

// The source's groups, $1, as the target's.
std::string Measuring::group_statement() const {
    const std::string unit = ledger_ ? std::string(name_of(ledger_->unit)) : "day";
    std::string signature;
    for (std::size_t i = 0; i < sums_.size(); i++)
        signature += "sum((g.sums ->> " + std::to_string(i) + ")::numeric)::text, ";
    if (!hashed_.empty()) signature += "sum(g.hash)::text, ";
    std::string where = " WHERE true";
    if (ledger_ && window_.from) where += " AND x.bucket >= " + pg::quote_literal(*window_.from) + "::timestamp";
    if (ledger_ && window_.to) where += " AND x.bucket < " + pg::quote_literal(*window_.to) + "::timestamp";
    return "SELECT " + bucket_number("x.bucket") +
           ", x.rows, x.unsettled, x.signature FROM (SELECT coalesce(date_trunc('" + unit + "', " + local_group_ +
           "), '-infinity'::timestamp) AS bucket, sum(g.rows)::bigint AS rows, coalesce(sum(g.unsettled), 0)::bigint "
           "AS "
           "unsettled, array_to_string(ARRAY[" +
           signature +
           "'']::text[], '|', 'N') AS signature FROM jsonb_to_recordset($1::jsonb) AS g (\"group\" timestamp, rows "
           "bigint, unsettled bigint, sums jsonb, hash numeric) GROUP BY 1) AS x" +
           where;
}

// Where the hash of all rows is that of the source's, each slice has the source's rows.
SliceMeasures Measuring::judged_as_one(SliceMeasures measures, const std::map<std::int64_t, std::string>& signatures,
                                       const nlohmann::json& groups) {
    std::int64_t held = 0, source = 0;
    std::uint64_t hash = 0, source_hash = 0;
    for (const auto& [bucket, measure] : measures) {
        held += measure.held;
        hash += modulo_two_64(signatures.at(bucket));
    }
    for (const auto& group : groups) {
        source += group.at("rows").get<std::int64_t>();
        source_hash += modulo_two_64(group.at("hash").get<std::string>());
    }
    const bool equal = held == source && hash == source_hash;
    if (!equal) measures[SliceRule::no_time].equal = false;
    if (!equal) return measures;
    for (auto& [bucket, measure] : measures) measure.source = measure.held;
    return measures;
}

SliceMeasures Measuring::execute(ConnectorProcess& connector, Transactions& transactions) {
    // Most often nothing differs, which is cheaper to ask than what does.
    if (is_conclusive() && !is_rest_ && (hashes_ || request_.unsettled_from)) {
        MeasureRequest request = request_;
        request.unsettled_from.reset();
        if (hashes_) {
            request.by_time.reset();
            request.as_stored = true;
        }
        SliceMeasures measures = look(connector, transactions, request);
        if (std::all_of(measures.begin(), measures.end(), [](const auto& item) { return item.second.equal; }))
            return measures;
    }
    return look(connector, transactions, request_);
}

SliceMeasures Measuring::look(ConnectorProcess& connector, Transactions& transactions, const MeasureRequest& request) {
    if (counts_source_) connector.request(request);
    // Both sides are at work now.
    SliceMeasures measures;
    std::map<std::int64_t, std::string> signatures;
    transactions.run([&] {
        const pg::OwnerScope owner_scope(stream_.owner_oid);
        for (const auto& row : pg::query(target_statement_, {}, pg::Sees::pushed_snapshot).rows) {
            const std::int64_t bucket = ledger_ ? std::stoll(*row[0]) : 0;
            measures[bucket].held = std::stoll(*row[1]);
            signatures[bucket] = *row[2];
        }
    });
    nlohmann::json groups = nlohmann::json::array();
    while (counts_source_) {
        Frame frame = connector.next_frame();
        if (frame.type == wire::FrameType::done) break;
        if (frame.type == wire::FrameType::result) groups.push_back(frame.json());
    }
    if (ledger_ && hashes_ && !request.by_time) return judged_as_one(measures, signatures, groups);
    std::map<std::int64_t, std::string> source_signatures;
    transactions.run([&] {
        Bookkeeping bookkeeping;
        for (const auto& row : pg::query(group_statement(), {groups.dump()}).rows) {
            const std::int64_t bucket = ledger_ ? std::stoll(*row[0]) : 0;
            measures[bucket].source = std::stoll(*row[1]);
            measures[bucket].unsettled = std::stoll(*row[2]);
            source_signatures[bucket] = *row[3];
        }
    });
    for (auto& [bucket, measure] : measures) {
        measure.equal = measure.held == measure.source && signatures[bucket] == source_signatures[bucket];
        if (is_rest_) measure.equal = measure.held == measure.source;
    }
    return measures;
}

}  // namespace insync
