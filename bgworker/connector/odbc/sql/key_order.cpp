// How keys are ordered and compared; see key_order.hpp.
#include "bgworker/connector/odbc/sql/key_order.hpp"

#include <algorithm>
#include <charconv>

#include "bgworker/connector/output/failure.hpp"

namespace insync::odbc {

namespace {

std::vector<std::string> sorted(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    return names;
}

// SQLite doesn't tell a column's collation, but an index's. A key without an index is ordered by its bytes: that is how
// the target tells keys apart.
std::string sqlite_collation(const ReadPlan& plan, const std::string& column) {
    std::vector<std::string> key;
    for (std::size_t part : plan.key) key.push_back(plan.columns[part].name);
    for (const auto& [columns, collations] : plan.relation.collations) {
        if (sorted(columns) != sorted(key)) continue;
        const auto at = std::find(columns.begin(), columns.end(), column);
        return collations[static_cast<std::size_t>(at - columns.begin())];
    }
    return "BINARY";
}

bool is_hex(const std::string& text) {
    return text.find_first_not_of("0123456789ABCDEF") == std::string::npos && text.size() % 2 == 0;
}

bool is_number(const std::string& text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

// Written by sqlite_position: a quote stands before a text, h before the digits of a text that the driver would cut,
// x before those of a blob, and nothing before a number. The plus takes the cast's affinity away, which would convert
// the column's values.
Fragment sqlite_literal(const std::string& literal) {
    const std::string rest = literal.empty() ? "" : literal.substr(1);
    if (literal.starts_with('\'')) return {"?", {rest}};
    if (literal.starts_with('x') && is_hex(rest)) return {"x'" + rest + "'", {}};
    if (literal.starts_with('h') && is_hex(rest)) return {"+CAST(x'" + rest + "' AS TEXT)", {}};
    if (literal.ends_with("Inf")) return {literal.starts_with('-') ? "-9e999" : "9e999", {}};
    return {"+CAST(? AS NUMERIC)", {literal}};
}

}  // namespace

void add_page_order(ReadPlan& plan) {
    plan.page_order.clear();
    for (std::size_t index : plan.key) {
        const SourceColumn column = plan.columns[index];
        if (!column.no_order.empty()) {
            throw Failure(FailureClass::config,
                          "column \"" + column.name + "\" of type " + column.source_type + " cannot be a key",
                          column.no_order, "Read a query that converts it, or name another key.");
        }
        PagePart part{index, plan.references[index]};
        if (!column.page_order.empty()) part.reference = replace_marks(column.page_order, part.reference);
        if (plan.dialect == Dialect::sqlite && !column.page_select.empty()) {
            part.reference += " COLLATE " + quote_name(plan.dialect, sqlite_collation(plan, column.name));
        }
        if (!column.page_select.empty()) {
            SourceColumn position = column;
            position.name = "insync_key_" + std::to_string(plan.page_order.size() + 1);
            position.select = column.page_select;
            if (!column.page_parameter.empty()) position.parameter = column.page_parameter;
            position.fetch = Fetch::text;
            position.type = Transport::text;
            position.bind_bytes = std::max<std::size_t>(column.bind_bytes * 2, 64);
            plan.columns.push_back(position);
            plan.references.push_back(plan.references[index]);
            part.column = plan.columns.size() - 1;
        }
        plan.page_order.push_back(std::move(part));
    }
}

Fragment page_literal(const ReadPlan& plan, std::size_t part, const std::string& literal) {
    const SourceColumn& column = plan.columns[plan.page_order[part].column];
    if (plan.dialect == Dialect::sqlite && !column.page_select.empty()) return sqlite_literal(literal);
    return {column.parameter, {parameter_text(column, literal)}};
}

std::vector<Fragment> stored_forms(const ReadPlan& plan, std::size_t index, const std::string& text) {
    const SourceColumn& column = plan.columns[index];
    const bool is_true = text == "true" || text == "t";
    const bool is_boolean = column.type == Transport::boolean && (is_true || text == "false" || text == "f");
    const std::string value = is_boolean ? (is_true ? "1" : "0") : text;
    // The target's text of a float has no more digits than tell it from other floats.
    if (plan.dialect == Dialect::mysql && column.type == Transport::float4) return {{"CAST(? AS FLOAT)", {value}}};
    if (plan.dialect != Dialect::sqlite) return {{column.parameter, {parameter_text(column, value)}}};
    std::vector<Fragment> forms{{"?", {value}}};
    // Without an index of integers alone, any class of value may be there.
    if (column.page_select.empty()) return forms;
    if (is_boolean) {
        for (const char* word : {"true", "t", "yes", "on", "false", "f", "no", "off"}) {
            const bool means_true = std::string("true t yes on").find(word) != std::string::npos;
            if (means_true == is_true) forms.push_back({"?", {word}});
        }
    }
    if (column.affinity == Affinity::none && is_number(value)) forms.push_back({"CAST(? AS NUMERIC)", {value}});
    if (column.type == Transport::text) forms.push_back({"CAST(? AS BLOB)", {value}});
    return forms;
}

std::string order_text(const ReadPlan& plan) {
    std::string text;
    for (const PagePart& part : plan.page_order) {
        text += (text.empty() ? "" : ", ") + part.reference + " " + plan.columns[part.column].parameter;
    }
    return text;
}

bool has_special_order(const ReadPlan& plan) {
    return std::any_of(plan.key.begin(), plan.key.end(), [&](std::size_t part) {
        return !plan.columns[part].page_order.empty() || !plan.columns[part].page_select.empty();
    });
}

}  // namespace insync::odbc
