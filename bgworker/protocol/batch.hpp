// A batch as bytes: the rows between two positions of a stream, as the connector sent them.
//
// The connector is not trusted: every count and length is checked here before anything relies on it, so that what comes
// after can index without checking. Pure code, without PostgreSQL; batch_relation makes a relation of it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "bgworker/protocol/frame.hpp"
#include "bgworker/protocol/wire_type.hpp"

namespace insync {

// One column as the connector announces it.
struct SourceColumn {
    std::string name;   // as the source spells it
    std::string field;  // its name in the relation `batch`: folded to lower case as SQL folds names, unique
    Transport transport = Transport::text;
    std::string pg_type;      // the type for a new target column
    std::string source_type;  // the source's own name of its type
    bool nullable = true;
    // What the stream knows of the target's column of that name, kept with the stream: does this column fill it (a
    // user's own column may have the name), and did the stream make it?
    bool mapped = true, made = false;
};

// What the rows behind a columns frame are.
enum class RowKind {
    full,         // as the source has them
    deleted_key,  // the keys of rows that were deleted at the source
    live_key,     // the keys of all rows that exist at the source
};
// By the word that the frame has for it. Throws ProtocolError for one that there isn't.
RowKind row_kind_of(const nlohmann::json& columns_frame);

// Parses the payload of a columns frame, or the "columns" of a description. Throws ProtocolError.
std::vector<SourceColumn> parse_columns(const nlohmann::json& description);
// The column of that name in the relation `batch`; nullptr if there is none.
const SourceColumn* find_field(const std::vector<SourceColumn>& columns, const std::string& field);
// The inverse of parse_columns, as stored with a stream.
nlohmann::json to_json(const std::vector<SourceColumn>& columns);

// The longest name that PostgreSQL keeps, in bytes (NAMEDATALEN - 1).
inline constexpr std::size_t max_name = 63;

// SQL's folding of an unquoted name, cut to `limit` bytes at a character's border; xmin and the like become xmin_.
std::string fold_name(std::string_view name, std::size_t limit = max_name);

// One field of a row, inside the batch's bytes.
struct Field {
    const char* data;
    std::int32_t length;  // -1: NULL
};

// A row that the connector could not represent: what its reject frame says. Or one that is known by its key alone and
// that the target refuses to delete.
struct SourceReject {
    nlohmann::json key, record;
    std::string sqlstate, message, column, watermark;
    std::string constraint;                             // that refused it
    std::string error_type = "source", operation = "";  // empty: that of its batch
};

// Rows, rejects and the position that holds after them.
class Batch {
  public:
    // Takes the payload of a rows frame: whole rows of `columns` fields, each NULL or of its column's form (fixed
    // lengths, a numeric's count of digits, a jsonb's version). Throws ProtocolError, and is then as it was.
    void append_rows(std::string_view payload, const std::vector<SourceColumn>& columns);
    void append_reject(const nlohmann::json& reject);
    // Takes the payload of a position frame, which ends the batch. Throws ProtocolError where its count is wrong.
    void set_position(const nlohmann::json& payload);
    void clear();

    std::size_t rows() const { return offsets_.size(); }
    std::size_t bytes() const { return data_.size(); }
    // True where the rows ascend strictly by these columns, the first one first, so that no two of them are the same
    // in all; none may be NULL. False for columns whose bytes say little about which value is smaller.
    bool ascends(const std::vector<std::size_t>& by, const std::vector<SourceColumn>& columns) const;
    // What ascends() compares of a row, of a batch that ascends by these columns: the next batch goes on from there if
    // its first row has more.
    std::vector<std::string> order_of(std::size_t row, const std::vector<std::size_t>& by,
                                      const std::vector<SourceColumn>& columns) const;
    // The fields of row `row` into `fields`, which has room for all columns.
    void read_row(std::size_t row, Field* fields) const;

    std::vector<SourceReject> rejects;
    nlohmann::json position;  // null: it stays where it was
    std::string watermark;    // as people read it; empty: none

  private:
    std::string data_;
    std::vector<std::size_t> offsets_;
};

}  // namespace insync
