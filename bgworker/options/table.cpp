// The table of options and what sync_options() shows of it; see table.hpp. The checks are in check.cpp.
#include "bgworker/options/table.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "bgworker/options/table_rest.hpp"
#include "bgworker/options/table_slices.hpp"

namespace insync {

namespace {
constexpr unsigned server = static_cast<unsigned>(Where::server);
constexpr unsigned mapping = static_cast<unsigned>(Where::mapping);
constexpr unsigned stream = static_cast<unsigned>(Where::stream);
constexpr unsigned odbc = static_cast<unsigned>(Kind::odbc);
constexpr unsigned any = odbc | static_cast<unsigned>(Kind::rest);

constexpr std::int64_t second = 1000;
constexpr std::int64_t day = 86400 * second;

constexpr std::string_view modes[] = {"auto", "incremental", "full"};
constexpr std::string_view delete_policies[] = {"ignore", "soft", "hard"};
constexpr std::string_view leave_policies[] = {"keep", "delete"};
constexpr std::string_view new_column_policies[] = {"add", "ignore", "fail"};
constexpr std::string_view null_watermark_policies[] = {"include", "reject", "fail"};
constexpr std::string_view text_policies[] = {"replace", "reject"};
constexpr std::string_view zero_date_policies[] = {"null", "reject"};
constexpr std::string_view reconciled_things[] = {"rows", "keys"};
constexpr std::string_view tls_modes[] = {"disable", "prefer", "require", "verify"};
constexpr std::string_view backoffs[] = {"double", "fixed"};

using enum ValueType;

constexpr Option general[] = {
    // How to reach a source.
    {.name = "driver",
     .type = name,
     .where = server,
     .kinds = odbc,
     .superuser_only = true,
     .description = "Name of a registered ODBC driver, as in odbcinst.ini, that insync.odbc_drivers allows."},
    {.name = "dsn",
     .type = name,
     .where = server,
     .kinds = odbc,
     .superuser_only = true,
     .description = "Name of an ODBC data source on the database server, in place of a driver."},
    {.name = "connection_string",
     .type = connection_string,
     .where = server,
     .kinds = odbc,
     .superuser_only = true,
     .description = "Complete ODBC connection string without credentials, in place of a driver or data source."},
    {.name = "host",
     .type = text,
     .where = server,
     .kinds = odbc,
     .description = "Name or address of the source's machine."},
    {.name = "port",
     .type = integer,
     .where = server,
     .kinds = odbc,
     .min = 1,
     .max = 65535,
     .description = "TCP port of the source; default: that of the driver."},
    {.name = "database",
     .type = text,
     .where = server,
     .kinds = odbc,
     .description = "Database to connect to; for a file-based source, the path of its file."},
    {.name = "driver_options",
     .type = connection_string,
     .where = server,
     .kinds = odbc,
     .superuser_only = true,
     .description = "Further keywords for the driver, written Keyword=Value;Keyword=Value."},
    {.name = "tls",
     .type = enumeration,
     .where = server,
     .kinds = any,
     .values = tls_modes,
     .description =
         "Encryption of the session: require (encrypted), verify (and the certificate is checked), prefer, or "
         "disable; it is an error if the driver cannot guarantee it; default: that of the driver."},
    {.name = "connections",
     .type = integer,
     .default_text = "1",
     .where = server,
     .kinds = any,
     .min = 1,
     .max = 100,
     .description = "Number of connections that may be open to the source at a time."},
    {.name = "connect_timeout",
     .type = duration,
     .where = server,
     .kinds = any,
     .min = second,
     .max = day / 24,
     .description = "Longest time for connecting; default: the setting insync.connect_timeout."},
    {.name = "query_timeout",
     .type = duration,
     .where = server | stream,
     .kinds = odbc,
     .min = second,
     .max = 7 * day,
     .description = "Longest time for one statement at the source; the option of the stream overrides that of the "
                    "server; default: the setting insync.query_timeout."},
    {.name = "lock_timeout",
     .type = duration,
     .default_text = "1 minute",
     .where = server,
     .kinds = odbc,
     .min = second,
     .max = day,
     .description =
         "Longest time that a statement waits for a lock at the source before the run fails and is retried."},
    {.name = "immutable",
     .type = boolean,
     .default_text = "false",
     .where = server,
     .kinds = odbc,
     .description = "For a SQLite file that no program writes to, for example in a read-only folder: reads it "
                    "without locks."},
    // Who reads it.
    {.name = "user", .type = text, .where = mapping, .kinds = any, .description = "User name at the source."},
    {.name = "password",
     .type = text,
     .where = mapping,
     .kinds = any,
     .secret = true,
     .description = "Password at the source."},
    // What is read, and from where.
    {.name = "mode",
     .type = enumeration,
     .default_text = "auto",
     .where = stream,
     .kinds = any,
     .values = modes,
     .description = "Read what changed since the watermark, or everything each time; auto is incremental where there "
                    "is a watermark."},
    {.name = "lookback",
     .type = lookback,
     .where = stream,
     .kinds = any,
     .description = "How far before the watermark each read starts again, for rows that were committed late: a time "
                    "(default 10 minutes), or a count for integer watermarks (default 1000)."},
    {.name = "initial_watermark",
     .type = text,
     .where = stream,
     .kinds = any,
     .description = "Watermark to start from, as the source writes it; without it, the first run loads everything."},
    {.name = "null_watermark",
     .type = enumeration,
     .default_text = "include",
     .where = stream,
     .kinds = any,
     .values = null_watermark_policies,
     .description =
         "What happens to rows with a NULL watermark: they are read in each run, they are rejected, or the run fails."},
    {.name = "source_time_zone",
     .type = text,
     .where = stream,
     .kinds = any,
     .shapes_rows = true,
     .description = "Time zone of source times that have no zone, such as Europe/Madrid; without it, they stay "
                    "without a zone."},
    {.name = "page_rows",
     .type = integer,
     .default_text = "50000",
     .where = stream,
     .kinds = odbc,
     .min = 1,
     .max = 10'000'000,
     .description = "Number of rows that one statement reads from the source."},
    {.name = "batch_rows",
     .type = integer,
     .where = stream,
     .kinds = any,
     .min = 1,
     .max = 1'000'000,
     .description = "Number of rows that are applied and committed together; without it, the setting "
                    "insync.batch_rows."},
    {.name = "batch_bytes",
     .type = size,
     .where = stream,
     .kinds = any,
     .min = 64 << 10,
     .max = 1 << 30,
     .description = "Size at which a batch is applied although it has fewer rows; without it, the setting "
                    "insync.batch_bytes."},
    {.name = "text_policy",
     .type = enumeration,
     .default_text = "replace",
     .where = stream,
     .kinds = any,
     .shapes_rows = true,
     .values = text_policies,
     .description =
         "What happens to bytes that are not valid text in PostgreSQL: they are replaced, or the row is rejected."},
    {.name = "zero_dates",
     .type = enumeration,
     .default_text = "null",
     .where = stream,
     .kinds = odbc,
     .shapes_rows = true,
     .values = zero_date_policies,
     .description = "What happens to dates such as 0000-00-00: they become NULL, or the row is rejected."},
    // What is written.
    {.name = "columns",
     .type = json_object,
     .where = stream,
     .kinds = any,
     .shapes_rows = true,
     .description = "Target columns as SQL over the batch, {\"total\": \"quantity * price\"}; others are filled by "
                    "name."},
    {.name = "columns_only",
     .type = boolean,
     .default_text = "false",
     .where = stream,
     .kinds = any,
     .shapes_rows = true,
     .description = "Whether the stream fills only the target columns that option columns names."},
    {.name = "filter",
     .type = text,
     .where = stream,
     .kinds = any,
     .shapes_rows = true,
     .description = "SQL condition over the batch; rows for which it is not true are left out."},
    {.name = "filter_leaves",
     .type = enumeration,
     .where = stream,
     .kinds = any,
     .shapes_rows = true,
     .values = leave_policies,
     .description = "What happens to a row of the target that no longer passes filter: it stays as it was, or is "
                    "deleted (marked, with deletes soft) in every kind of run, within max_deletes; without it, "
                    "incremental runs keep it, and full runs take it for deleted at the source."},
    {.name = "new_columns",
     .type = enumeration,
     .default_text = "add",
     .where = stream,
     .kinds = any,
     .values = new_column_policies,
     .description = "What happens when the source gains a column: it is added to the target, ignored, or the run "
                    "fails."},
    {.name = "deletes",
     .type = enumeration,
     .default_text = "ignore",
     .where = stream,
     .kinds = any,
     .values = delete_policies,
     .description = "What happens to rows that were deleted at the source: they stay, are marked in deleted_column "
                    "(soft), or are deleted (hard)."},
    {.name = "operation_column",
     .type = name,
     .where = stream,
     .kinds = any,
     .shapes_rows = true,
     .description = "Source column that marks deleted rows, as in a table of changes; without it, deleted rows "
                    "are found by comparing keys in full runs."},
    {.name = "delete_values",
     .type = text,
     .default_text = "D,DELETE",
     .where = stream,
     .kinds = any,
     .description = "Values of operation_column that mean a delete, separated by commas."},
    {.name = "deleted_when",
     .type = text,
     .where = stream,
     .kinds = any,
     .shapes_rows = true,
     .description = "SQL condition over the batch; rows for which it is true were deleted at the source."},
    {.name = "reconcile",
     .type = duration,
     .where = stream,
     .kinds = any,
     .min = 60 * second,
     .max = 366 * day,
     .description =
         "How often an incremental stream is read in full and compared, to find rows that were deleted at the "
         "source."},
    {.name = "reconcile_by",
     .type = enumeration,
     .default_text = "rows",
     .where = stream,
     .kinds = any,
     .values = reconciled_things,
     .description = "What reconcile reads: whole rows, which also repairs other differences, or keys, which only finds "
                    "deleted rows."},
    {.name = "deleted_column",
     .type = name,
     .where = stream,
     .kinds = any,
     .description = "Target column that marks deleted rows: a timestamptz (when it was seen) or a boolean."},
    {.name = "max_deletes",
     .type = share_or_count,
     .default_text = "20%",
     .where = stream,
     .kinds = any,
     .description = "Share of the target's rows, or number of rows, that one run may delete; a run that would delete "
                    "more fails and deletes none; ten rows or fewer pass a share, unless the source is empty."},
    // When it runs, and for how long.
    {.name = "time_zone",
     .type = text,
     .where = stream,
     .kinds = any,
     .description = "Time zone of a cron schedule, such as Europe/Madrid; without it, the server's setting TimeZone."},
    {.name = "max_retries",
     .type = integer,
     .default_text = "3",
     .where = stream,
     .kinds = any,
     .min = 0,
     .max = 100,
     .description = "Number of retries of a failed run; then the stream waits for its schedule, and for pauses "
                    "that grow to an hour."},
    {.name = "retry_delay",
     .type = duration,
     .default_text = "1 minute",
     .where = stream,
     .kinds = any,
     .min = second,
     .max = day,
     .description = "Time to wait before the first retry; if it is not set, no longer than the schedule's "
                    "interval."},
    {.name = "retry_backoff",
     .type = enumeration,
     .default_text = "double",
     .where = stream,
     .kinds = any,
     .values = backoffs,
     .description = "Whether the wait doubles with each retry, or stays fixed."},
    {.name = "run_timeout",
     .type = duration,
     .where = stream,
     .kinds = any,
     .min = second,
     .max = 30 * day,
     .description = "Longest time for a run; what it committed stays, and the next run continues from "
                    "there."},
    {.name = "max_rejects",
     .type = share_or_count,
     .where = stream,
     .kinds = any,
     .description = "Number of rejected rows, or share of the rows read, with which a run fails; without it, no "
                    "number does; a single row passes a share."},
};

constexpr auto table = [] {
    std::array<Option, std::size(general) + std::size(gap_rows::table) + std::size(rest_rows::table)> all;
    auto end = std::copy(std::begin(general), std::end(general), all.begin());
    end = std::copy(std::begin(gap_rows::table), std::end(gap_rows::table), end);
    std::copy(std::begin(rest_rows::table), std::end(rest_rows::table), end);
    return all;
}();

std::string limit_text(const Option& option, std::int64_t limit) {
    switch (option.type) {
        case duration:
            return format_duration(std::chrono::milliseconds(limit));
        case size:
            return format_size(limit);
        default:
            return std::to_string(limit);
    }
}
}  // namespace

std::span<const Option> all_options() {
    return table;
}

const Option* find_option(Where where, std::string_view name) {
    for (const Option& option : table) {
        if (option.name == name && (option.where & static_cast<unsigned>(where)) != 0) {
            return &option;
        }
    }
    return nullptr;
}

std::string range_text(const Option& option) {
    if (option.min == 0 && option.max == 0) {
        return "";
    }
    return limit_text(option, option.min) + " to " + limit_text(option, option.max);
}

std::string values_text(const Option& option) {
    std::string list;
    for (std::size_t i = 0; i < option.values.size(); i++) {
        list += i == 0 ? "" : i + 1 == option.values.size() ? " or " : ", ";
        list += option.values[i];
    }
    return list;
}

std::string type_text(const Option& option) {
    std::string range = range_text(option);
    std::string suffix = range.empty() ? "" : " (" + range + ")";
    switch (option.type) {
        case text:
            return "text";
        case name:
            return "name";
        case integer:
            return "integer" + suffix;
        case duration:
            return "duration" + suffix;
        case size:
            return "size" + suffix;
        case boolean:
            return "boolean";
        case enumeration:
            return values_text(option);
        case share:
            return "share";
        case share_or_count:
            return "share or count";
        case weekdays:
            return "weekdays";
        case json_object:
        case text_map:
        case json_options:
            return "JSON object";
        case pointer:
            return "JSON pointer";
        case rate:
            return "requests a time";
        case lookback:
            return "duration or integer";
        case connection_string:
            return "connection string";
    }
    return "";
}

std::string applies_to_text(const Option& option) {
    std::string places;
    for (auto [bit, place] : {std::pair(server, "server"), {mapping, "user mapping"}, {stream, "stream"}}) {
        if ((option.where & bit) != 0) {
            places += (places.empty() ? "" : ", ") + std::string(place);
        }
    }
    if (option.kinds == static_cast<unsigned>(Kind::odbc)) places += " (ODBC)";
    if (option.kinds == static_cast<unsigned>(Kind::rest)) places += " (REST)";
    return places;
}

}  // namespace insync
