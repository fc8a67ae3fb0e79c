// What makes the statements of a read see one state, and no transaction's rows before it ends; see reader.hpp.
#include "bgworker/connector/odbc/reader.hpp"

namespace insync::odbc {

std::optional<std::string> Reader::read_rowversion_horizon() {
    try {
        const std::optional<std::string> horizon = connection_.query_value("SELECT " + rowversion_horizon_expression());
        return horizon ? std::optional(rowversion_literal(*horizon)) : std::nullopt;
    } catch (const Failure& error) {
        if (error.disconnected) throw;
        out_.log("warning",
                 "the source has no MIN_ACTIVE_ROWVERSION(), so rows of transactions that commit late are "
                 "found only within the lookback: " +
                     error.message);
        return std::nullopt;
    }
}

void Reader::begin_snapshot() {
    if (connection_.dialect() == Dialect::sqlserver) {
        const std::vector<TextRow> rows = connection_.query(sqlserver_isolation_statement());
        const bool known = !rows.empty() && rows[0].size() == 2;
        const Isolation isolation = sqlserver_isolation(known && rows[0][0] == "1", known && rows[0][1] == "1");
        if (!isolation.warning.empty()) out_.log("warning", isolation.warning);
        has_snapshot_ = true;
        connection_.snapshot_isolation = isolation.begin.size() > 1;
        for (const std::string& statement : isolation.begin) connection_.execute(statement);
        return;
    }
    for (const std::string& statement : odbc::begin_snapshot(connection_.dialect())) {
        connection_.guard(false);  // it is read-only by itself
        has_snapshot_ = true;
        connection_.execute(statement);
    }
}

void Reader::end_snapshot(bool failed) {
    if (!has_snapshot_) return;
    has_snapshot_ = false;
    try {
        for (const std::string& statement : odbc::end_snapshot(connection_.dialect())) connection_.execute(statement);
    } catch (const Failure&) {
        // The failure that led here says more than the one of cleaning up behind it.
        if (!failed) throw;
    }
    connection_.guard(plan_.relation.is_query);
}

}  // namespace insync::odbc
