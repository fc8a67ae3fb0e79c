// Reads servers and user mappings; see server.hpp.
#include "bgworker/catalog/server.hpp"

extern "C" {
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "foreign/foreign.h"
#include "utils/acl.h"
#include "utils/syscache.h"
}

#include <algorithm>
#include <limits>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/options/connection_string.hpp"
#include "bgworker/options/near_miss.hpp"
#include "bgworker/pg/compat.hpp"
#include "bgworker/pg/settings.hpp"
#include "bgworker/pg/spi.hpp"

namespace insync {

namespace {

std::optional<Kind> kind_of_wrapper(const std::string& wrapper) {
    if (wrapper == "insync_odbc") return Kind::odbc;
    if (wrapper == "insync_rest") return Kind::rest;
    return std::nullopt;
}

std::string wrapper_of(Oid wrapper) {
    return pg::call([&] { return GetForeignDataWrapper(wrapper)->fdwname; });
}

// The connector's own limits fire first; this is for one that hangs inside its driver.
constexpr std::chrono::seconds shortest_margin{2}, longest_margin{20};

OptionMap to_map(List* options) {
    OptionMap map;
    if (options == nullptr) return map;
    for (int i = 0; i < options->length; i++) {
        auto* element = static_cast<DefElem*>(list_nth(options, i));
        map[element->defname] = pg::call([&] { return defGetString(element); });
    }
    return map;
}

std::uint64_t hash_of(const OptionMap& options) {
    std::string text;
    for (const auto& [name, value] : options) text += name + '=' + value + '\n';
    return std::hash<std::string>()(text);
}

std::chrono::milliseconds connect_timeout(const Server& server) {
    return server.options.connect_timeout.value.value_or(settings::connect_timeout());
}

// How long one statement, or one exchange of a REST source, may take.
std::chrono::milliseconds request_timeout(const Server& server) {
    if (server.kind == Kind::rest) return server.options.timeout;
    return server.options.query_timeout.value.value_or(settings::query_timeout());
}

struct Mapping {
    bool found;
    List* options;
};

// The mapping of `role`, or PUBLIC's; there may be neither (a SQLite file needs none). It can raise an error, and what
// it returns is to be released.
HeapTuple find_mapping(Oid role, Oid server) {
    HeapTuple tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(role), ObjectIdGetDatum(server));
    if (HeapTupleIsValid(tuple)) return tuple;
    return SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid), ObjectIdGetDatum(server));
}

Mapping mapping_options(Oid role, Oid server) {
    return pg::call([&]() -> Mapping {
        HeapTuple tuple = find_mapping(role, server);
        if (!HeapTupleIsValid(tuple)) return {false, nullptr};
        bool is_null = false;
        Datum datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &is_null);
        List* options = is_null ? nullptr : untransformRelOptions(datum);
        ReleaseSysCache(tuple);
        return {true, options};
    });
}

[[noreturn]] void unknown_server(const std::string& name) {
    pg::Rows rows;
    {
        Bookkeeping bookkeeping;
        rows = pg::query(
            "SELECT s.srvname FROM pg_catalog.pg_foreign_server AS s JOIN pg_catalog.pg_foreign_data_wrapper AS w"
            " ON w.oid = s.srvfdw WHERE w.fdwname LIKE 'insync\\_%' ORDER BY 1");
    }
    std::vector<std::string> names;
    for (auto& row : rows.rows) names.push_back(*row[0]);
    std::string near = closest(name, std::vector<std::string_view>(names.begin(), names.end()));
    throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "server \"" + name + "\" does not exist", "",
                    !near.empty() ? "Perhaps you meant the server \"" + near + "\"."
                                  : "Create it: CREATE SERVER ... FOREIGN DATA WRAPPER insync_odbc (or insync_rest) "
                                    "OPTIONS (...); see SELECT * FROM sync_options().");
}

void check_driver(const Server& server) {
    std::string driver = server.options.driver.text;
    if (server.options.connection_string.is_given) {
        auto keywords = parse_connection_string(server.options.connection_string.text);
        if (keywords) {
            for (const auto& [name, value] : *keywords) {
                if (to_lower(name) == "driver") driver = value;
            }
        }
    }
    if (driver.empty() || settings::driver_allowed(driver)) return;
    throw driver_not_allowed(driver);
}

}  // namespace

pg::Error driver_not_allowed(const std::string& driver) {
    const std::vector<std::string> allowed = settings::allowed_drivers();
    const std::string near = closest(driver, allowed);
    pg::Error error(ERRCODE_INSUFFICIENT_PRIVILEGE, "ODBC driver \"" + driver + "\" is not allowed",
                    "The allowed drivers are: " + settings::odbc_drivers() + ".",
                    near.empty() ? "A superuser can add it to the setting insync.odbc_drivers."
                                 : "Perhaps you meant the driver \"" + near + "\".");
    error.error_class = pg::ErrorClass::config;
    return error;
}

