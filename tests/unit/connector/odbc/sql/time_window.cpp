// Windows of time and reads by keys: their conditions in every dialect, as text.
#include <gtest/gtest.h>

#include "bgworker/connector/odbc/sql/read_plan.hpp"
#include "bgworker/connector/output/failure.hpp"

namespace insync::odbc {
namespace {

using Texts = std::vector<std::string>;

SourceColumn column(Dialect dialect, const char* name, const char* type, SQLSMALLINT sql_type = SQL_VARCHAR) {
    ResultColumn result;
    result.name = name;
    result.nullable = false;
    result.sql_type = sql_type;
    result.digits = 3;
    return resolve_column(dialect, result, type);
}

ReadPlan sales(Dialect dialect, const char* time, Window window, Texts key = {"id"}) {
    Relation relation;
    relation.from = quote_name(dialect, "ventas");
    relation.columns = {column(dialect, "id", "bigint", SQL_BIGINT), column(dialect, "tienda", "bigint", SQL_BIGINT),
                        column(dialect, "fecha", time, SQL_TYPE_TIMESTAMP)};
    ReadRequest request;
    request.full = true;
    request.key = std::move(key);
    request.columns = Texts{"id"};
    request.page_rows = 100;
    window.column = "fecha";
    request.window = std::move(window);
    return make_read_plan(dialect, std::move(relation), request);
}

const Window one_day{"", "2026-01-05 00:00:00", "2026-01-06 00:00:00"};

TEST(ConnectorWindows, StandBesideTheKeysPage) {
    const ReadPlan plan = sales(Dialect::mysql, "datetime", one_day);
    const StatementText page = key_page(plan, After{"", {"7"}}, false, {});
    EXPECT_EQ(page.sql,
              "SELECT s.`id` FROM `ventas` s WHERE s.`fecha` >= CAST(? AS DATETIME(6)) AND s.`fecha` < CAST(? AS "
              "DATETIME(6)) AND s.`id` > CAST(? AS SIGNED) ORDER BY s.`id` LIMIT 100");
    EXPECT_EQ(page.parameters, Texts({"2026-01-05 00:00:00.000000", "2026-01-06 00:00:00.000000", "7"}));
    EXPECT_EQ(duplicate_key(plan, plan.key).parameters.size(), 2u);
}

TEST(ConnectorWindows, EachDialectTakesItsColumnsType) {
    struct Case {
        Dialect dialect;
        const char* type;
        const char* condition;
        const char* from;
    };
    const Case cases[] = {
        {Dialect::mysql, "date", "s.`fecha` >= CAST(? AS DATE)", "2026-01-05"},
        {Dialect::mysql, "timestamp", "s.`fecha` >= CAST(? AS DATETIME(6))", "2026-01-05 00:00:00.000000"},
        {Dialect::postgresql, "date", "s.\"fecha\" >= CAST(? AS date)", "2026-01-05"},
        {Dialect::postgresql, "timestamp", "s.\"fecha\" >= CAST(? AS timestamp)", "2026-01-05 00:00:00.000000"},
        {Dialect::postgresql, "timestamptz", "s.\"fecha\" >= CAST(? AS timestamptz)", "2026-01-05 00:00:00.000000+00"},
        {Dialect::sqlserver, "date", "s.[fecha] >= CAST(? AS date)", "2026-01-05"},
        {Dialect::sqlserver, "datetime", "s.[fecha] >= CAST(? AS datetime)", "2026-01-05 00:00:00.000"},
        {Dialect::sqlserver, "smalldatetime", "s.[fecha] >= CAST(? AS smalldatetime)", "2026-01-05 00:00:00"},
        {Dialect::sqlserver, "datetime2(3)", "s.[fecha] >= CAST(? AS datetime2(3))", "2026-01-05 00:00:00.000"},
        {Dialect::sqlserver, "datetimeoffset", "s.[fecha] >= CAST(? AS datetimeoffset)",
         "2026-01-05 00:00:00.0000000 +00:00"},
        {Dialect::oracle, "DATE", "s.\"fecha\" >= TO_DATE(?, 'YYYY-MM-DD HH24:MI:SS')", "2026-01-05 00:00:00"},
        {Dialect::oracle, "TIMESTAMP(6)", "s.\"fecha\" >= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS.FF9')",
         "2026-01-05 00:00:00.000000000"},
        {Dialect::oracle, "TIMESTAMP(6) WITH TIME ZONE",
         "s.\"fecha\" >= TO_TIMESTAMP_TZ(?, 'YYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM')",
         "2026-01-05 00:00:00.000000000 +00:00"},
        {Dialect::generic, "", "s.\"fecha\" >= CAST(? AS TIMESTAMP)", "2026-01-05 00:00:00.000"},
        {Dialect::sqlite, "DATETIME", "s.\"fecha\" >= ?", "2026-01-05"},
        {Dialect::sqlite, "TEXT", "s.\"fecha\" >= ?", "2026-01-05"},
    };
    for (const Case& c : cases) {
        const ReadPlan plan = sales(c.dialect, c.type, {"", "2026-01-05 00:00:00", std::nullopt});
        const Fragment condition = window_condition(c.dialect, *plan.window);
        EXPECT_EQ(condition.sql, c.condition) << c.type;
        EXPECT_EQ(condition.parameters, Texts({c.from})) << c.type;
    }
}

TEST(ConnectorWindows, ABoundBetweenTwoValuesMovesUpToTheNext) {
    struct Case {
        Dialect dialect;
        const char* type;
        const char* time;
        const char* literal;
    };
    const Case cases[] = {
        {Dialect::mysql, "date", "2026-01-05 10:00:00", "2026-01-06"},
        {Dialect::mysql, "date", "2026-02-28 00:00:00.000001", "2026-03-01"},
        {Dialect::mysql, "datetime(6)", "2026-01-05 10:00:00.1234567", "2026-01-05 10:00:00.123457"},
        {Dialect::postgresql, "timestamp", "2026-12-31 23:59:59.9999999", "2027-01-01 00:00:00.000000"},
        {Dialect::postgresql, "timestamptz", "2026-07-01 12:00:00+02", "2026-07-01 10:00:00.000000+00"},
        {Dialect::sqlserver, "datetime", "2026-01-05 10:00:00.001", "2026-01-05 10:00:00.003"},
        {Dialect::sqlserver, "datetime", "2026-01-05 10:00:00.003", "2026-01-05 10:00:00.003"},
        {Dialect::sqlserver, "datetime", "2026-01-05 10:00:00.0031", "2026-01-05 10:00:00.007"},
        {Dialect::sqlserver, "datetime", "2026-01-05 23:59:59.998", "2026-01-06 00:00:00.000"},
        {Dialect::sqlserver, "datetime", "0001-01-01", "1753-01-01 00:00:00.000"},
        {Dialect::sqlserver, "smalldatetime", "2026-01-05 10:00:00.001", "2026-01-05 10:01:00"},
        {Dialect::sqlserver, "datetime2(0)", "2026-01-05 10:00:00.1", "2026-01-05 10:00:01"},
        {Dialect::sqlserver, "datetime2(7)", "2026-01-05 10:00:00.1234567", "2026-01-05 10:00:00.1234567"},
        {Dialect::oracle, "DATE", "2026-01-05 10:00:00.1", "2026-01-05 10:00:01"},
        {Dialect::oracle, "TIMESTAMP(6)", "1999-12-31T23:59:59.123456789", "1999-12-31 23:59:59.123456789"},
        {Dialect::generic, "", "2026-01-05 10:00:00.0001", "2026-01-05 10:00:00.001"},
    };
    for (const Case& c : cases) {
        const SourceColumn bounded = column(c.dialect, "fecha", c.type, SQL_TYPE_TIMESTAMP);
        EXPECT_EQ(bound_literal(c.dialect, bounded, c.time), c.literal) << c.type << " " << c.time;
    }
}

TEST(ConnectorWindows, RowsWithoutATime) {
    Window none;
    none.only_null = true;
    EXPECT_EQ(key_page(sales(Dialect::postgresql, "timestamp", none), std::nullopt, false, {}).sql,
              "SELECT s.\"id\" FROM \"ventas\" s WHERE s.\"fecha\" IS NULL ORDER BY s.\"id\" LIMIT 100");
    const StatementText mysql = key_page(sales(Dialect::mysql, "date", none), std::nullopt, false, {});
    EXPECT_EQ(mysql.sql,
              "SELECT s.`id` FROM `ventas` s WHERE (s.`fecha` IS NULL OR s.`fecha` < CAST(? AS DATE)) ORDER BY s.`id` "
              "LIMIT 100");
    EXPECT_EQ(mysql.parameters, Texts({"0001-01-01"}));
}

TEST(ConnectorWindows, WithoutBoundsEveryRow) {
    EXPECT_EQ(key_page(sales(Dialect::oracle, "DATE", {}), std::nullopt, false, {}).sql,
              "SELECT s.\"id\" FROM \"ventas\" s ORDER BY s.\"id\" FETCH FIRST 100 ROWS ONLY");
}

TEST(ConnectorWindows, SqliteNarrowsByDaysAndThenComparesTexts) {
    const ReadPlan plan = sales(Dialect::sqlite, "DATETIME", {"", "2026-01-05 10:00:00", "2026-01-05 11:30:00.5"});
    const Fragment condition = window_condition(Dialect::sqlite, *plan.window);
    const std::string text =
        "substr(s.\"fecha\", 1, 10) || ' ' || replace(rtrim(substr(s.\"fecha\", 12), 'Zz '), ',', '.')";
    EXPECT_EQ(condition.sql, "s.\"fecha\" >= ? AND " + text + " >= ? AND s.\"fecha\" < ? AND " + text + " < ?");
    EXPECT_EQ(condition.parameters, Texts({"2026-01-05", "2026-01-05 10:00", "2026-01-06", "2026-01-05 11:30:00.5"}));
}

std::string failure_of(Dialect dialect, const char* type, Window window) {
    try {
        const ReadPlan plan = sales(dialect, type, std::move(window));
        key_page(plan, std::nullopt, false, {});
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.kind, FailureClass::config);
        return failure.message;
    }
    return "";
}

TEST(ConnectorWindows, RefusesWhatBoundsNothing) {
    EXPECT_EQ(failure_of(Dialect::mysql, "varchar(20)", one_day),
              "column \"fecha\" of type varchar(20) holds neither dates nor times");
    EXPECT_EQ(failure_of(Dialect::sqlserver, "time", one_day),
              "column \"fecha\" of type time holds neither dates nor times");
    EXPECT_EQ(failure_of(Dialect::mysql, "date", {"", "yesterday", std::nullopt}), "invalid time \"yesterday\"");
    Relation relation;
    relation.columns = {column(Dialect::mysql, "fecha", "date")};
    ReadRequest request;
    request.window = Window{"fechas", std::nullopt, std::nullopt};
    try {
        make_read_plan(Dialect::mysql, relation, request);
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.message, "window column \"fechas\" does not exist in the source");
        EXPECT_EQ(failure.hint, "Perhaps you meant \"fecha\".");
    }
}

