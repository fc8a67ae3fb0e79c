// Table insync.origin; see key_origins.hpp.
#include "bgworker/target/key_origins.hpp"

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/stream.hpp"

namespace insync {

OriginMap load_origins(int stream_id, const std::vector<KeyOrigin>& rows) {
    std::vector<std::string> hashes;
    for (const auto& item : rows) hashes.push_back(std::to_string(item.key_hash));
    ExtensionIdentity identity;
    OriginMap origins;
    for (const auto& row : pg::query("SELECT o.key_hash, o.source_key FROM insync.origin AS o WHERE o.stream_id = "
                                     "$1::integer AND o.key_hash = ANY ($2::bigint[])",
                                     {std::to_string(stream_id), to_array(hashes)})
                               .rows)
        origins[std::stoll(*row[0])] = *row[1];
    return origins;
}

void save_origins(int stream_id, const std::vector<KeyOrigin>& origins) {
    if (origins.empty()) return;
    std::vector<std::string> hashes, keys;
    for (const auto& item : origins) {
        hashes.push_back(std::to_string(item.key_hash));
        keys.push_back(item.source_key);
    }
    ExtensionIdentity identity;
    pg::query(
        "INSERT INTO insync.origin AS o (stream_id, key_hash, source_key) SELECT $1::integer, n.hash, n.key FROM "
        "unnest($2::bigint[], $3::text[]) AS n (hash, key) ON CONFLICT (stream_id, key_hash) DO UPDATE SET source_key "
        "= excluded.source_key",
        {std::to_string(stream_id), to_array(hashes), to_array(keys)});
}

void forget_origins(int stream_id) {
    ExtensionIdentity identity;
    pg::query("DELETE FROM insync.origin AS o WHERE o.stream_id = $1::integer", {std::to_string(stream_id)});
}

}  // namespace insync
