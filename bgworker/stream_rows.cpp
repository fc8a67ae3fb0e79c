// Tells a stream's rows from others'; see stream_rows.hpp.
#include "bgworker/stream_rows.hpp"

#include "bgworker/bookkeeping.hpp"
#include "bgworker/expression.hpp"

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
