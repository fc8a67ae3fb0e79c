// Asks for the owner's rights; see target_rights.hpp.
#include "bgworker/target/target_rights.hpp"

#include "bgworker/catalog/catalog_scope.hpp"

namespace insync {

namespace {

// The rights to the table that the owner lacks, as "INSERT, UPDATE"; with `entirely`, to all of its columns.
std::string lacking_rights(const Stream& stream, bool entirely) {
    if (!OidIsValid(stream.owner_oid)) return "";
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "SELECT string_agg(r.name, ', ' ORDER BY r.place) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = "
        "c.relnamespace,"
        " unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS r (name, place)"
        " WHERE n.nspname = $1 AND c.relname = $2 AND (r.name <> 'DELETE' OR $4::boolean)"
        " AND NOT CASE WHEN $5::boolean AND r.name <> 'DELETE' THEN has_any_column_privilege($3::oid, c.oid, r.name)"
        " ELSE has_table_privilege($3::oid, c.oid, r.name) END",
        {stream.target_schema, stream.target_table, std::to_string(stream.owner_oid),
         stream.options.deletes == DeleteMode::hard ? "true" : "false", entirely ? "true" : "false"});
    return rows.empty() ? "" : rows.first()[0].value_or("");
}

void explain(pg::Error& error, const Stream& stream, const std::string& rights) {
    const std::string table =
        pg::quote_identifier(stream.target_schema) + "." + pg::quote_identifier(stream.target_table);
    error.detail = "Role \"" + stream.owner + "\" lacks " + rights + " on " + table + ".";
    error.hint = "GRANT " + rights + " ON " + table + " TO " + pg::quote_identifier(stream.owner) + ";";
}

}  // namespace

void name_lacking_rights(pg::Error& error, const Stream& stream) {
    if (error.sqlstate != ERRCODE_INSUFFICIENT_PRIVILEGE || !error.detail.empty() || !error.hint.empty()) return;
    // Others are about schemas, functions, or rows that a policy refuses.
    if (error.message != "permission denied for table " + stream.target_table) return;
    if (const std::string rights = lacking_rights(stream, false); !rights.empty()) explain(error, stream, rights);
}

void require_target_rights(const Stream& stream) {
    const std::string rights = lacking_rights(stream, true);
    if (rights.empty()) return;
    pg::Error error(ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied for table " + stream.target_table);
    explain(error, stream, rights);
    throw error;
}

}  // namespace insync
