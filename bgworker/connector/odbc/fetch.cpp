// Blocks and rows; see fetch.hpp. What becomes of a value stands in cell_values.cpp.
#include "bgworker/connector/odbc/fetch.hpp"

#include <algorithm>

namespace insync::odbc {

namespace {

constexpr std::size_t max_block_rows = 1000;
constexpr std::size_t max_block_bytes = 4u << 20;
constexpr std::size_t max_width = 16 * 1024;  // longer values are read row by row

SQLSMALLINT c_type_of(Fetch fetch) {
    switch (fetch) {
        case Fetch::int64:
            return SQL_C_SBIGINT;
        case Fetch::float64:
            return SQL_C_DOUBLE;
        case Fetch::binary:
            return SQL_C_BINARY;
        case Fetch::date:
            return SQL_C_TYPE_DATE;
        case Fetch::timestamp:
        case Fetch::datetime:
            return SQL_C_TYPE_TIMESTAMP;
        case Fetch::rowversion:
            return SQL_C_SBIGINT;
        default:
            return SQL_C_CHAR;
    }
}

bool has_length(Fetch fetch) {
    return fetch == Fetch::text || fetch == Fetch::marked_text || fetch == Fetch::hex || fetch == Fetch::binary;
}

std::size_t terminator_of(Fetch fetch) {
    return fetch == Fetch::binary ? 0 : 1;
}

std::size_t fixed_size_of(Fetch fetch) {
    if (fetch == Fetch::date) return sizeof(SQL_DATE_STRUCT);
    return fetch == Fetch::timestamp || fetch == Fetch::datetime ? sizeof(SQL_TIMESTAMP_STRUCT) : 8;
}

// Bytes of a column's array; rounded up, so that the next one is aligned.
std::size_t array_bytes(std::size_t width, std::size_t rows) {
    return (width * rows + 7) / 8 * 8;
}

[[noreturn]] void fail_impossible_length(const SourceColumn& column, SQLLEN length) {
    throw Failure(FailureClass::source, "the ODBC driver returned a value of " + std::to_string(length) +
                                            " bytes in column \"" + column.name + "\"");
}

}  // namespace

FetchState::FetchState(const std::vector<SourceColumn>& columns) {
    for (const SourceColumn& column : columns) widths.push_back(column.bind_bytes);
}

Cursor::Cursor(Connection& connection, const std::vector<SourceColumn>& columns, FetchState& state)
    : connection_(connection), columns_(columns), state_(state), statement_(connection) {}

void Cursor::execute(const std::string& sql, const std::vector<std::string>& parameters) {
    block_rows_ = 1;
    row_by_row_ = state_.row_by_row;
    if (!row_by_row_) {
        block_rows_ = block_rows(state_);
        row_status_.assign(block_rows_, SQL_ROW_SUCCESS);
        SQLSetStmtAttr(statement_.handle(), SQL_ATTR_ROW_ARRAY_SIZE,
                       reinterpret_cast<SQLPOINTER>(static_cast<std::uintptr_t>(block_rows_)), 0);
        SQLSetStmtAttr(statement_.handle(), SQL_ATTR_ROW_STATUS_PTR, row_status_.data(), 0);
        SQLSetStmtAttr(statement_.handle(), SQL_ATTR_ROWS_FETCHED_PTR, &fetched_, 0);
    }
    statement_.execute(sql, parameters);
    SQLSMALLINT count = 0;
    statement_.require(SQLNumResultCols(statement_.handle(), &count), "could not read the result");
    if (static_cast<std::size_t>(count) != columns_.size()) {
        throw Failure(FailureClass::source, "the source's columns changed while it was read", "",
                      "The next run reads the new columns.");
    }
    if (row_by_row_) {
        values_.resize(columns_.size());
        cells_.resize(columns_.size());
    } else {
        bind();
    }
}

std::size_t Cursor::block_rows(const FetchState& state) {
    std::size_t row_bytes = 0;
    for (std::size_t width : state.widths) row_bytes += width + sizeof(SQLLEN);
    return std::clamp<std::size_t>(max_block_bytes / std::max<std::size_t>(row_bytes, 1), 1, max_block_rows);
}

std::string Cursor::shape() {
    std::string shape;
    for (std::size_t i = 1; i <= columns_.size(); i++) {
        SQLCHAR name[256] = {};
        SQLSMALLINT length = 0, type = 0, digits = 0, nullable = 0;
        SQLULEN size = 0;
        const SQLRETURN result = SQLDescribeCol(statement_.handle(), static_cast<SQLUSMALLINT>(i), name, sizeof name,
                                                &length, &type, &size, &digits, &nullable);
        if (!SQL_SUCCEEDED(result)) return "";
        // The size may be that of the longest value; PostgreSQL's driver takes the digits from the values too.
        if (connection_.dialect() == Dialect::postgresql) digits = 0;
        shape += reinterpret_cast<char*>(name);
        shape += '\n' + std::to_string(type) + ' ' + std::to_string(digits) + '\n';
    }
    return shape;
}

void Cursor::bind() {
    widths_ = state_.widths;
    std::size_t total = 0;
    for (std::size_t i = 0; i < widths_.size(); i++) {
        // The array of a type with a fixed size has steps of just that size, whatever length the driver is told.
        if (!has_length(columns_[i].fetch)) widths_[i] = fixed_size_of(columns_[i].fetch);
        total += array_bytes(widths_[i], block_rows_);
    }
    // Zeroed: what a driver says it wrote and didn't must not be what this process held there before.
    buffer_.reset(new char[total]());
    column_buffers_.clear();
    indicators_.assign(columns_.size(), std::vector<SQLLEN>(block_rows_, 0));
    std::size_t at = 0;
    for (std::size_t i = 0; i < columns_.size(); i++) {
        column_buffers_.push_back(buffer_.get() + at);
        const SQLRETURN result =
            SQLBindCol(statement_.handle(), static_cast<SQLUSMALLINT>(i + 1), c_type_of(columns_[i].fetch),
                       column_buffers_[i], static_cast<SQLLEN>(widths_[i]), indicators_[i].data());
        statement_.require(result, "could not bind a column");
        at += array_bytes(widths_[i], block_rows_);
    }
}

bool Cursor::next() {
    fetched_ = 0;
    const SQLRETURN result = SQLFetch(statement_.handle());
    if (result == SQL_NO_DATA) return false;
    if (row_by_row_) {
        statement_.require(result, "could not read from the source");
        fetch_row_by_row();
        fetched_ = intact_rows_ = 1;
        return true;
    }
    if (!SQL_SUCCEEDED(result)) {
        // A block fails as a whole on a value that the driver can't convert; row by row we find which one it is.
        Failure error = connection_.failure(SQL_HANDLE_STMT, statement_.handle(), "could not read from the source");
        const bool about_a_value = error.sqlstate.rfind("22", 0) == 0 || error.sqlstate.rfind("07", 0) == 0;
        if (error.disconnected || !about_a_value) throw error;
        state_.row_by_row = true;
        fetched_ = 1;
        intact_rows_ = 0;
        return true;
    }
    if (fetched_ > block_rows_) {
        throw Failure(FailureClass::source, "the ODBC driver returned more rows than it was asked for",
                      "It says that it stored " + std::to_string(fetched_) + " rows in an array of " +
                          std::to_string(block_rows_) + ".");
    }
    intact_rows_ = fetched_;
    find_long_values();
    return fetched_ > 0;
}

// Ends the intact rows before the first value that was cut, and widens the buffers of all that were.
void Cursor::find_long_values() {
    for (std::size_t row = 0; row < intact_rows_; row++) {
        if (row_status_[row] == SQL_ROW_ERROR) {
            state_.row_by_row = true;
            intact_rows_ = row;
        }
    }
    for (std::size_t i = 0; i < columns_.size(); i++) {
        if (!has_length(columns_[i].fetch)) continue;
        const SQLLEN room = static_cast<SQLLEN>(widths_[i] - terminator_of(columns_[i].fetch));
        SQLLEN longest = 0;
        for (std::size_t row = 0; row < fetched_; row++) {
            const SQLLEN length = indicators_[i][row];
            if (length <= room && (length >= 0 || length == SQL_NULL_DATA)) continue;
            if (length < 0 && length != SQL_NO_TOTAL) fail_impossible_length(columns_[i], length);
            intact_rows_ = std::min(intact_rows_, row);
            longest = std::max(longest, length == SQL_NO_TOTAL ? 4 * room : length);
        }
        if (longest == 0) continue;
        if (longest > static_cast<SQLLEN>(max_width)) {
            state_.row_by_row = true;
            continue;
        }
        const std::size_t wanted = static_cast<std::size_t>(longest) + static_cast<std::size_t>(longest) / 4 + 8;
        if (wanted > max_width) {
            state_.row_by_row = true;
        } else {
            state_.widths[i] = wanted;
        }
    }
}

void Cursor::fetch_row_by_row() {
    for (std::size_t i = 0; i < columns_.size(); i++) {
        const SourceColumn& column = columns_[i];
        const auto number = static_cast<SQLUSMALLINT>(i + 1);
        Cell& cell = cells_[i];
        cell = Cell();
        try {
            if (has_length(column.fetch)) {
                bool too_long = false;
                const std::size_t limit =
                    connection_.max_value_bytes() * (column.fetch == Fetch::hex ? 2 : 1) + marked_prefix.size() * 2;
                cell.is_null = !statement_.get_data(number, column.fetch == Fetch::binary, limit, values_[i], too_long);
                if (too_long) cell.fault = Fault::too_long;
            } else {
                SQLLEN indicator = SQL_NULL_DATA;
                values_[i].resize(fixed_size_of(column.fetch));
                statement_.require(SQLGetData(statement_.handle(), number, c_type_of(column.fetch), values_[i].data(),
                                              static_cast<SQLLEN>(values_[i].size()), &indicator),
                                   "could not read a value from the source");
                cell.is_null = indicator == SQL_NULL_DATA;
            }
        } catch (const Failure& error) {
            const bool about_a_value = error.sqlstate.rfind("22", 0) == 0 || error.sqlstate.rfind("07", 0) == 0;
            if (error.disconnected || !about_a_value) throw;
            if (has_length(column.fetch)) values_[i].clear();
            cell.fault = Fault::syntax;
        }
        cell.data = values_[i];
    }
}

Cell Cursor::cell(std::size_t row, std::size_t column) const {
    if (row_by_row_) return cells_[column];
    const SQLLEN length = indicators_[column][row];
    Cell cell;
    if (length == SQL_NULL_DATA) {
        cell.is_null = true;
        return cell;
    }
    const char* at = column_buffers_[column] + row * widths_[column];
    const Fetch fetch = columns_[column].fetch;
    cell.data = {at, has_length(fetch) ? static_cast<std::size_t>(length) : fixed_size_of(fetch)};
    return cell;
}

}  // namespace insync::odbc
