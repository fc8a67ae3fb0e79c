// Streams that were made while their source was away; see define_stream.hpp.
#include "bgworker/apply/applier.hpp"
#include "bgworker/apply/key_only_rows.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/job.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/definition/define_stream.hpp"
#include "bgworker/ledger/ledger.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/shmem/wake_at_commit.hpp"

namespace insync {

bool is_described(const Stream& stream) {
    return !stream.source_columns.empty();
}

void require_described(const Stream& stream) {
    if (is_described(stream)) return;
    throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "the source of stream \"" + stream.name + "\" has never been reached", "",
                    "Run the stream first: SELECT sync_trigger(" + pg::quote_literal(stream.name) + ").");
}

void describe_now(Stream& stream, ConnectorProcess& connector, Transactions& transactions) {
    const Kind kind = transactions.run([&] { return kind_of_server(stream.server).value_or(Kind::odbc); });
    const SourceDescription description = describe_source(connector, kind, stream);
    transactions.run([&] {
        stream.source_columns = description.columns;
        stream.watermark_kind = description.watermark_kind;
        std::optional<Target> target;
        {
            const pg::OwnerScope scope(stream.owner_oid);
            target = describe_target(stream.target_schema, stream.target_table);
        }
        if (!target) throw pg::Error(ERRCODE_UNDEFINED_TABLE, "target \"" + stream.target_table + "\" does not exist");
        complete_stream(stream, description, target);
        if (stream.watermark == std::vector<std::string>{description.rowversion}) stream.watermark_kind = "rowversion";
        note_filled_columns(stream, check_expressions(stream), target, {});
        Streams::save_description(stream);
        const bool uncounted = ensure_ledger(stream);
        Applier(stream, stream.source_columns, false).check();
        check_key_rows(stream);
        if (uncounted) queue_profile(stream);
    });
}

}  // namespace insync
