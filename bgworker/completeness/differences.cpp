// Writes insync.difference; see differences.hpp.
#include "bgworker/completeness/differences.hpp"

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/ledger/slices.hpp"

namespace insync {

void Differences::replace(int stream_id, std::int64_t run_id, const SliceWindow& window, const nlohmann::json& keys) {
    Bookkeeping bookkeeping;
    const std::string id = std::to_string(stream_id);
    pg::query(
        "DELETE FROM insync.difference AS x WHERE x.stream_id = $1::integer AND" + within_window("x.bucket", window),
        {id});
    pg::query("INSERT INTO insync.difference (stream_id, run_id, bucket, kind, key) SELECT $1::integer, $2::bigint, " +
                  bucket_of_number("k.b") +
                  ", k.k, k.v FROM jsonb_to_recordset($3::jsonb) AS k (b bigint, k text, v jsonb)",
              {id, std::to_string(run_id), keys.dump()});
}

void Differences::forget(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("DELETE FROM insync.difference AS x WHERE x.stream_id = $1::integer", {std::to_string(stream_id)});
}

}  // namespace insync
