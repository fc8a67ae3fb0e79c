// The target table: what it looks like, how it is made, how a stream's columns map to it.
//
// All of it runs as the stream's owner.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/pg/spi.hpp"
#include "bgworker/protocol/batch.hpp"
#include "bgworker/target/statement.hpp"
#include "bgworker/target/target_kind.hpp"

namespace insync {

struct TargetColumn {
    std::string name;
    std::string type;           // as SQL, schema-qualified, with modifier
    std::string base_type;      // the same without domains and modifier: for deciding about zones
    Oid base_oid = InvalidOid;  // of that type
    int number = 0;             // that it keeps when it is renamed
    bool generated = false, identity_always = false, nullable = true;
    std::string length_function, length_type;  // see MappedColumn
    int length_modifier = -1;
    int modifier = -1;  // of the type, domains resolved; of a time the digits of its second's fraction
    std::string equality;
    bool compare_as_text = false;
    std::string collation;  // quoted; where it takes texts of other bytes for equal, else empty
    bool is_hashable = false;
};

struct Target {
    Oid oid = InvalidOid;
    TargetKind kind = TargetKind::table;
    std::string schema, table;
    std::vector<TargetColumn> columns;
    std::vector<std::string> primary_key;
    std::vector<std::vector<std::string>>
        unique_keys;  // of valid, whole, immediate unique indexes, the primary key included

    const TargetColumn* find(const std::string& name) const;
    std::string qualified() const;
};

// Describes a table; nullopt if there is none of that name. Throws for what can't be a target (view, foreign table).
// Needs an Spi in scope.
std::optional<Target> describe_target(const std::string& schema, const std::string& table);

// Creates the table with the given columns and primary key.
struct NewColumn {
    std::string name, type;
};
void create_target(const std::string& schema, const std::string& table, const std::vector<NewColumn>& columns,
                   const std::vector<std::string>& primary_key);
std::string add_column_statement(const Target& target, const NewColumn& column);

// The type of a new target column for a source column: a naive time becomes timestamptz where its zone is known.
std::string new_column_type(const SourceColumn& column, const std::string& source_time_zone);

// What fills a target column from the source column of the same name, SQL over `batch`. Throws where a naive time would
// meet a timestamptz without a zone.
std::string default_expression(const SourceColumn& source, const TargetColumn& target, const std::string& zone,
                               const std::string& table);

// A time without a zone at the source, with one in the target.
bool gains_zone(const SourceColumn& source, const TargetColumn& target);

}  // namespace insync
