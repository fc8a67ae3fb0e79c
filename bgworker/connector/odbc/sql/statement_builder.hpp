// A statement in the making: its text, and its parameters in the order of their markers. Text only, no driver.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bgworker/connector/odbc/sql/key_order.hpp"
#include "bgworker/connector/odbc/sql/read_plan.hpp"

namespace insync::odbc {

// What several watermark columns, coalesced, are selected as.
inline constexpr const char* coalesced_name = "insync_watermark";

// Collects a statement and its parameters in the order in which they stand in the text.
class StatementBuilder {
  public:
    StatementBuilder(const ReadPlan& plan, const Bounds& bounds) : plan_(plan), bounds_(bounds) {}
    StatementBuilder(const ReadPlan& plan, Bounds&& bounds) = delete;  // both are used until the end

    StatementBuilder& add(const std::string& text) {
        sql_ += text;
        return *this;
    }

    // Starts the next condition: WHERE or AND.
    StatementBuilder& condition() { return add(std::exchange(has_condition_, true) ? " AND " : " WHERE "); }

    StatementBuilder& literal(std::size_t column, const std::string& value) {
        parameters_.push_back(parameter_text(plan_.columns[column], value));
        return add(plan_.columns[column].parameter);
    }

    StatementBuilder& fragment(const Fragment& part) {
        parameters_.insert(parameters_.end(), part.parameters.begin(), part.parameters.end());
        return add(part.sql);
    }

    StatementBuilder& reference(std::size_t column) { return add(plan_.references[column]); }

    // SELECT, behind the WITH list of a query that has to stand in front.
    StatementBuilder& select() {
        if (!plan_.relation.query.with.empty()) marked(plan_.relation.query.with).add(" ");
        return add("SELECT ");
    }

    // "<table> s" or "(<query>) s", the query's markers bound.
    StatementBuilder& from() {
        add(" FROM ");
        if (!plan_.relation.is_query) return add(plan_.relation.from).add(" s");
        return add("(").marked(plan_.relation.query.select).add(") s");
    }

    bool has_layouts(std::size_t column) const {
        const Transport type = plan_.columns[column].type;
        return plan_.dialect == Dialect::sqlite &&
               (type == Transport::date || type == Transport::timestamp || type == Transport::timestamptz);
    }

    StatementBuilder& select_list() {
        for (std::size_t i = 0; i < plan_.columns.size(); i++) {
            const SourceColumn& column = plan_.columns[i];
            if (i > 0) add(", ");
            add(select_expression(column, plan_.references[i]));
            if (!column.select.empty() || column.name == coalesced_name) {
                add(" AS ").add(quote_name(plan_.dialect, column.name));
            }
        }
        return *this;
    }

    StatementBuilder& key_is_not_null() {
        for (std::size_t part : plan_.key) {
            if (plan_.columns[part].nullable) condition().reference(part).add(" IS NOT NULL");
        }
        return *this;
    }

    StatementBuilder& in_window() {
        if (!plan_.window) return *this;
        const Fragment rows = window_condition(plan_.dialect, *plan_.window);
        if (!rows.sql.empty()) condition().fragment(rows);
        return *this;
    }

    std::string key_reference(std::size_t column) const {
        const std::string& order = plan_.columns[column].page_order;
        return order.empty() ? plan_.references[column] : replace_marks(order, plan_.references[column]);
    }

    // k IN (?, ?). SQLite keeps a time as it was written: the key's other way to write it must not hide the row. What
    // SQLite can't read as a time may be any.
    void is_key(std::size_t column, const std::string& value) {
        const std::vector<Fragment> forms = stored_forms(plan_, column, value);
        add(key_reference(column)).add(forms.size() == 1 ? " = " : " IN (");
        for (const Fragment& form : forms) add(&form == &forms.front() ? "" : ", ").fragment(form);
        add(forms.size() == 1 ? "" : ")");
        if (!has_layouts(column)) return;
        const std::string begin = "strftime('%Y-%m-%d %H:%M:%f', ";
        add(" OR coalesce(" + begin).reference(column).add(") = " + begin);
        literal(column, value.ends_with("+00") ? value + ":00" : value).add("), 1)");
    }

