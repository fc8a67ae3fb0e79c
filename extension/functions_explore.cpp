// Looking at sources: sync_test, sync_discover, sync_preview, sync_explain.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
}

#include <cmath>

#include "bgworker/apply/applier.hpp"
#include "bgworker/batch/batch_relation.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/definition/define_stream.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/run/read_request.hpp"
#include "bgworker/source/session.hpp"

using namespace insync;

namespace {

pg::Value text_of(const nlohmann::json& object, const char* name) {
    auto found = object.find(name);
    if (found == object.end() || found->is_null()) return std::nullopt;
    return found->is_string() ? found->get<std::string>() : found->dump();
}

// How long a step took, to a tenth of a millisecond.
pg::Value milliseconds(const nlohmann::json& step) {
    auto found = step.find("ms");
    if (found == step.end() || !found->is_number()) return std::nullopt;
    auto tenths = std::llround(found->get<double>() * 10);
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

std::string join(const nlohmann::json& array) {
    std::string text;
    for (const auto& item : array) text += (text.empty() ? "" : ", ") + item.get<std::string>();
    return text;
}

// What the source would be asked.
void add_statements(ResultSet& result, const nlohmann::json& item) {
    if (!item.contains("statements")) return;
    for (const auto& statement : item["statements"]) {
        std::string text = statement.value("sql", "");
        if (auto parameters = statement.find("parameters"); parameters != statement.end() && !parameters->empty())
            text += "\n-- parameters: " + parameters->dump();
        result.add({"source: " + statement.value("purpose", std::string("read")), text});
    }
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(sync_test);
INSYNC_SQL_FUNCTION(sync_discover);
INSYNC_SQL_FUNCTION(sync_preview);
INSYNC_SQL_FUNCTION(sync_explain);

Datum sync_test(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        ResultSet result(fcinfo);
        Server server = load_server(required_text(fcinfo, 0, "server"), GetUserId());
        std::string last_step;
        try {
            ConnectorProcess connector(server.stall(), server.oid);
            connector.name_source(server.place());
            connector.limit(server.connect_limit());
            connector.request(
                CheckRequest{server.open_request(), PG_NARGS() > 1 ? required_text(fcinfo, 1, "source") : ""});
            for (Frame frame = connector.next_frame(); frame.type != wire::FrameType::done;
                 frame = connector.next_frame()) {
                if (frame.type != wire::FrameType::result) continue;
                const auto step = frame.json();
                if (!step.contains("step")) continue;
                const pg::Value name = text_of(step, "step");
                last_step = name.value_or("");
                if (last_step == "connect") connector.no_limit();
                auto message = text_of(step, "message");
                if (message) message = connector.named(*message);
                result.add({name, text_of(step, "ok"), milliseconds(step), message});
            }
        } catch (const pg::Error& error) {
            // Only what the connector says: an error of this server has broken the transaction.
            if (error.error_class == pg::ErrorClass::database) throw;
            result.add({last_step == "driver" ? "connect" : "connector", "false", std::nullopt,
                        error.message + (error.detail.empty() ? "" : ": " + error.detail)});
        }
        return Datum(0);
    });
}

Datum sync_discover(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        ResultSet result(fcinfo);
        Server server = load_server(required_text(fcinfo, 0, "server"), GetUserId());
        const std::string pattern = fcinfo->args[1].isnull ? "%" : required_text(fcinfo, 1, "pattern");
        SourceSession session;
        for (const auto& item : session.open(server).call(DiscoverRequest{pattern})) {
            if (!item.contains("source")) continue;
            result.add({text_of(item, "source"), text_of(item, "kind"), text_of(item, "columns"),
                        item.contains("key") && !item["key"].empty() ? pg::Value(join(item["key"])) : std::nullopt,
                        text_of(item, "estimated_rows")});
        }
        return Datum(0);
    });
}

Datum sync_preview(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        ResultSet result(fcinfo);
        Server server = load_server(required_text(fcinfo, 0, "server"), GetUserId());
        const int rows_asked = PG_GETARG_INT32(2);
        if (rows_asked < 0) throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "rows must not be negative");
        if (rows_asked == 0) return Datum(0);
        SourceSession session;
        ConnectorProcess& connector = session.open(server);
        connector.request(PreviewRequest{required_text(fcinfo, 1, "source"), static_cast<std::size_t>(rows_asked)});
        std::vector<SourceColumn> columns;
        Batch batch;
        for (Frame frame = connector.next_frame(); frame.type != wire::FrameType::done;
             frame = connector.next_frame()) {
            if (frame.type == wire::FrameType::columns && columns.empty())
                columns = parse_columns(frame.json().at("columns"));
            if (frame.type == wire::FrameType::rows) batch.append_rows(frame.payload, columns);
            if (frame.type == wire::FrameType::reject) batch.append_reject(frame.json());
        }
        if (columns.empty()) return Datum(0);
        std::vector<std::size_t> rows(batch.rows());
        for (std::size_t i = 0; i < rows.size(); i++) rows[i] = i;
        pg::Rows records;
        {
            pg::PinnedSettings settings;
            pg::Spi spi;
            std::vector<DecodeFault> faults;
            BatchRelation relation(batch, columns, BatchRelation::descriptor(columns), rows, &faults);
            // The row's columns in the source's order, which jsonb would not keep.
            records = pg::query(std::string("SELECT to_jsonb(b.*) - '") + row_number_column +
                                "' FROM batch AS b ORDER BY b." + row_number_column);
        }
        for (const auto& record : records.rows) result.add(record);
        for (const auto& reject : batch.rejects) {
            auto record = reject.record;
            record["insync_reject"] = reject.message;
            result.add({record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)});
        }
        return Datum(0);
    });
}

Datum sync_explain(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        ResultSet result(fcinfo);
        Stream stream = load_stream(required_text(fcinfo, 0, "name"));
        require_described(stream);
        require_owner(stream);
        StreamState state = load_state(stream.id);
        Server server = server_of(stream);
        SourceSession session;
        ConnectorProcess& connector = session.open(server);
        auto explain = [&](const std::string& mode, const nlohmann::json& position) {
            return connector.call(ExplainRequest{make_read_request(stream, mode, position)});
        };
        for (const auto& item : explain(stream.mode, state.position)) {
            if (auto bounds = item.find("bounds"); bounds != item.end() && !bounds->empty())
                result.add({"bounds", bounds->dump()});
            if (auto options = item.find("options"); options != item.end() && options->is_array()) {
                for (const auto& option : *options)
                    result.add({"option: " + text_member(option, "name"),
                                text_member(option, "value") + " (from " + text_member(option, "from") + ")"});
            }
            add_statements(result, item);
        }
        if (stream.options.reconcile_by == Reconciled::keys) {
            for (const auto& item : explain("keys", nullptr)) add_statements(result, item);
        }
        Applier applier(stream, stream.source_columns, state.has_errors);
        applier.check();
        result.add({"apply", applier.statement()});
        return Datum(0);
    });
}
}
