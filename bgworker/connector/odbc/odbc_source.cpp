// The verbs for ODBC sources; see odbc_source.hpp.
#include "bgworker/connector/odbc/odbc_source.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bgworker/connector/odbc/connect_string.hpp"
#include "bgworker/connector/odbc/declared_columns.hpp"
#include "bgworker/connector/odbc/marker.hpp"
#include "bgworker/connector/odbc/reader.hpp"
#include "bgworker/connector/odbc/sql/row_hash_text.hpp"
#include "bgworker/connector/odbc/tls.hpp"
#include "bgworker/connector/output/json_of.hpp"
#include "bgworker/connector/values/text_form.hpp"
#include "bgworker/connector/values/watermark_names.hpp"
#include "bgworker/options/near_miss.hpp"
#include "bgworker/options/source_name.hpp"

namespace insync::odbc {

namespace {

// So many watermarks show how a column is written.
constexpr std::size_t values_looked_at = 1000;

// Drivers that odbcinst.ini knows.
std::vector<std::string> registered_drivers() {
    std::vector<std::string> names;
    SQLHENV environment = SQL_NULL_HENV;
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &environment))) return names;
    SQLSetEnvAttr(environment, SQL_ATTR_ODBC_VERSION, reinterpret_cast<SQLPOINTER>(SQL_OV_ODBC3), 0);
    SQLCHAR name[256], attributes[1024];
    SQLSMALLINT name_length = 0, attributes_length = 0;
    SQLUSMALLINT direction = SQL_FETCH_FIRST;
    while (SQL_SUCCEEDED(SQLDrivers(environment, direction, name, sizeof name, &name_length, attributes,
                                    sizeof attributes, &attributes_length))) {
        names.emplace_back(reinterpret_cast<char*>(name));
        direction = SQL_FETCH_NEXT;
    }
    SQLFreeHandle(SQL_HANDLE_ENV, environment);
    return names;
}

void require_driver(const nlohmann::json& server) {
    const std::string driver = option_text(server, "driver");
    if (driver.empty()) return;
    const std::vector<std::string> names = registered_drivers();
    for (const std::string& name : names) {
        if (strcasecmp(name.c_str(), driver.c_str()) == 0) return;
    }
    // unixODBC takes the path of a library too.
    if (driver[0] == '/' && access(driver.c_str(), R_OK) == 0) return;
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    const std::string near = closest(driver, names);
    throw Failure(FailureClass::config, "ODBC driver \"" + driver + "\" is not registered",
                  list.empty() ? "No driver is registered in odbcinst.ini." : "Registered are: " + list + ".",
                  near.empty() ? "Install the driver and register it in odbcinst.ini on the database server."
                               : "Perhaps you meant \"" + near + "\".");
}

// SQLite's driver says "connect failed" whatever the reason, and of WAL files what happened inside it.
void require_sqlite_file(const nlohmann::json& server) {
    const std::string database = option_text(server, "database");
    if (dialect_of_driver(option_text(server, "driver")) != Dialect::sqlite || database.empty()) return;
    if (database[0] != '/') return;
    if (access(database.c_str(), R_OK) != 0) {
        throw Failure(FailureClass::config, "could not open SQLite file \"" + database + "\"",
                      "The file does not exist, or the database server's operating system user may not read it.",
                      "Check the server option database and the file's permissions.");
    }
    const std::string wal = database + "-wal", folder = database.substr(0, database.rfind('/') + 1);
    struct stat status {};
    if (is_immutable(server)) {
        if (stat(wal.c_str(), &status) != 0 || status.st_size == 0) return;
        throw Failure(FailureClass::config, "SQLite file \"" + database + "\" has changes that are not in it yet",
                      "They are in its WAL, which is not read with the server option immutable.",
                      "Run PRAGMA wal_checkpoint(TRUNCATE) there, or unset the server option immutable.");
    }
    char header[20] = "";
    std::ifstream(database, std::ios::binary).read(header, sizeof header);
    const bool has_wal = header[18] == 2 || header[19] == 2;
    const bool is_open = access(wal.c_str(), R_OK) == 0 && access((database + "-shm").c_str(), R_OK) == 0;
    if (!has_wal || is_open || access(folder.c_str(), W_OK) == 0) return;
    throw Failure(FailureClass::config, "could not read SQLite file \"" + database + "\" in WAL mode",
                  "SQLite writes two files beside it, and the database server's operating system user may not write in "
                  "folder \"" +
                      folder + "\".",
                  "Grant that, or, if no program writes to the file, set the server option immutable to true.");
}