TEST(ConnectorWindows, ReadsByKeys) {
    const StatementText one = rows_of_keys(sales(Dialect::mysql, "date", {}), {{"3"}, {"5"}}, std::nullopt, {});
    EXPECT_EQ(one.sql,
              "SELECT s.`id` FROM `ventas` s WHERE s.`id` IN (CAST(? AS SIGNED), CAST(? AS SIGNED)) ORDER BY s.`id` "
              "LIMIT 100");
    const ReadPlan plan = sales(Dialect::sqlserver, "date", one_day, {"tienda", "id"});
    const StatementText two = rows_of_keys(plan, {{"1", "3"}, {"2", "4"}}, After{"", {"1", "3"}}, {});
    EXPECT_EQ(
        two.sql,
        "SELECT TOP (100) s.[id], s.[tienda] FROM [ventas] s WHERE ((s.[tienda] = CAST(? AS bigint) AND s.[id] = "
        "CAST(? AS bigint)) OR (s.[tienda] = CAST(? AS bigint) AND s.[id] = CAST(? AS bigint))) AND s.[fecha] >= "
        "CAST(? "
        "AS date) AND s.[fecha] < CAST(? AS date) AND s.[tienda] >= CAST(? AS bigint) AND (s.[tienda] > CAST(? AS "
        "bigint) OR (s.[tienda] = CAST(? AS bigint) AND s.[id] > CAST(? AS bigint))) ORDER BY s.[tienda], s.[id]");
    EXPECT_EQ(two.parameters, Texts({"1", "3", "2", "4", "2026-01-05", "2026-01-06", "1", "1", "1", "3"}));
}

}  // namespace
}  // namespace insync::odbc
