// Warns of targets; see target_warnings.hpp.
#include "extension/target_warnings.hpp"

#include "bgworker/pg/spi.hpp"
#include "bgworker/target/target_kind.hpp"

namespace insync {

void warn_of_targets() {
    pg::PinnedSettings settings;
    pg::Spi spi;
    const auto streams = pg::query(
        "SELECT s.name, c.oid, c.relkind, c.oid::pg_catalog.regclass FROM insync.stream AS s JOIN "
        "pg_catalog.pg_namespace "
        "AS n ON n.nspname = s.target_schema JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = "
        "s.target_table ORDER BY s.name");
    for (const auto& row : streams.rows) {
        try {
            (void)require_fillable(static_cast<Oid>(std::stoul(*row[1])), row[2]->front(), *row[3]);
        } catch (const pg::Error& error) {
            if (error.sqlstate != ERRCODE_FEATURE_NOT_SUPPORTED && error.sqlstate != ERRCODE_WRONG_OBJECT_TYPE) throw;
            const std::string text = "stream \"" + *row[0] + "\" will not run: " + error.message;
            const char *message = text.c_str(), *detail = error.detail.c_str(), *hint = error.hint.c_str();
            pg::call([&] {
                ereport(WARNING, (errmsg_internal("%s", message), *detail ? errdetail_internal("%s", detail) : 0,
                                  *hint ? errhint("%s", hint) : 0));
            });
        }
    }
}

}  // namespace insync
