// Finds the lowest :watermark; see marker.hpp.
#include "bgworker/connector/odbc/marker.hpp"

#include "bgworker/connector/odbc/sql/statement_builder.hpp"

namespace insync::odbc {

namespace {

constexpr const char* lowest_number = "-9223372036854775808";
constexpr const char* lowest_time = "0001-01-01 00:00:00";

struct Marker {
    const char* parameter;
    const char* value;
};

SourceColumn& marker_of(ReadPlan& plan) {
    return plan.watermark ? plan.columns[*plan.watermark] : *plan.full_marker;
}

void use(ReadPlan& plan, const Marker& marker) {
    marker_of(plan).parameter = marker.parameter;
    plan.lowest_marker = marker.value;
}

// The storage class and the value of the column that is compared with :watermark, in some row; empty without rows.
TextRow some_row(Connection& connection, const ReadPlan& plan) {
    const Bounds none;
    StatementBuilder builder(plan, none);
    const std::string reference =
        plan.watermark ? plan.references[*plan.watermark] : "s." + quote_name(plan.dialect, plan.full_marker->name);
    builder.select().add("typeof(" + reference + "), " + reference).from();
    builder.condition().add(reference + " IS NOT NULL").add(page_suffix(plan.dialect, 1));
    const StatementText statement = builder.finish("a value");
    std::vector<TextRow> rows = connection.query(statement.sql, statement.parameters);
    return rows.empty() ? TextRow() : std::move(rows[0]);
}

}  // namespace

void resolve_marker(Connection& connection, ReadPlan& plan) {
    if (!plan.relation.has_marker) return;
    if (plan.marker() == nullptr) {
        throw Failure(FailureClass::config, "a query with :watermark needs a watermark column", "",
                      "Name the column that the query compares with :watermark.");
    }
    if (plan.dialect != Dialect::sqlite) return;
    // A number is below all texts, an empty text below all others. But what computes with a time wants one.
    constexpr Marker number{"CAST(? AS NUMERIC)", lowest_number}, time{"?", lowest_time}, text{"?", ""};
    const WatermarkKind declared = watermark_kind(*plan.marker(), std::nullopt);
    for (const Marker& marker : {number, time, text}) {
        use(plan, marker);
        const TextRow row = some_row(connection, plan);
        if (row.empty()) continue;
        const bool is_number = row[0] == "integer" || row[0] == "real";
        const bool is_time = !is_number && watermark_kind(*plan.marker(), row[1]) == WatermarkKind::time;
        return use(plan, is_number ? number : is_time ? time : text);
    }
    use(plan, declared == WatermarkKind::integer ? number : declared == WatermarkKind::time ? time : text);
}

}  // namespace insync::odbc
