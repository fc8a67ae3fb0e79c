// Blocks, rows and values; see fetch.hpp.
#include "bgworker/connector/odbc/fetch.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "bgworker/connector/civil_time.hpp"

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

template <typename Value>
Value read_as(const Cell& cell) {
    Value value;
    std::memcpy(&value, cell.data.data(), sizeof value);
    return value;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Decodes hexadecimal digits at `out`, which has room for half of them.
bool decode_hex(std::string_view digits, char* out) {
    if (digits.size() % 2 != 0) return false;
    for (std::size_t i = 0; i < digits.size(); i += 2) {
        const int high = hex_digit(digits[i]);
        const int low = hex_digit(digits[i + 1]);
        if (high < 0 || low < 0) return false;
        *out++ = static_cast<char>(high << 4 | low);
    }
    return true;
}

bool is_marked(std::string_view text) {
    return text.substr(0, marked_prefix.size()) == marked_prefix;
}

Fault encode_hex(FrameWriter& out, std::string_view digits) {
    if (digits.substr(0, 2) == "0x") digits.remove_prefix(2);
    char* at = out.grow(4 + digits.size() / 2);
    wire::put_int32(at, static_cast<std::int32_t>(digits.size() / 2));
    return decode_hex(digits, at + 4) ? Fault::none : Fault::syntax;
}

std::string decode_marked(std::string_view text) {
    text.remove_prefix(marked_prefix.size());
    std::string bytes(text.size() / 2, '\0');
    decode_hex(text, bytes.data());
    return bytes;
}

// The time that a cell holds. The thousandths of a datetime are those that the server shows: .003 for 1/300 second.
SQL_TIMESTAMP_STRUCT timestamp_of(const Cell& cell, Fetch fetch) {
    auto value = read_as<SQL_TIMESTAMP_STRUCT>(cell);
    if (fetch == Fetch::datetime && value.fraction < 999500000) {
        value.fraction = (value.fraction + 500000) / 1000000 * 1000000;
    }
    return value;
}

// A key in the target stays as long as it came to be.
std::string_view without_padding(const SourceColumn& column, std::string_view text) {
    while (column.is_padded && !column.is_key && !text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

// Two keys with bytes that aren't text would be one with the same sign in their place.
EncodeOptions options_for(const SourceColumn& column, EncodeOptions options) {
    options.replace_text = options.replace_text && !column.is_key;
    return options;
}

std::int64_t microseconds_of(const SQL_TIMESTAMP_STRUCT& value) {
    const std::int64_t seconds = days_from_2000(value.year, value.month, value.day) * std::int64_t{86400} +
                                 value.hour * 3600 + value.minute * 60 + value.second;
    return seconds * 1000000 + value.fraction / 1000;
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
        std::size_t row_bytes = 0;
        for (std::size_t width : state_.widths) row_bytes += width + sizeof(SQLLEN);
        block_rows_ = std::clamp<std::size_t>(max_block_bytes / std::max<std::size_t>(row_bytes, 1), 1, max_block_rows);
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

Fault encode_cell(FrameWriter& out, const SourceColumn& column, const Cell& cell, const EncodeOptions& options,
                  std::size_t max_bytes) {
    if (cell.fault != Fault::none) return cell.fault;
    if (cell.is_null) {
        out.append_null();
        return Fault::none;
    }
    switch (column.fetch) {
        case Fetch::int64:
            return encode_integer(out, column.type, read_as<std::int64_t>(cell));
        case Fetch::float64:
            return encode_double(out, column.type, read_as<double>(cell));
        case Fetch::text:
            if (cell.data.size() > max_bytes) return Fault::too_long;
            return encode_text(out, column.type, without_padding(column, cell.data), options_for(column, options));
        case Fetch::marked_text:
            if (is_marked(cell.data))
                return encode_text(out, column.type, decode_marked(cell.data), options_for(column, options));
            if (cell.data.size() > max_bytes) return Fault::too_long;
            return encode_text(out, column.type, cell.data, options_for(column, options));
        case Fetch::hex:
            if (cell.data.size() / 2 > max_bytes) return Fault::too_long;
            return encode_hex(out, cell.data);
        case Fetch::binary:
            if (cell.data.size() > max_bytes) return Fault::too_long;
            if (column.type == Transport::uuid && cell.data.size() != 16) return Fault::syntax;
            return encode_bytes(out, cell.data);
        case Fetch::date: {
            const auto value = read_as<SQL_DATE_STRUCT>(cell);
            if (!is_date(value.year, value.month, value.day)) return Fault::datetime;
            return encode_microseconds(out, column.type,
                                       days_from_2000(value.year, value.month, value.day) * std::int64_t{86400000000});
        }
        case Fetch::rowversion: {
            const auto number = read_as<std::uint64_t>(cell);
            char bytes[8];
            for (int i = 0; i < 8; i++) bytes[i] = static_cast<char>(number >> (56 - 8 * i));
            return encode_bytes(out, {bytes, sizeof bytes});
        }
        case Fetch::timestamp:
        case Fetch::datetime: {
            const auto value = timestamp_of(cell, column.fetch);
            const bool is_time =
                value.hour < 24 && value.minute < 60 && value.second <= 60 && value.fraction < 1000000000;
            if (!is_time || !is_date(value.year, value.month, value.day)) return Fault::datetime;
            return encode_microseconds(out, column.type, microseconds_of(value));
        }
    }
    return Fault::syntax;
}

std::string literal_of(const SourceColumn& column, const Cell& cell) {
    if (cell.is_null) return "";
    char text[64];
    switch (column.fetch) {
        case Fetch::int64: {
            const auto end = std::to_chars(text, text + sizeof text, read_as<std::int64_t>(cell)).ptr;
            return std::string(text, end);
        }
        case Fetch::float64: {
            const auto end = std::to_chars(text, text + sizeof text, read_as<double>(cell)).ptr;
            return std::string(text, end);
        }
        case Fetch::binary: {
            std::string hex;
            for (unsigned char byte : cell.data) {
                std::snprintf(text, sizeof text, "%02X", byte);
                hex += text;
            }
            return hex;
        }
        case Fetch::date: {
            const auto value = read_as<SQL_DATE_STRUCT>(cell);
            std::snprintf(text, sizeof text, "%04d-%02d-%02d", value.year, value.month, value.day);
            return text;
        }
        case Fetch::rowversion:
            return rowversion_literal(std::to_string(read_as<std::int64_t>(cell)));
        case Fetch::timestamp:
        case Fetch::datetime: {
            const auto value = timestamp_of(cell, column.fetch);
            const int length =
                std::snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d.%09u", value.year, value.month,
                              value.day, value.hour, value.minute, value.second, static_cast<unsigned>(value.fraction));
            // As many digits as the column has; a literal with more would not compare equal everywhere.
            const int cut = column.fraction_digits == 0 ? 10 : 9 - std::clamp(column.fraction_digits, 0, 9);
            return std::string(text, static_cast<std::size_t>(length - cut));
        }
        case Fetch::marked_text:
            if (is_marked(cell.data)) return decode_marked(cell.data);
            return std::string(cell.data);
        default:
            return std::string(cell.data);
    }
}

}  // namespace insync::odbc