// Raises Failure (config) where the session sees no table or view, or can read none; says how many it sees.
std::string require_readable_sources(Connection& connection) {
    constexpr std::size_t most_tries = 25;
    constexpr const char* hint =
        "Check the server option database, and grant SELECT at the source to the user of the user mapping.";
    const std::vector<TableName> tables = list_tables(connection, "%");
    if (tables.empty()) throw Failure(FailureClass::config, "no table or view is visible", "", hint);
    const std::string count = std::to_string(tables.size()) + (tables.size() == 1 ? " source" : " sources");
    std::string last;
    for (std::size_t i = 0; i < std::min(tables.size(), most_tries); i++) {
        try {
            connection.execute("SELECT 1 FROM " + quote_path(connection.dialect(), tables[i].parts) + " s WHERE 1 = 0");
            return count + (tables.size() == 1 ? " is visible" : " are visible");
        } catch (const Failure& error) {
            if (error.disconnected) throw;
            last = error.message;
        }
    }
    throw Failure(FailureClass::config, count + " visible, but none can be read: " + last, "", hint);
}

std::vector<std::string> names_of(const std::vector<SourceColumn>& columns, const std::vector<std::size_t>& indexes) {
    std::vector<std::string> names;
    for (std::size_t i : indexes) names.push_back(columns[i].name);
    return names;
}

nlohmann::json columns_json(const std::vector<SourceColumn>& columns) {
    return to_json(std::vector<Column>(columns.begin(), columns.end()));
}

bool has_time_suffix(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    return name.find("_at") != std::string::npos;
}

// Columns that look as if every change set them, best first.
std::vector<std::string> watermark_candidates(const std::vector<SourceColumn>& columns) {
    std::vector<std::pair<std::size_t, std::string>> ranked;
    for (const SourceColumn& column : columns) {
        const WatermarkKind kind = watermark_kind(column, std::nullopt);
        if (kind == WatermarkKind::rowversion) {
            ranked.emplace_back(0, column.name);
            continue;
        }
        if (kind != WatermarkKind::time && kind != WatermarkKind::text) continue;
        const std::optional<std::size_t> rank = watermark_rank(column.name);
        // A text may hold a time, but a "last name" doesn't.
        const bool is_plain_text = kind == WatermarkKind::text && !has_time_suffix(column.name);
        if (rank && !is_plain_text) ranked.emplace_back(*rank + 1, column.name);
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<std::string> names;
    for (auto& [rank, name] : ranked) names.push_back(std::move(name));
    return names;
}

nlohmann::json number_or_null(const std::optional<std::int64_t>& number) {
    return number ? nlohmann::json(*number) : nlohmann::json();
}

}  // namespace

void OdbcSource::connect(const OpenRequest& request) {
    connection_.reset();
    plans_.clear();
    require_driver(request.server);
    require_sqlite_file(request.server);
    connection_ = std::make_unique<Connection>(request);
}

Connection& OdbcSource::connection() {
    if (!connection_) throw Failure(FailureClass::config, "no connection is open");
    return *connection_;
}

nlohmann::json OdbcSource::open(const OpenRequest& request) {
    connect(request);
    std::optional<std::string> now;
    const Dialect dialect = connection_->dialect();
    if (const auto clock = clock_expression(dialect, true)) {
        now = connection_->query_value(select_expressions(dialect, *clock));
    }
    const std::optional<HashKind> hash = known_hash(connection_->dialect());
    return {{"dbms", connection_->info(SQL_DBMS_NAME)},
            {"dbms_version", connection_->info(SQL_DBMS_VER)},
            {"driver", connection_->info(SQL_DRIVER_NAME)},
            {"driver_version", connection_->info(SQL_DRIVER_VER)},
            {"database", connection_->info(SQL_DATABASE_NAME)},
            {"dialect", name_of(connection_->dialect())},
            {"source_now", json_of(now)},
            {"hash_kind", hash ? nlohmann::json(name_of(*hash)) : nlohmann::json()}};
}