    // k1 IN (?, ?), or (k1 = ? AND k2 = ?) OR …, in parentheses.
    void is_one_of(const std::vector<std::vector<std::string>>& keys) {
        const bool single = plan_.key.size() == 1 && !has_layouts(plan_.key[0]);
        if (single) add(key_reference(plan_.key[0])).add(" IN ");
        add("(");
        for (std::size_t i = 0; i < keys.size(); i++) {
            if (i > 0) add(single ? ", " : " OR ");
            if (single) {
                const std::vector<Fragment> forms = stored_forms(plan_, plan_.key[0], keys[i][0]);
                for (const Fragment& form : forms) add(&form == &forms.front() ? "" : ", ").fragment(form);
                continue;
            }
            for (std::size_t part = 0; part < plan_.key.size(); part++) {
                const bool layouts = has_layouts(plan_.key[part]);
                add(part == 0 ? "(" : " AND ").add(layouts ? "(" : "");
                is_key(plan_.key[part], keys[i][part]);
                add(layouts ? ")" : "");
            }
            add(")");
        }
        add(")");
    }

    // The part's expression, compared with its literal.
    StatementBuilder& compare_part(std::size_t part, const char* comparison, const std::string& value) {
        return add(plan_.page_order[part].reference).add(comparison).fragment(page_literal(plan_, part, value));
    }

    // k1 >= ? AND (k1 > ? OR (k1 = ? AND (k2 > ?))): the first part lets every engine use the index.
    void key_after(const std::vector<std::string>& key, std::size_t part = 0) {
        if (part + 1 == plan_.page_order.size()) {
            compare_part(part, " > ", key[part]);
            return;
        }
        compare_part(part, " >= ", key[part]).add(" AND (");
        compare_part(part, " > ", key[part]).add(" OR (");
        compare_part(part, " = ", key[part]).add(" AND ");
        key_after(key, part + 1);
        add("))");
    }

    StatementBuilder& order_by(bool by_watermark, bool nulls_first = false) {
        std::string list = by_watermark ? plan_.references[*plan_.watermark] : "";
        if (nulls_first) list += " NULLS FIRST";
        for (const PagePart& part : plan_.page_order) list += (list.empty() ? "" : ", ") + part.reference;
        if (!list.empty()) add(" ORDER BY ").add(list);
        return *this;
    }

    StatementBuilder& page_prefix() {
        return add(plan_.page_rows == 0 ? "" : odbc::page_prefix(plan_.dialect, plan_.page_rows));
    }
    StatementBuilder& page_suffix() {
        return add(plan_.page_rows == 0 ? "" : odbc::page_suffix(plan_.dialect, plan_.page_rows));
    }

    StatementText finish(std::string purpose) {
        if (!plan_.relation.query.options.empty()) add(" ").marked(plan_.relation.query.options);
        return {std::move(purpose), std::move(sql_), std::move(parameters_)};
    }

  private:
    // A part of the query with its markers bound.
    StatementBuilder& marked(const MarkedText& text) {
        const SourceColumn* marker = plan_.marker();
        for (std::size_t i = 0; marker != nullptr && i < text.markers(); i++) {
            const std::string value = bounds_.marker.value_or(plan_.lowest_marker);
            parameters_.push_back(parameter_text(*marker, value));
        }
        return add(text.with(marker != nullptr ? marker->parameter : "NULL"));
    }

    const ReadPlan& plan_;
    const Bounds& bounds_;
    std::string sql_;
    std::vector<std::string> parameters_;
    bool has_condition_ = false;
};

}  // namespace insync::odbc
