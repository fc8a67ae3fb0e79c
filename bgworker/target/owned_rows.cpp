// Tells a stream's rows from others'; see owned_rows.hpp.
#include "bgworker/target/owned_rows.hpp"

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/options/expression_words.hpp"

namespace insync {

std::string stream_scope(const ApplyShape& shape, const std::vector<SourceColumn>& columns) {
    std::string scope;
    for (const auto& column : shape.columns) {
        if (!column.key || !is_constant(column.expression, columns)) continue;
        scope +=
            (scope.empty() ? "" : " AND ") + ("t." + column.name) + " = (" + column.expression + "\n)::" + column.type;
    }
    return scope;
}

bool target_is_shared(const Stream& stream) {
    Bookkeeping bookkeeping;
    return !pg::query(
                "SELECT FROM insync.stream AS s WHERE s.target_schema = $1 AND s.target_table = $2 AND s.id <> "
                "$3::integer",
                {stream.target_schema, stream.target_table, std::to_string(stream.id)})
                .empty();
}

}  // namespace insync
