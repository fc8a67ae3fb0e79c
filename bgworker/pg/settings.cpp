// Settings; see effective_options.hpp.
#include "bgworker/pg/settings.hpp"

extern "C" {
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"
}

#include <algorithm>
#include <climits>

namespace insync::settings {

namespace {

char* databases_text;
char* odbc_drivers_text;
char* connector_text;
int connector_memory_mb;
int max_value_kb;
int batch_row_count;
int batch_kb;
int connect_timeout_ms;
int query_timeout_ms;
int linger_ms;
char* as_of_text;
int worker_count;
int stream_count;

std::string trimmed(const std::string& text) {
    auto begin = text.find_first_not_of(" \t"), end = text.find_last_not_of(" \t");
    return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

std::vector<std::string> split_list(const char* text) {
    std::vector<std::string> items;
    std::string list = text != nullptr ? text : "";
    for (std::size_t at = 0; at <= list.size();) {
        std::size_t comma = std::min(list.find(',', at), list.size());
        if (auto item = trimmed(list.substr(at, comma - at)); !item.empty()) items.push_back(item);
        at = comma + 1;
    }
    return items;
}

bool equal_ignoring_case(const std::string& a, const std::string& b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](unsigned char x, unsigned char y) {
               return pg_tolower(x) == pg_tolower(y);
           });
}

}  // namespace

void define(bool preloaded) {
    DefineCustomStringVariable("insync.databases", "Databases whose streams the workers run, separated by commas.",
                               "* stands for every database that accepts connections.", &databases_text, "*",
                               PGC_SIGHUP, GUC_LIST_INPUT, nullptr, nullptr, nullptr);
    DefineCustomStringVariable(
        "insync.odbc_drivers", "ODBC drivers that servers may name, separated by commas.",
        "Names as registered in odbcinst.ini; * stands for every registered driver.", &odbc_drivers_text,
        "SQLite3, MariaDB Unicode, MariaDB, MySQL ODBC 8.0 Unicode Driver, PostgreSQL Unicode, PostgreSQL ANSI, "
        "FreeTDS, ODBC Driver 17 for SQL Server, ODBC Driver 18 for SQL Server, Oracle",
        PGC_SUSET, GUC_LIST_INPUT, nullptr, nullptr, nullptr);
    DefineCustomStringVariable("insync.connector", "The connector program.",
                               "Empty: pg_insync_connector beside the server's own program.", &connector_text, "",
                               PGC_SUSET, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("insync.connector_memory", "Address space that one connector may use.", "0 sets no limit.",
                            &connector_memory_mb, 4096, 0, INT_MAX, PGC_SUSET, GUC_UNIT_MB, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("insync.max_value", "Longest value of a source row; rows with a longer one are rejected.",
                            nullptr, &max_value_kb, 256 * 1024, 1, 512 * 1024, PGC_SUSET, GUC_UNIT_KB, nullptr, nullptr,
                            nullptr);
    DefineCustomIntVariable("insync.batch_rows", "Rows that are applied and committed together.", nullptr,
                            &batch_row_count, 10000, 1, 1000000, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("insync.batch_bytes", "Bytes of rows that are applied and committed together.", nullptr,
                            &batch_kb, 16 * 1024, 64, 1024 * 1024, PGC_USERSET, GUC_UNIT_KB, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("insync.connect_timeout", "How long connecting to a source may take.", nullptr,
                            &connect_timeout_ms, 15000, 100, INT_MAX, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr,
                            nullptr);
    DefineCustomIntVariable("insync.query_timeout", "How long a source may take to answer one statement.", nullptr,
                            &query_timeout_ms, 600000, 100, INT_MAX, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr,
                            nullptr);
    DefineCustomIntVariable("insync.linger",
                            "A worker waits for the next run of its server if it is due within this time.",
                            "While it waits it keeps its connections, to the source and to the database.", &linger_ms,
                            5000, 0, 60000, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("insync.max_workers", "Workers that may run at the same time, over all databases.",
                            "They also count for max_worker_processes.", &worker_count, 8, 1, 1000, PGC_SIGHUP, 0,
                            nullptr, nullptr, nullptr);
    DefineCustomIntVariable("insync.max_streams", "Streams whose state fits in shared memory, over all databases.",
                            nullptr, &stream_count, 1000, 16, 1000000, preloaded ? PGC_POSTMASTER : PGC_USERSET, 0,
                            nullptr, nullptr, nullptr);
    DefineCustomStringVariable(
        "insync.as_of", "Time by which gaps and lateness are judged, instead of now.",
        "What was recorded later is ignored. Empty: now. Set it in a session to look at another day.", &as_of_text, "",
        PGC_USERSET, GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
    MarkGUCPrefixReserved("insync");
}

std::string connector_path() {
    if (connector_text != nullptr && *connector_text != '\0') return connector_text;
    std::string program = my_exec_path;
    return program.substr(0, program.rfind('/') + 1) + "pg_insync_connector";
}

std::int64_t connector_memory_bytes() {
    return static_cast<std::int64_t>(connector_memory_mb) << 20;
}
std::int64_t max_value_bytes() {
    return static_cast<std::int64_t>(max_value_kb) << 10;
}
int batch_rows() {
    return batch_row_count;
}
std::int64_t batch_bytes() {
    return static_cast<std::int64_t>(batch_kb) << 10;
}

std::uint32_t frame_limit_bytes() {
    // One row of the longest value (as \u escapes in a reject, at worst), or a frame of ordinary rows, and some air.
    std::int64_t limit = std::max(max_value_bytes() * 2, batch_bytes()) + (1 << 20);
    return static_cast<std::uint32_t>(std::min<std::int64_t>(limit, 1 << 30));
}

std::chrono::milliseconds connect_timeout() {
    return std::chrono::milliseconds(connect_timeout_ms);
}
std::chrono::milliseconds query_timeout() {
    return std::chrono::milliseconds(query_timeout_ms);
}
std::chrono::milliseconds linger() {
    return std::chrono::milliseconds(linger_ms);
}
int max_workers() {
    return worker_count;
}
int max_streams() {
    return stream_count;
}
std::vector<std::string> databases() {
    return split_list(databases_text);
}
std::string odbc_drivers() {
    return odbc_drivers_text;
}

std::vector<std::string> allowed_drivers() {
    return split_list(odbc_drivers_text);
}

bool driver_allowed(const std::string& driver) {
    auto list = split_list(odbc_drivers_text);
    return std::any_of(list.begin(), list.end(),
                       [&](const auto& item) { return item == "*" || equal_ignoring_case(item, driver); });
}

}  // namespace insync::settings