void OdbcSource::check(const CheckRequest& request, FrameWriter& out) {
    const OpenRequest& opened = request.open;
    using Clock = std::chrono::steady_clock;
    Clock::time_point started = Clock::now();
    auto report = [&](const char* step, bool ok, const std::string& message) {
        const double ms = std::chrono::duration<double, std::milli>(Clock::now() - started).count();
        out.send(wire::FrameType::result, {{"step", step}, {"ok", ok}, {"ms", ms}, {"message", message}});
        started = Clock::now();
    };
    auto explain = [](const Failure& error) {
        std::string text = error.message;
        if (!error.hint.empty()) text += " (" + error.hint + ")";
        return text;
    };
    connection_.reset();
    try {
        require_driver(opened.server);
        build_connect_string(opened);
    } catch (const Failure& error) {
        return report("driver", false, explain(error));
    }
    const std::string driver = option_text(opened.server, "driver");
    report("driver", true, driver.empty() ? "driver is named by the data source" : driver);
    try {
        connect(opened);
    } catch (const Failure& error) {
        // A refused login proves that the server was reached.
        if (error.kind != FailureClass::auth) return report("connect", false, explain(error));
        report("connect", true, "server was reached");
        return report("login", false, explain(error));
    }
    report("connect", true, connection_->info(SQL_DBMS_NAME) + " " + connection_->info(SQL_DBMS_VER));
    if (connection_->dialect() != Dialect::sqlite)
        report("tls", true, tls_words(tls_of(opened.server), connection_->cipher()));
    report("login", true, opened.user().empty() ? "no user given" : "logged in as " + opened.user());
    const char* step = "read";
    try {
        if (request.source.empty()) {
            report(step, true, require_readable_sources(*connection_));
        } else {
            preview(request.source, 1, out);
            report(step, true, request.source + " can be read");
        }
        step = "clock";
        const Dialect dialect = connection_->dialect();
        const auto clock = clock_expression(dialect, true);
        const auto now = clock ? connection_->query_value(select_expressions(dialect, *clock)) : std::nullopt;
        report(step, true, now ? "source time is " + *now : "source has no clock that is known");
    } catch (const Failure& error) {
        report(step, false, explain(error));
    }
}

void OdbcSource::discover(const std::string& pattern, FrameWriter& out) {
    for (const TableName& table : list_tables(connection(), pattern)) {
        nlohmann::json found = {{"source", source_text(table.parts)}, {"kind", table.is_view ? "view" : "table"}};
        try {
            const Relation relation = load_table(connection(), table);
            found["columns"] = columns_json(relation.columns);
            found["key"] = relation.primary_key;
            found["estimated_rows"] = number_or_null(relation.estimated_rows);
        } catch (const Failure& error) {
            if (error.disconnected) throw;
            // A view that is broken at the source is no reason to hide the others.
            out.log("warning", "could not describe " + source_text(table.parts) + ": " + error.message);
            continue;
        }
        out.send(wire::FrameType::result, found);
    }
}

