// What is known of one table or query of the source: columns, keys, and how it is written behind FROM.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/connector/odbc/sql/source_query.hpp"
#include "bgworker/connector/odbc/sql/types.hpp"

namespace insync::odbc {

struct Relation {
    bool is_query = false;
    bool is_view = false;
    std::string from;                // of a table: its quoted name
    std::vector<std::string> parts;  // of a table: its name
    SourceQuery query;
    std::string text;         // the source as the user wrote it
    bool has_marker = false;  // a query with :watermark
    std::vector<SourceColumn> columns;
    std::vector<std::string> primary_key;
    std::vector<std::vector<std::string>> unique_keys;
    // Of the columns of each unique key, those of its index (SQLite).
    std::map<std::vector<std::string>, std::vector<std::string>> collations;
    std::optional<std::int64_t> estimated_rows;
};

// The name as a user would write it as a source: parts joined by dots, quoted where they have to be.
std::string source_text(const std::vector<std::string>& parts);

// The index of the column called `name`: exactly, or else the only one that differs in case alone. Raises Failure
// (config) where there is none, with the nearest name as a hint. `role` says what the column was meant for.
std::size_t find_column(const std::vector<SourceColumn>& columns, const std::string& name, const std::string& role);

// Whether a table's own keys say that no two rows have the same in these columns.
bool is_unique_key(const Relation& relation, const std::vector<std::string>& columns);

}  // namespace insync::odbc
