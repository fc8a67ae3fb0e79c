// Fetching rows: blocks of bound arrays while values fit their buffers, SQLGetData when they don't.
//
// A value is never cut. A block may hold a row with a value longer than its buffer: intact_rows() ends before it, the
// buffers are widened, and the reader runs the page again from the last row that it has sent. Very long values switch
// the read to one row at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bgworker/connector/odbc/connection.hpp"
#include "bgworker/connector/odbc/sql/types.hpp"
#include "bgworker/connector/values/row_encoder.hpp"

namespace insync::odbc {

// What a read has learned about the width of its values; kept from page to page.
struct FetchState {
    std::vector<std::size_t> widths;  // bytes of each column's buffer
    bool row_by_row = false;          // SQLGetData for every value

    explicit FetchState(const std::vector<SourceColumn>& columns);
};

struct Cell {
    std::string_view data;  // the bytes in the column's fetch form
    bool is_null = false;
    Fault fault = Fault::none;  // the driver couldn't hand the value over (too long, not convertible)
};

class Cursor {
  public:
    // Both are used until the cursor ends.
    Cursor(Connection& connection, const std::vector<SourceColumn>& columns, FetchState& state);

    // Sends the statement and binds its columns, which must be as many as `columns`.
    void execute(const std::string& sql, const std::vector<std::string>& parameters);

    // Names and types of the result's columns as the driver describes them, as text that is compared; empty where it
    // doesn't.
    std::string shape();

    // How many rows a block has with buffers as wide as these.
    static std::size_t block_rows(const FetchState& state);

    // Fetches the next block; false behind the last one.
    bool next();

    // Rows of this block that were fetched whole, and all of them. If they differ, buffers have been widened for the
    // next execution.
    std::size_t intact_rows() const { return intact_rows_; }
    std::size_t rows() const { return fetched_; }

    Cell cell(std::size_t row, std::size_t column) const;

  private:
    void bind();
    void find_long_values();
    void fetch_row_by_row();

    Connection& connection_;
    const std::vector<SourceColumn>& columns_;
    FetchState& state_;
    Statement statement_;
    std::size_t block_rows_ = 1;
    bool row_by_row_ = false;          // as the state was when the statement was sent
    std::vector<std::size_t> widths_;  // likewise
    SQLULEN fetched_ = 0;
    std::size_t intact_rows_ = 0;
    std::vector<SQLUSMALLINT> row_status_;
    std::unique_ptr<char[]> buffer_;
    std::vector<char*> column_buffers_;
    std::vector<std::vector<SQLLEN>> indicators_;
    std::vector<std::string> values_;  // row by row: the current row
    std::vector<Cell> cells_;
};

// Appends the cell as one field, or returns why it can't be one.
Fault encode_cell(FrameWriter& out, const SourceColumn& column, const Cell& cell, const EncodeOptions& options,
                  std::size_t max_bytes);

// The cell as a literal: the text that, as a parameter, compares equal to it. Empty for NULL.
std::string literal_of(const SourceColumn& column, const Cell& cell);

}  // namespace insync::odbc
