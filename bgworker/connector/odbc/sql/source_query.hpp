// A query that a user wrote as a source, made fit to stand in a statement of ours. Text only, no driver.
//
// It becomes "(SELECT …) s" behind FROM. It must not end there and go on as something else, whoever wrote it: it is
// read to its end by the engine's own rules (sql_tokens.hpp), and has to be one SELECT without anything behind it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bgworker/connector/odbc/sql/dialect.hpp"

namespace insync::odbc {

// SQL cut at each :watermark.
class MarkedText {
  public:
    void append(std::string_view sql) { pieces_.back() += sql; }
    void append_marker() { pieces_.emplace_back(); }
    std::size_t markers() const { return pieces_.size() - 1; }
    bool empty() const { return pieces_.size() == 1 && pieces_[0].empty(); }
    // With `replacement` in the place of each marker.
    std::string with(std::string_view replacement) const;

  private:
    std::vector<std::string> pieces_{""};
};

struct SourceQuery {
    MarkedText with;     // SQL Server: "WITH a AS (...)", which it doesn't take in parentheses
    MarkedText select;   // what stands in parentheses behind FROM
    MarkedText options;  // SQL Server: "OPTION (...)", with which a statement ends

    std::size_t markers() const { return with.markers() + select.markers() + options.markers(); }
};

// Raises Failure (config) for what isn't one SELECT, with or without a WITH list in front, or can't be read to its end.
SourceQuery parse_source_query(Dialect dialect, const std::string& source);

// Raises Failure (config) that says what to do instead where the first word of `source` begins another statement, such
// as a call of a procedure.
void refuse_other_statements(const std::string& source);

}  // namespace insync::odbc
