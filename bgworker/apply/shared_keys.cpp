// Rows of the source that become one in the target; see applier.hpp and key_origins.hpp.
#include <algorithm>
#include <set>

#include "bgworker/apply/applier.hpp"
#include "bgworker/pg/owner_scope.hpp"

namespace insync {

std::vector<KeyOrigin> Applier::read_origins() {
    std::vector<KeyOrigin> origins;
    for (const auto& row : plan(origin_rows_, origins_statement(shape_)).fetch().rows) {
        if (!row[1]) continue;  // a key that is NULL is another's matter
        origins.push_back({static_cast<std::size_t>(std::stoull(*row[0])), std::stoll(*row[1]), row[2].value_or(""),
                           row[3].value_or("")});
    }
    std::sort(origins.begin(), origins.end(), [](const auto& a, const auto& b) { return a.row < b.row; });
    return origins;
}

// Those of the rows in `batch` whose key another row of the source has in the target, with what that one's is there.
// The others' origins are in new_origins_, as far as they aren't stored.
std::vector<Applier::Intruder> Applier::find_intruders() {
    new_origins_.clear();
    const auto rows = read_origins();
    OriginMap known = load_origins(stream_.id, rows);
    const bool is_contested = std::any_of(rows.begin(), rows.end(), [&](const KeyOrigin& item) {
        auto found = known.find(item.key_hash);
        return found != known.end() && found->second != item.source_key;
    });
    if (is_contested) {
        // Where the target row is gone, nothing stands in the way of another.
        std::set<std::size_t> held;
        if (!held_rows_) held_rows_ = std::make_unique<pg::Plan>(held_rows_statement(shape_));
        for (const auto& row : held_rows_->fetch().rows) held.insert(static_cast<std::size_t>(std::stoull(*row[0])));
        for (const auto& item : rows) {
            if (!held.contains(item.row)) known.erase(item.key_hash);
        }
    }
    std::vector<Intruder> intruders;
    for (const auto& item : rows) {
        auto [owner, is_new] = known.emplace(item.key_hash, item.source_key);
        if (is_new) new_origins_.push_back(item);
        if (owner->second != item.source_key) intruders.push_back({item.row, item.key, owner->second});
    }
    return intruders;
}

pg::Error Applier::explain(const Intruder& intruder) const {
    return {ERRCODE_UNIQUE_VIOLATION, "key " + intruder.key + " of target " + shape_.target +
                                          " belongs to another row of the source, whose key there is " +
                                          intruder.owner};
}

}  // namespace insync