Server load_server(const std::string& name, Oid role) {
    const char* text = name.c_str();
    ForeignServer* found = pg::call([&] { return GetForeignServerByName(text, true); });
    if (found == nullptr) unknown_server(name);
    Server server;
    server.oid = found->serverid;
    server.name = found->servername;
    std::string wrapper = wrapper_of(found->fdwid);
    auto kind = kind_of_wrapper(wrapper);
    if (!kind) {
        throw pg::Error(ERRCODE_WRONG_OBJECT_TYPE,
                        "server \"" + name + "\" belongs to foreign-data wrapper \"" + wrapper + "\", not to pg_insync",
                        "", "CREATE SERVER ... FOREIGN DATA WRAPPER insync_odbc (or insync_rest) OPTIONS (...);");
    }
    server.kind = *kind;
    if (!pg::call([&] { return compat::has_server_usage(found->serverid, role); })) {
        char* role_name = pg::call([&] { return GetUserNameFromId(role, true); });
        pg::Error error(ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied for foreign server " + name, "",
                        "GRANT USAGE ON FOREIGN SERVER " + pg::quote_identifier(name) + " TO " +
                            (role_name != nullptr ? pg::quote_identifier(role_name) : "...") + ";");
        error.error_class = pg::ErrorClass::config;
        throw error;
    }
    server.options = ServerOptions(to_map(found->options));
    server.role = role;
    auto mapping = mapping_options(role, server.oid);
    server.has_mapping = mapping.found;
    server.credentials = to_map(mapping.options);
    if (server.kind == Kind::odbc) check_driver(server);
    return server;
}

namespace {

int in_ms(std::chrono::milliseconds duration) {
    return static_cast<int>(std::min<std::int64_t>(duration.count(), std::numeric_limits<int>::max()));
}

}  // namespace

OpenRequest Server::open_request() const {
    OpenRequest open;
    open.kind = kind == Kind::rest ? "rest" : "odbc";
    open.server = options.map();
    open.credentials = credentials;
    open.connect_timeout_ms = in_ms(connect_timeout(*this));
    open.query_timeout_ms = in_ms(request_timeout(*this));
    open.lock_timeout_ms = in_ms(options.lock_timeout);
    open.max_value_bytes = static_cast<std::size_t>(settings::max_value_bytes());
    return open;
}

std::chrono::milliseconds Server::stall() const {
    auto longest = std::max(connect_timeout(*this), request_timeout(*this));
    return longest + std::clamp<std::chrono::milliseconds>(longest / 4, shortest_margin, longest_margin);
}

std::chrono::milliseconds Server::connect_limit() const {
    if (kind == Kind::rest) return stall();
    return connect_timeout(*this) + shortest_margin;
}

std::string Server::place() const {
    std::string where;
    auto add = [&](const Text& option) {
        if (!option.empty()) where += (where.empty() ? "" : ", ") + std::string(option.name) + " " + option.text;
    };
    for (const Text* option : {&options.host, &options.port, &options.dsn, &options.base_url}) add(*option);
    if (where.empty()) add(options.database);
    return "server \"" + name + "\"" + (where.empty() ? "" : " (" + where + ")");
}

std::uint64_t Server::definition() const {
    return hash_of(options);
}

std::uint64_t definition_of_server(Oid server) {
    return hash_of(to_map(pg::call([&] { return GetForeignServer(server)->options; })));
}

std::optional<Kind> kind_of_server(const std::string& name) {
    const char* text = name.c_str();
    ForeignServer* found = pg::call([&] { return GetForeignServerByName(text, true); });
    return found != nullptr ? kind_of_wrapper(wrapper_of(found->fdwid)) : std::nullopt;
}

std::string server_version(const std::string& name, Oid role) {
    struct Version {
        Oid oid;
        TransactionId xmin;  // every change of a row leaves another one
    } server{InvalidOid, InvalidTransactionId}, mapping = server;
    const char* text = name.c_str();
    pg::call([&] {
        server.oid = get_foreign_server_oid(text, true);
        HeapTuple tuple = SearchSysCache1(FOREIGNSERVEROID, ObjectIdGetDatum(server.oid));
        if (!HeapTupleIsValid(tuple)) return;
        server.xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
        ReleaseSysCache(tuple);
        tuple = find_mapping(role, server.oid);
        if (!HeapTupleIsValid(tuple)) return;
        mapping = {reinterpret_cast<Form_pg_user_mapping>(GETSTRUCT(tuple))->oid,
                   HeapTupleHeaderGetRawXmin(tuple->t_data)};
        ReleaseSysCache(tuple);
    });
    if (server.xmin == InvalidTransactionId) return "";
    return std::to_string(server.oid) + "." + std::to_string(server.xmin) + "/" + std::to_string(mapping.oid) + "." +
           std::to_string(mapping.xmin);
}

int connections_of(Oid server) {
    const ServerOptions options(to_map(pg::call([&] { return GetForeignServer(server)->options; })));
    return static_cast<int>(options.connections.value);
}

}  // namespace insync
