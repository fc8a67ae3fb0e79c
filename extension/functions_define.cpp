// Making streams: sync_create, sync_create_all.
#include "extension/create_stream.hpp"

extern "C" {
#include "fmgr.h"
}

#include <map>
#include <set>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/stream_checks.hpp"
#include "bgworker/definition/define_stream.hpp"
#include "bgworker/options/source_name.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/shmem/wake_at_commit.hpp"
#include "bgworker/source/session.hpp"
#include "extension/notices.hpp"

using namespace insync;

namespace {

pg::Value text_or_null(const std::vector<std::string>& items) {
    return items.empty() ? pg::Value() : pg::Value(join(items));
}

std::string target_of(const Stream& stream) {
    return pg::quote_identifier(stream.target_schema) + "." + pg::quote_identifier(stream.target_table);
}

// The streams of a server, by their sources.
std::map<std::string, std::string> streams_of(const std::string& server) {
    Bookkeeping bookkeeping;
    std::map<std::string, std::string> names;
    for (const auto& row :
         pg::query("SELECT s.source, s.name FROM insync.stream AS s WHERE s.server = $1", {server}).rows)
        names[*row[0]] = *row[1];
    return names;
}

// The last part of each source's name; with the parts before it where several have that one.
std::map<std::string, std::string> names_of(const std::vector<std::string>& sources, Kind kind) {
    std::map<std::string, std::vector<std::string>> parts;
    std::map<std::string, int> uses;
    for (const auto& source : sources) {
        const auto parsed = kind == Kind::odbc ? parse_source_name(source) : std::nullopt;
        parts[source] = parsed ? *parsed : std::vector<std::string>{source};
        uses[fold_name(parts[source].back())]++;
    }
    std::map<std::string, std::string> names;
    for (const auto& [source, path] : parts) {
        std::string name = path.back();
        if (uses[fold_name(name)] > 1) {
            name.clear();
            for (const auto& part : path) name += (name.empty() ? "" : "_") + part;
        }
        names[source] = fold_name(name);
    }
    return names;
}

std::string message_of(const pg::Error& error) {
    return error.message + (error.detail.empty() ? "" : ": " + error.detail) +
           (error.hint.empty() ? "" : " (" + error.hint + ")");
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(sync_create);
INSYNC_SQL_FUNCTION(sync_create_all);

Datum sync_create(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_create()");
        Stream stream;
        stream.name = required_text(fcinfo, 0, "name");
        stream.server = required_text(fcinfo, 1, "server");
        stream.source = required_text(fcinfo, 2, "source");
        std::string target_name = text_argument(fcinfo, 3).value_or("");
        if (auto key = text_argument(fcinfo, 4)) stream.key = parse_name_list(*key);
        if (auto watermark = text_argument(fcinfo, 5)) stream.watermark = parse_name_list(*watermark);
        stream.schedule = text_argument(fcinfo, 6);
        stream.options = StreamOptions(json_argument(fcinfo, 7));
        const Server server = load_server(stream.server, GetUserId());
        const bool made = create_stream(stream, server, target_name, !target_name.empty());
        tell_how_it_runs(stream);
        return record_result(
            fcinfo, {stream.name, target_of(stream), join(stream.key), text_or_null(stream.watermark), stream.mode,
                     std::to_string(stream.source_columns.size()), made ? "true" : "false"});
    });
}

Datum sync_create_all(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_create_all()");
        ResultSet result(fcinfo);
        const Server server = load_server(required_text(fcinfo, 0, "server"), GetUserId());
        const std::string pattern = text_argument(fcinfo, 1).value_or("%");
        const pg::Value schema = text_argument(fcinfo, 2);
        const StreamOptions options(json_argument(fcinfo, 3));
        const pg::Value schedule = text_argument(fcinfo, 4);
        check_stream_options(options.map(), server.kind);
        SourceSession session;
        std::vector<std::string> sources;
        for (const auto& item : session.open(server).call(DiscoverRequest{pattern})) {
            if (item.contains("source")) sources.push_back(item["source"].get<std::string>());
        }
        if (sources.empty())
            notice("no source of server \"" + server.name + "\" matches " + quote_for_message(pattern),
                   "SELECT source FROM sync_discover(" + pg::quote_literal(server.name) + ") lists them.");
        const auto names = names_of(sources, server.kind);
        const auto before = streams_of(server.name);
        for (const auto& source : sources) {
            if (const auto found = before.find(source); found != before.end()) {
                result.add(
                    {source, found->second, std::nullopt, std::nullopt, std::nullopt, "false", "has a stream already"});
                continue;
            }
            Stream stream;
            stream.name = names.at(source);
            stream.server = server.name;
            stream.source = source;
            stream.schedule = schedule;
            stream.options = options;
            const std::string target =
                (schema ? pg::quote_identifier(*schema) + "." : "") + pg::quote_identifier(stream.name);
            ConnectorProcess& connector = session.open(server);
            NoticeList told;
            pg::Subtransaction subtransaction;
            try {
                create_stream(stream, server, target, false, &connector);
                subtransaction.commit();
                result.add(
                    {source, stream.name, target_of(stream), join(stream.key), stream.mode, "true", told.text()});
            } catch (const pg::Error& error) {
                if (error.is_interrupt()) throw;
                subtransaction.rollback();
                result.add(
                    {source, std::nullopt, std::nullopt, std::nullopt, std::nullopt, "false", message_of(error)});
            }
        }
        if (!schedule && !sources.empty())
            notice("streams without a schedule run only when asked",
                   "SELECT sync_trigger('%') runs all of them; sync_create_all(..., schedule => '10 minutes') gives "
                   "them one.");
        tell_missing_workers();
        return Datum(0);
    });
}
}