nlohmann::json OdbcSource::describe(const DescribeRequest& request) {
    ReadRequest read;
    read.source = request.source;
    Relation relation = load_relation(connection(), request.source);
    declare_columns(connection().dialect(), relation.columns, request.options);
    const std::vector<std::string> primary_key = relation.primary_key;
    const auto unique_keys = relation.unique_keys;
    const bool key_given = request.key && !request.key->empty();
    read.key = key_given ? *request.key : primary_key;
    if (request.watermark) read.watermark = *request.watermark;
    ReadPlan plan = make_read_plan(connection().dialect(), std::move(relation), read);
    const Relation& source = plan.relation;

    nlohmann::json result = {
        {"source", source.text},
        {"kind", source.is_query  ? "query"
                 : source.is_view ? "view"
                                  : "table"},
        {"columns", columns_json(source.columns)},
        {"primary_key", primary_key},
        {"unique_keys", unique_keys},
        {"key", names_of(plan.columns, plan.key)},
        {"rowversion", nullptr},
        {"watermark_candidates", watermark_candidates(source.columns)},
        {"watermark_kind", nullptr},
        {"null_watermarks", 0},
        {"estimated_rows", number_or_null(source.estimated_rows)},
    };
    for (const SourceColumn& column : source.columns) {
        if (column.is_rowversion) result["rowversion"] = column.name;
    }
    result["nullable_key"] = nlohmann::json::array();
    for (std::size_t part : plan.key) {
        if (plan.columns[part].nullable) result["nullable_key"].push_back(plan.columns[part].name);
    }
    if (!plan.watermark) return result;

    const SourceColumn& column = plan.columns[*plan.watermark];
    if (plan.kind == WatermarkKind::none) {
        throw Failure(FailureClass::config,
                      "column \"" + column.name + "\" of type " + column.source_type + " cannot be a watermark",
                      "Its values have no order in which changes could be read.",
                      "A watermark is a time, a number, a rowversion or a text that grows with each change.");
    }
    resolve_marker(connection(), plan);
    const Bounds bounds;
    const StatementText highest = max_watermark(plan, std::nullopt, bounds);
    std::optional<std::string> mark = connection().query_value(highest.sql, highest.parameters);
    if (mark) mark = watermark_literal(column, *mark);
    std::string nulls = "0";
    if (plan.has_nullable_watermark()) {
        const StatementText count = count_null_watermarks(plan, bounds);
        nulls = connection().query_value(count.sql, count.parameters).value_or("0");
    }
    if (!mark && nulls != "0") {
        throw Failure(FailureClass::config, "watermark column \"" + column.name + "\" is never set",
                      "It is null in all " + nulls + " rows.", "Choose a column that every change sets.");
    }
    const WatermarkKind kind = watermark_kind(column, mark);
    if (mark && kind == WatermarkKind::text && plan.kind == WatermarkKind::time) {
        throw Failure(FailureClass::config, "watermark column \"" + column.name + "\" holds values that have no order",
                      "Its highest value is \"" + *mark + "\", which is not a time that sorts as text.",
                      "Choose a column that is written as YYYY-MM-DD HH:MM:SS, or read a query that converts it.");
    }
    // What is compared as texts has to be written as texts sort.
    const bool is_text = compares_texts(connection(), plan);
    const bool is_time = column.type != Transport::text;
    if (mark && plan.dialect != Dialect::generic && kind != WatermarkKind::integer &&
        (is_text || (is_time && plan.dialect == Dialect::sqlite))) {
        std::vector<std::string> values = {*mark};
        const StatementText some = some_watermarks(plan, values_looked_at, bounds);
        for (const TextRow& row : connection().query(some.sql, some.parameters)) values.push_back(row[0].value_or(""));
        if (const auto problem = unsorted_forms(values, plan.dialect == Dialect::sqlite)) {
            throw UnsortedWatermark(column.name, *problem);
        }
    }
    result["watermark_kind"] = name_of(kind);
    result["watermark"] = result["highest_watermark"] = json_of(mark);
    if (kind == WatermarkKind::time) {
        const bool is_zoned = column.type == Transport::timestamptz;
        const auto clock = clock_expression(plan.dialect, is_zoned);
        result["clock"] =
            json_of(clock ? connection().query_value(select_expressions(plan.dialect, *clock)) : std::nullopt);
        result["clock_has_zone"] = is_zoned;
    }
    result["null_watermarks"] = std::strtoll(nulls.c_str(), nullptr, 10);
    return result;
}

nlohmann::json OdbcSource::preview(const std::string& source, std::size_t rows, FrameWriter& out) {
    ReadRequest request;
    request.source = source;
    return Reader(connection(), request, out).preview(rows);
}

nlohmann::json OdbcSource::read(const ReadRequest& request, FrameWriter& out) {
    if (auto done = Reader(connection(), request, out).poll(plans_)) return std::move(*done);
    return Reader(connection(), request, out).run(&plans_);
}

nlohmann::json OdbcSource::explain(const ReadRequest& request, FrameWriter& out) {
    return Reader(connection(), request, out).explain();
}

nlohmann::json OdbcSource::measure(const MeasureRequest& request, FrameWriter& out) {
    return Reader(connection(), request.rows, out).measure(request);
}

}  // namespace insync::odbc
