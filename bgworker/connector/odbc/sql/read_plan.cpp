// Builds plans and statements; see read_plan.hpp.
#include "bgworker/connector/odbc/sql/read_plan.hpp"

#include <algorithm>

#include "bgworker/connector/odbc/sql/key_order.hpp"
#include "bgworker/connector/odbc/sql/statement_builder.hpp"
#include "bgworker/connector/output/failure.hpp"

namespace insync::odbc {

namespace {

// Texts that are written in another way than the bound are read as well. The first comparison is for the index.
void add_low_of_texts(StatementBuilder& builder, std::size_t watermark, const Bounds& bounds) {
    if (!bounds.others_from.empty()) {
        // Digits and separators of a date, which need no parameter.
        builder.condition().reference(watermark).add(" >= '" + bounds.others_from + "'");
    }
    builder.condition().add("(").reference(watermark).add(bounds.low_is_known ? " > " : " >= ");
    builder.literal(watermark, *bounds.low).add(" OR NOT (" + bounds.alike + "))");
}

void add_bounds(StatementBuilder& builder, const ReadPlan& plan, const Bounds& bounds) {
    if (bounds.low && !bounds.alike.empty()) {
        add_low_of_texts(builder, *plan.watermark, bounds);
    } else if (bounds.low && (bounds.low_is_known || !plan.relation.has_marker)) {
        // A query with a marker applies the low bound itself, in its own way.
        builder.condition().reference(*plan.watermark).add(bounds.low_is_known ? " > " : " >= ");
        builder.literal(*plan.watermark, *bounds.low);
    }
    if (bounds.high) builder.condition().reference(*plan.watermark).add(" < ").literal(*plan.watermark, *bounds.high);
}

std::size_t add_column(ReadPlan& plan, const SourceColumn& column) {
    plan.columns.push_back(column);
    plan.references.push_back("s." + quote_name(plan.dialect, column.name));
    return plan.columns.size() - 1;
}

// The column's index in the plan; one that isn't sent is added behind those that are.
std::size_t need_column(ReadPlan& plan, const SourceColumn& column) {
    for (std::size_t i = 0; i < plan.columns.size(); i++) {
        if (plan.columns[i].name == column.name) return i;
    }
    return add_column(plan, column);
}

// What several watermark columns have in common. Instants and the times of a clock somewhere aren't compared.
SourceColumn coalesced_column(const std::vector<SourceColumn>& parts) {
    SourceColumn coalesced = parts[0];
    for (const SourceColumn& part : parts) {
        const bool is_alike = watermark_kind(part, std::nullopt) == watermark_kind(coalesced, std::nullopt) &&
                              (part.type == Transport::timestamptz) == (coalesced.type == Transport::timestamptz);
        if (!is_alike) {
            throw Failure(FailureClass::config,
                          "watermark columns \"" + parts[0].name + "\" and \"" + part.name + "\" cannot be combined",
                          "Column \"" + parts[0].name + "\" is of type " + parts[0].source_type + ", column \"" +
                              part.name + "\" of type " + part.source_type +
                              ": their values cannot be compared with each other.",
                          "Name columns of one kind, or read a query that converts one of them.");
        }
        // Bounds are written as the finest part is.
        if (coalesced.type == Transport::date) coalesced = part;
    }
    return coalesced;
}

void add_watermark(ReadPlan& plan, const std::vector<std::string>& names) {
    if (names.empty()) return;
    std::vector<SourceColumn> parts;
    for (const std::string& name : names) {
        parts.push_back(plan.relation.columns[find_column(plan.relation.columns, name, "watermark")]);
    }
    if (parts.size() == 1) {
        plan.watermark = need_column(plan, parts[0]);
    } else {
        SourceColumn coalesced = coalesced_column(parts);
        coalesced.name = coalesced_name;
        coalesced.affinity = Affinity::none;
        std::string reference;
        for (const SourceColumn& part : parts) {
            coalesced.nullable = coalesced.nullable && part.nullable;
            reference += (reference.empty() ? "COALESCE(s." : ", s.") + quote_name(plan.dialect, part.name);
        }
        plan.watermark = add_column(plan, coalesced);
        plan.references.back() = reference + ")";
    }
    plan.kind = watermark_kind(plan.columns[*plan.watermark], std::nullopt);
}

}  // namespace

const SourceColumn* ReadPlan::marker() const {
    if (!relation.has_marker) return nullptr;
    return watermark ? &columns[*watermark] : full_marker ? &*full_marker : nullptr;
}

bool ReadPlan::has_nullable_key() const {
    return std::any_of(key.begin(), key.end(), [&](std::size_t part) { return columns[part].nullable; });
}

ReadPlan make_read_plan(Dialect dialect, Relation relation, const ReadRequest& request) {
    ReadPlan plan;
    plan.dialect = dialect;
    plan.relation = std::move(relation);
    const std::vector<SourceColumn>& all = plan.relation.columns;
    if (request.columns) {
        for (const std::string& name : *request.columns) add_column(plan, all[find_column(all, name, "source")]);
    } else {
        for (const SourceColumn& column : all) add_column(plan, column);
    }
    plan.sent = plan.columns.size();
    for (const std::string& name : request.key) {
        plan.key.push_back(need_column(plan, all[find_column(all, name, "key")]));
    }
    add_watermark(plan, request.watermark);
    if (!plan.watermark && !request.version.empty()) {
        plan.full_marker = all[find_column(all, request.version[0], "watermark")];
    }
    if (const SourceColumn* marker = plan.marker()) {
        plan.lowest_marker = lowest_literal(dialect, *marker, watermark_kind(*marker, std::nullopt));
    }
    if (request.window) {
        const SourceColumn& column = all[find_column(all, request.window->column, "window")];
        plan.window = PlanWindow{time_column(dialect, column, "s." + quote_name(dialect, column.name)),
                                 request.window->from, request.window->to, request.window->only_null};
    }
    plan.page_rows = plan.key.empty() ? 0 : request.page_rows;
    add_page_order(plan);
    return plan;
}

WatermarkKind watermark_kind(const SourceColumn& column, const std::optional<std::string>& literal) {
    if (column.is_rowversion) return WatermarkKind::rowversion;
    // What is sorted by number doesn't end with its highest text.
    if (!column.page_parameter.empty()) return WatermarkKind::none;
    WatermarkKind kind = WatermarkKind::none;
    switch (column.type) {
        case Transport::date:
        case Transport::timestamp:
        case Transport::timestamptz:
            kind = WatermarkKind::time;
            break;
        case Transport::int2:
        case Transport::int4:
        case Transport::int8:
        case Transport::numeric:
        case Transport::float4:
        case Transport::float8:
            kind = WatermarkKind::integer;
            break;
        case Transport::text:
            kind = literal && literal->size() >= 10 && is_literal_of(WatermarkKind::time, *literal)
                       ? WatermarkKind::time
                       : WatermarkKind::text;
            break;
        default:
            return WatermarkKind::none;
    }
    if (literal && !is_literal_of(kind, *literal)) {
        // SQLite columns hold what they like: seconds since 1970 in a DATETIME, for one.
        return is_literal_of(WatermarkKind::integer, *literal) ? WatermarkKind::integer : WatermarkKind::text;
    }
    return kind;
}

std::string lowest_literal(Dialect dialect, const SourceColumn& column, WatermarkKind kind) {
    switch (kind) {
        case WatermarkKind::time: {
            const char* day = "0001-01-01";
            if (dialect == Dialect::sqlserver) {
                day = column.source_type == "datetime"        ? "1753-01-01"
                      : column.source_type == "smalldatetime" ? "1900-01-01"
                                                              : "0001-01-01";
            }
            return column.type == Transport::date ? day : std::string(day) + " 00:00:00";
        }
        case WatermarkKind::integer: {
            if (column.type == Transport::int2) return column.source_type == "tinyint" ? "0" : "-32768";
            if (column.type == Transport::int4) return "-2147483648";
            // As unsigned a negative number would be the highest of all.
            if (column.parameter.find("UNSIGNED") != std::string::npos) return "0";
            const TypeName type = parse_type_name(column.pg_type);
            if (column.type != Transport::numeric || type.first <= 0) return "-9223372036854775808";
            const int scale = std::clamp(type.second, 0, type.first);
            const std::string whole(static_cast<std::size_t>(type.first - scale), '9');
            return "-" + (whole.empty() ? "0" : whole) +
                   (scale > 0 ? "." + std::string(static_cast<std::size_t>(scale), '9') : "");
        }
        case WatermarkKind::rowversion:
            return "0x0000000000000000";
        default:
            // To Oracle, an empty text is NULL, above which is nothing.
            return dialect == Dialect::oracle ? "\x01" : "";
    }
}

StatementText key_page(const ReadPlan& plan, const std::optional<After>& after, bool only_null_watermarks,
                       const Bounds& bounds) {
    StatementBuilder builder(plan, bounds);
    builder.select().page_prefix().select_list().from();
    if (only_null_watermarks) builder.condition().reference(*plan.watermark).add(" IS NULL");
    builder.in_window().key_is_not_null();
    if (after && !plan.key.empty()) {
        builder.condition();
        builder.key_after(after->key);
    }
    builder.order_by(false).page_suffix();
    return builder.finish(only_null_watermarks ? "null watermarks" : "load");
}

StatementText rows_of_keys(const ReadPlan& plan, const Keys& keys, const std::optional<After>& after,
                           const Bounds& bounds) {
    StatementBuilder builder(plan, bounds);
    builder.select().page_prefix().select_list().from().condition();
    builder.is_one_of(keys);
    builder.in_window();
    if (after) {
        builder.condition();
        builder.key_after(after->key);
    }
    builder.order_by(false).page_suffix();
    return builder.finish("rows of keys");
}

StatementText changes_page(const ReadPlan& plan, const std::optional<After>& after, const Bounds& bounds) {
    StatementBuilder builder(plan, bounds);
    const std::size_t watermark = *plan.watermark;
    builder.select().page_prefix().select_list().from();
    if (after) {
        builder.condition().reference(watermark).add(" >= ").literal(watermark, after->watermark);
        builder.condition().add("(").reference(watermark).add(" > ").literal(watermark, after->watermark);
        if (!plan.key.empty()) {
            builder.add(" OR (").reference(watermark).add(" = ").literal(watermark, after->watermark).add(" AND ");
            builder.key_after(after->key);
            builder.add(")");
        }
        builder.add(")");
        Bounds above = bounds;
        if (bounds.alike.empty()) above.low.reset();  // a page begins above it
        add_bounds(builder, plan, above);
    } else {
        if (plan.columns[watermark].nullable && !bounds.low)
            builder.condition().reference(watermark).add(" IS NOT NULL");
        if (plan.columns[watermark].nullable && plan.relation.has_marker && bounds.low) {
            builder.condition().reference(watermark).add(" IS NOT NULL");
        }
        add_bounds(builder, plan, bounds);
    }
    builder.key_is_not_null().order_by(true).page_suffix();
    return builder.finish("changes");
}

StatementText poll_page(const ReadPlan& plan, const Bounds& bounds, std::size_t rows) {
    StatementBuilder builder(plan, bounds);
    const std::size_t watermark = *plan.watermark;
    const bool nullable = plan.columns[watermark].nullable;
    builder.select().add(page_prefix(plan.dialect, rows)).select_list().from();
    if (nullable) {
        builder.condition().add("(").reference(watermark).add(" IS NULL OR (").reference(watermark).add(" IS NOT NULL");
    }
    add_bounds(builder, plan, bounds);
    if (nullable) builder.add("))");
    builder.order_by(true, nullable && plan.dialect == Dialect::postgresql);
    builder.add(page_suffix(plan.dialect, rows));
    return builder.finish("poll");
}

StatementText null_key_rows(const ReadPlan& plan, const Bounds& bounds) {
    StatementBuilder builder(plan, bounds);
    builder.select().select_list().from();
    builder.condition().add("(");
    bool first = true;
    for (std::size_t part : plan.key) {
        if (!plan.columns[part].nullable) continue;
        builder.add(first ? "" : " OR ").reference(part).add(" IS NULL");
        first = false;
    }
    builder.add(")").in_window();
    const bool bounded = bounds.low && !plan.relation.has_marker;
    if (bounded && plan.has_nullable_watermark()) {
        // Neither a key nor a watermark: it would be below every bound for ever.
        builder.condition().add("(").reference(*plan.watermark).add(" >= ").literal(*plan.watermark, *bounds.low);
        builder.add(" OR ").reference(*plan.watermark).add(" IS NULL)");
    } else if (bounded) {
        add_bounds(builder, plan, bounds);
    }
    return builder.finish("null keys");
}

StatementText max_watermark(const ReadPlan& plan, const std::optional<std::string>& cap, const Bounds& bounds) {
    StatementBuilder builder(plan, bounds);
    const std::size_t watermark = *plan.watermark;
    const SourceColumn& column = plan.columns[watermark];
    const std::string highest = "MAX(" + plan.references[watermark] + ")";
    // One value as the server writes it, for which no driver is needed.
    const bool is_datetime = column.fetch == Fetch::datetime;
    builder.select();
    builder.add(is_datetime ? "CONVERT(varchar(23), " + highest + ", 121)" : select_expression(column, highest)).from();
    if (cap) builder.condition().reference(watermark).add(" <= ").literal(watermark, *cap);
    return builder.finish("mark");
}

StatementText count_null_watermarks(const ReadPlan& plan, const Bounds& bounds) {
    StatementBuilder builder(plan, bounds);
    builder.select().add("COUNT(*)").from().condition().reference(*plan.watermark).add(" IS NULL");
    return builder.finish("count null watermarks");
}

StatementText count_overlap(const ReadPlan& plan, const std::string& last, const Bounds& bounds) {
    StatementBuilder builder(plan, bounds);
    builder.select().add("COUNT(*)").from();
    add_bounds(builder, plan, bounds);
    builder.condition().reference(*plan.watermark).add(" <= ").literal(*plan.watermark, last);
    return builder.finish("count overlap");
}

StatementText some_watermarks(const ReadPlan& plan, std::size_t rows, const Bounds& bounds) {
    StatementBuilder builder(plan, bounds);
    const std::size_t watermark = *plan.watermark;
    builder.select().add(page_prefix(plan.dialect, rows));
    builder.add(select_expression(plan.columns[watermark], plan.references[watermark])).from();
    builder.condition().reference(watermark).add(" IS NOT NULL").add(page_suffix(plan.dialect, rows));
    return builder.finish("some watermarks");
}

StatementText duplicate_key(const ReadPlan& plan, const std::vector<std::size_t>& key) {
    const Bounds none;
    StatementBuilder builder(plan, none);
    std::string list, selected;
    for (std::size_t i = 0; i < key.size(); i++) {
        const bool in_order = i < plan.key.size() && plan.key[i] == key[i];
        const std::string& reference = in_order ? plan.page_order[i].reference : plan.references[key[i]];
        list += (list.empty() ? "" : ", ") + reference;
        selected += (selected.empty() ? "" : ", ") + select_expression(plan.columns[key[i]], reference);
    }
    builder.select().add(page_prefix(plan.dialect, 1)).add(selected).from().in_window().key_is_not_null();
    builder.add(" GROUP BY ").add(list).add(" HAVING COUNT(*) > 1").add(page_suffix(plan.dialect, 1));
    return builder.finish("duplicate keys");
}

StatementText storage_classes(const ReadPlan& plan, std::size_t column) {
    const Bounds none;
    StatementBuilder builder(plan, none);
    const std::string& reference = plan.references[column];
    builder.select().add("typeof(MIN(" + reference + ")), typeof(MAX(" + reference + "))").from();
    return builder.finish("storage classes");
}

StatementText some_values(const ReadPlan& plan, const std::string& expression, std::size_t rows) {
    const Bounds none;
    StatementBuilder builder(plan, none);
    builder.select().add("CASE typeof(" + expression + ") WHEN 'text' THEN " + expression + " END").from();
    builder.condition().add(expression + " IS NOT NULL").add(page_suffix(plan.dialect, rows));
    return builder.finish("some values");
}

StatementText preview_rows(const ReadPlan& plan, std::size_t rows) {
    const Bounds none;
    StatementBuilder builder(plan, none);
    builder.select().add(page_prefix(plan.dialect, rows)).select_list().from();
    builder.add(page_suffix(plan.dialect, rows));
    return builder.finish("preview");
}

}  // namespace insync::odbc
