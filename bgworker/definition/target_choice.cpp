// Refuses and warns of targets that aren't a stream's alone; see target_choice.hpp.
#include "bgworker/definition/target_choice.hpp"

extern "C" {
#include "storage/lmgr.h"
}

#include <map>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/options/expression_words.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/pg/owner_scope.hpp"

namespace insync {

namespace {

// The key columns that hold the same value in all rows of a stream, with the SQL of that value.
std::map<std::string, std::string> key_constants(const Stream& stream) {
    std::map<std::string, std::string> constants;
    const nlohmann::json& named = stream.options.columns.value;
    for (const auto& name : stream.key) {
        auto found = named.find(name);
        if (found == named.end()) continue;
        const std::string expression = found->get<std::string>();
        if (is_constant(expression, stream.source_columns)) constants[name] = std::string(trim(expression));
    }
    return constants;
}

bool are_apart(const Stream& one, const Stream& other) {
    const auto others = key_constants(other);
    for (const auto& [name, expression] : key_constants(one)) {
        auto found = others.find(name);
        if (found != others.end() && found->second != expression) return true;
    }
    return false;
}

// How to name the streams that fill the same table and whose rows nothing tells apart from this one's; empty: none do.
// The names of streams of other roles aren't told.
std::string overlapping_streams(const Stream& stream) {
    pg::Rows rows;
    {
        Bookkeeping bookkeeping;
        rows = pg::query(
            "SELECT s.id FROM insync.stream AS s WHERE s.target_schema = $1 AND s.target_table = $2 AND s.name <> $3"
            " ORDER BY s.name",
            {stream.target_schema, stream.target_table, stream.name});
    }
    std::string names, hidden;
    for (const auto& row : rows.rows) {
        auto other = load_stream(std::stoi(*row[0]));
        if (!other || are_apart(stream, *other)) continue;
        if (is_owner(*other)) {
            names += (names.empty() ? "stream \"" : ", stream \"") + other->name + "\"";
        } else {
            hidden = "a stream of another role";
        }
    }
    return names + (names.empty() || hidden.empty() ? "" : ", ") + hidden;
}

bool has_rows(const Stream& stream, const Target& target) {
    const pg::OwnerScope scope(stream.owner_oid);
    return *pg::query("SELECT EXISTS (SELECT FROM " + target.qualified() + ")").first()[0] == "t";
}

// A statement's argument: the target's name, and what tells the rows of this stream from others'.
std::string how_to_share(const Stream& stream, const Target& target) {
    std::string key;
    for (const auto& name : stream.key) key += "," + name;
    return "target => " + pg::quote_literal(target.qualified()) + ", key => " + pg::quote_literal("origin" + key) +
           ", options => '{\"columns\": {\"origin\": \"''...''\"}}'";
}

[[noreturn]] void refuse(const std::string& message, const std::string& detail, const std::string& hint) {
    throw pg::Error(ERRCODE_DUPLICATE_TABLE, message, detail, hint);
}

}  // namespace

void lock_target(const Target& target) {
    const Oid oid = target.oid;
    pg::call([&] { LockRelationOid(oid, ShareUpdateExclusiveLock); });
}

void check_default_target(const Stream& stream, const Target& target) {
    const std::string another = "Name another table: target => " + pg::quote_literal(stream.name + "_...") + ".";
    if (std::string others = overlapping_streams(stream); !others.empty()) {
        refuse("default target " + target.qualified() + " is filled by " + others + " already",
               "Both sources may have rows with the same keys, and each stream would overwrite the rows of the other.",
               another +
                   " Or share the table on purpose, with a constant column that distinguishes the rows, in the keys "
                   "of all its streams: " +
                   how_to_share(stream, target) + ".");
    }
    if (!key_constants(stream).empty() || !has_rows(stream, target)) return;
    refuse("default target " + target.qualified() + " exists and has rows",
           "No stream has filled it, so the rows have another origin, and rows with the same key would be overwritten.",
           another + " If the rows are to be kept in sync, name this one: target => " +
               pg::quote_literal(target.qualified()) +
               "; or distinguish them by a constant column in the key: " + how_to_share(stream, target) + ".");
}

void warn_of_shared_rows(const Stream& stream) {
    const std::string others = overlapping_streams(stream);
    if (others.empty()) return;
    const std::string text = "stream \"" + stream.name + "\" fills the same table as " + others +
                             ", and no constant column of their keys distinguishes their rows";
    const char* message = text.c_str();
    pg::call([&] {
        ereport(WARNING, (errmsg_internal("%s", message),
                          errhint("If their keys can be equal, add a constant column to the key of each stream, "
                                  "such as columns {\"origin\": \"'...'\"} and key 'origin,id'.")));
    });
}

}  // namespace insync
