// Sources without a key, whose rows are told apart by all that they hold; see applier.hpp.
#include "bgworker/apply/applier.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/pg/owner_scope.hpp"

namespace insync {

namespace {

bool is_made_of(const std::string& text, const char* characters) {
    return !text.empty() && text.find_first_not_of(characters) == std::string::npos;
}

}  // namespace

// A row that has changed goes and comes back: what came since a run succeeded takes the place of what goes.
std::int64_t Applier::replacing_rows() const {
    if (!stream_.compares_whole_rows()) return 0;
    // A marked row that lives again is updated.
    const bool soft = shape_.deletes == DeleteMode::soft;
    Bookkeeping bookkeeping;
    const auto failed = pg::query(
        std::string("SELECT coalesce(sum(r.inserted") + (soft ? " + r.updated" : "") +
            "), 0)::bigint FROM insync.run AS r WHERE r.stream_id = $1::integer AND r.status IN ('failed', 'cancelled')"
            " AND r.id > coalesce((SELECT max(o.id) FROM insync.run AS o WHERE o.stream_id = $1::integer AND o.status "
            "= "
            "'succeeded'), 0)",
        {std::to_string(stream_.id)});
    return total_.inserted + (soft ? total_.updated : 0) + std::stoll(*failed.first()[0]);
}

// Their rows may be in the target, by sync_replay(), and are not gone.
void Applier::keep_unreadable(const std::vector<SourceReject>& rejects) {
    if (!seen_ || !stream_.compares_whole_rows()) return;
    auto member = [](const nlohmann::json& key, const std::string& name, const char* characters) {
        const auto found = key.find(name);
        const std::string text = found != key.end() && found->is_string() ? found->get<std::string>() : "";
        if (!is_made_of(text, characters)) throw ProtocolError("a rejected row without its fingerprint");
        return text;
    };
    for (const auto& reject : rejects) {
        const std::string hash = member(reject.key, stream_.source_key[0], "0123456789abcdef-");
        const std::string copy = member(reject.key, stream_.source_key[1], "0123456789");
        unreadable_hashes_ += (unreadable_hashes_.empty() ? "" : ",") + hash;
        unreadable_copies_ += (unreadable_copies_.empty() ? "" : ",") + copy;
    }
}

// As a condition over t; empty: there are none.
std::string Applier::not_unreadable() const {
    if (unreadable_hashes_.empty()) return "";
    return "NOT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest('{" + unreadable_hashes_ +
           "}'::pg_catalog.uuid[]), pg_catalog.unnest('{" + unreadable_copies_ +
           "}'::pg_catalog.int4[])) AS u (hash, copy) WHERE u.hash OPERATOR(pg_catalog.=) t." +
           pg::quote_identifier(stream_.source_key[0]) + " AND u.copy OPERATOR(pg_catalog.=) t." +
           pg::quote_identifier(stream_.source_key[1]) + ")";
}

}  // namespace insync
