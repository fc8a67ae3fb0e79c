// Grouped statements and the hashes of rows in every dialect, as text.
#include <gtest/gtest.h>

#include "bgworker/connector/odbc/sql/checksum_statements.hpp"
#include "bgworker/connector/output/failure.hpp"

namespace insync::odbc {
namespace {

using Texts = std::vector<std::string>;
using Unit = MeasureRequest::Unit;

SourceColumn column(Dialect dialect, const char* name, const char* type, bool nullable = false) {
    ResultColumn result;
    result.name = name;
    result.nullable = nullable;
    result.size = 10;
    return resolve_column(dialect, result, type);
}

MeasureRequest by(Unit unit) {
    MeasureRequest request;
    request.by_time = {"fecha", unit};
    return request;
}

std::string measured(Dialect dialect, std::vector<SourceColumn> columns, MeasureRequest request) {
    Relation relation;
    relation.from = quote_name(dialect, "t");
    relation.columns = std::move(columns);
    request.rows.full = true;
    const ReadPlan plan = make_read_plan(dialect, std::move(relation), request.rows);
    const StatementText statement = measure_statement(plan, make_measures(plan, request), {});
    std::string shown = statement.sql;
    for (const std::string& parameter : statement.parameters) shown += " -- " + parameter;
    return shown;
}

std::string by_time(Dialect dialect, const char* type, Unit unit) {
    return measured(dialect, {column(dialect, "fecha", type)}, by(unit));
}

TEST(ConnectorMeasures, ADayCostsWhatTheEnginesOwnGroupByCosts) {
    EXPECT_EQ(by_time(Dialect::mysql, "datetime(6)", Unit::day),
              "SELECT CAST(s.`fecha` AS DATE), COUNT(*) FROM `t` s GROUP BY CAST(s.`fecha` AS DATE)");
    EXPECT_EQ(by_time(Dialect::mysql, "date", Unit::day), "SELECT s.`fecha`, COUNT(*) FROM `t` s GROUP BY s.`fecha`");
    EXPECT_EQ(
        by_time(Dialect::postgresql, "timestamptz", Unit::day),
        "SELECT CAST(CAST(s.\"fecha\" AS date) AS text), COUNT(*) FROM \"t\" s GROUP BY CAST(s.\"fecha\" AS date)");
    EXPECT_EQ(by_time(Dialect::sqlserver, "datetime", Unit::day),
              "SELECT CONVERT(varchar(10), CAST(s.[fecha] AS date), 23), COUNT_BIG(*) FROM [t] s GROUP BY "
              "CAST(s.[fecha] AS date)");
    EXPECT_EQ(by_time(Dialect::oracle, "DATE", Unit::day),
              "SELECT TO_CHAR(TRUNC(s.\"fecha\", 'DD'), 'YYYY-MM-DD HH24:MI:SS'), COUNT(*) FROM \"t\" s GROUP BY "
              "TRUNC(s.\"fecha\", 'DD')");
}

TEST(ConnectorMeasures, HoursAndQuarters) {
    EXPECT_EQ(
        by_time(Dialect::sqlserver, "datetimeoffset", Unit::quarter).substr(28, 281),
        "DATEADD(minute, DATEPART(minute, CAST(SWITCHOFFSET(s.[fecha], '+00:00') AS datetime2(7))) / 15 * 15, "
        "DATEADD(hour, DATEDIFF(hour, CAST('00010101' AS datetime2(0)), CAST(SWITCHOFFSET(s.[fecha], '+00:00') AS "
        "datetime2(7))), CAST('00010101' AS datetime2(0)))), 120), COUNT_BIG(*) FROM");
    EXPECT_NE(by_time(Dialect::oracle, "TIMESTAMP(6)", Unit::hour).find("GROUP BY TRUNC(s.\"fecha\", 'HH24')"),
              std::string::npos);
    EXPECT_NE(by_time(Dialect::postgresql, "timestamp", Unit::hour).find("GROUP BY date_trunc('hour', s.\"fecha\")"),
              std::string::npos);
    // A date has no hours.
    EXPECT_EQ(by_time(Dialect::mysql, "date", Unit::hour), by_time(Dialect::mysql, "date", Unit::day));
    EXPECT_THROW(by_time(Dialect::mysql, "varchar(20)", Unit::day), Failure);
}

TEST(ConnectorMeasures, GroupsAreShownAsTimes) {
    EXPECT_EQ(time_of_group("2026-01-05"), "2026-01-05 00:00:00");
    EXPECT_EQ(time_of_group("2026-01-05 10:15:00"), "2026-01-05 10:15:00");
    EXPECT_EQ(time_of_group("2026010510"), "2026-01-05 10:00:00");
    EXPECT_EQ(time_of_group("202601051045"), "2026-01-05 10:45:00");
    EXPECT_EQ(time_of_group("infinity"), "infinity");
    for (const char* zero : {"0", "0000-00-00", "2024-05-00", "2024050000", "202400050000"}) {
        EXPECT_EQ(time_of_group(zero), std::nullopt) << zero;
    }
}

TEST(ConnectorMeasures, OnlyWhatWasAskedForIsSelected) {
    MeasureRequest request;
    request.rows.watermark = {"w"};
    request.rows.window = Window{"fecha", "2026-01-05", std::nullopt};
    request.unsettled_from = "2026-02-01 00:00:00";
    request.sums = {"n"};
    const auto mysql = Dialect::mysql;
    EXPECT_EQ(
        measured(mysql, {column(mysql, "fecha", "date"), column(mysql, "w", "datetime"), column(mysql, "n", "int")},
                 request),
        "SELECT COUNT(*), COUNT(CASE WHEN s.`w` >= CAST(? AS DATETIME(6)) THEN 1 END), SUM(s.`n`) FROM `t` s "
        "WHERE s.`fecha` >= CAST(? AS DATE) -- 2026-02-01 00:00:00 -- 2026-01-05");
}

TEST(ConnectorMeasures, AQuickLookDoesNotSearchForZeroDates) {
    MeasureRequest request;
    request.hash = {"fecha", "n"};
    request.as_stored = true;
    const auto mysql = Dialect::mysql;
    EXPECT_EQ(measured(mysql, {column(mysql, "fecha", "date"), column(mysql, "n", "int")}, request),
              "SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', s.`fecha`, s.`n`))) FROM `t` s");
}

TEST(ConnectorMeasures, SumsAreExactAndDoNotOverflow) {
    MeasureRequest request;
    request.sums = {"n"};
    auto sum = [&](Dialect dialect, const char* type) {
        const std::string sql = measured(dialect, {column(dialect, "n", type)}, request);
        return sql.substr(0, sql.find(" FROM"));
    };
    EXPECT_EQ(sum(Dialect::sqlserver, "bigint"),
              "SELECT COUNT_BIG(*), CONVERT(varchar(41), SUM(CAST(s.[n] AS decimal(38,0))))");
    EXPECT_EQ(sum(Dialect::sqlserver, "decimal(12,4)"),
              "SELECT COUNT_BIG(*), CONVERT(varchar(41), SUM(CAST(s.[n] AS decimal(38,4))))");
    EXPECT_EQ(
        sum(Dialect::sqlite, "INTEGER"),
        "SELECT COUNT(*), SUM(CASE typeof(s.\"n\") WHEN 'integer' THEN s.\"n\" >> 32 END), SUM(CASE typeof(s.\"n\") "
        "WHEN 'integer' THEN s.\"n\" & 4294967295 END)");
    EXPECT_THROW(sum(Dialect::sqlite, "DECIMAL(10,2)"), Failure);
    EXPECT_THROW(sum(Dialect::mysql, "double"), Failure);
    EXPECT_EQ(sum_of_halves("2147483647", "4294967295"), "9223372036854775807");
    EXPECT_EQ(sum_of_halves("-2147483648", "0"), "-9223372036854775808");
    EXPECT_EQ(sum_of_halves("2147483647000", "4294967295000"), "9223372036854775807000");
    EXPECT_EQ(number_text("-.5"), "-0.5");
    EXPECT_EQ(number_text(".25"), "0.25");
    EXPECT_EQ(number_text("12"), "12");
}

std::string hash(Dialect dialect, std::vector<std::pair<const char*, bool>> types) {
    std::vector<HashedColumn> columns;
    for (const auto& [type, nullable] : types) {
        columns.push_back(
            hashed_column(column(dialect, "c", type, nullable), "c" + std::to_string(columns.size() + 1)));
    }
    return row_hash(dialect, columns);
}

TEST(ConnectorMeasures, HashesOfEachEngine) {
    EXPECT_EQ(
        hash(Dialect::mysql, {{"bigint", false}, {"datetime", false}, {"varchar(9)", true}, {"decimal(9,2)", true}}),
        "CRC32(CONCAT_WS('|', c1, IF(TO_DAYS(c2), CAST(c2 AS DATETIME(6)), 'N'), IFNULL(CHAR_LENGTH(c3), 'N'), c3, "
        "IFNULL(c4, 'N')))");
    EXPECT_EQ(hash(Dialect::postgresql, {{"bigint", false}, {"timestamptz", true}, {"text", true}, {"numeric", false}}),
              "(hashtextextended(concat_ws('|', c1, COALESCE(CAST(timezone('UTC', c2) AS text), 'N'), "
              "COALESCE(CAST(char_length(c3) AS text), 'N'), CAST(c3 AS text), trim_scale(c4)) COLLATE \"C\", 0) & "
              "9223372036854775807)");
    EXPECT_EQ(hash(Dialect::sqlserver, {{"int", false}, {"datetime", true}, {"nvarchar(9)", true}}),
              "CAST(SUBSTRING(HASHBYTES('MD5', CAST(N'' AS nvarchar(max)) + CONVERT(varchar(20), c1) + '|' + "
              "COALESCE(CONVERT(varchar(23), c2, 121) + '000', 'N') + '|' + COALESCE(CONVERT(varchar(20), "
              "DATALENGTH(CONVERT(nvarchar(max), c3) COLLATE DATABASE_DEFAULT) / 2) + '|' + CONVERT(nvarchar(max), c3) "
              "COLLATE DATABASE_DEFAULT, 'N')), 1, 7) AS bigint)");
    EXPECT_EQ(
        hash(Dialect::oracle, {{"NUMBER(12,2)", false}, {"DATE", false}, {"VARCHAR2(9)", true}}),
        "TO_NUMBER(SUBSTR(RAWTOHEX(STANDARD_HASH(NVL(TO_CHAR(c1, 'FM999999999999999999999999999999999999990.00'), "
        "'N') || '|' || NVL(TO_CHAR(c2, 'YYYY-MM-DD HH24:MI:SS') || NVL2(c2, '.000000', NULL), 'N') || '|' || "
        "NVL2(c3, LENGTH(c3) || '|' || c3, 'N'), 'MD5')), 1, 14), 'XXXXXXXXXXXXXX')");
}

TEST(ConnectorMeasures, BlocksAreByTheHashOfTheKey) {
    MeasureRequest request;
    request.rows.key = {"id"};
    request.blocks = 64;
    request.hash = {"id"};
    const auto server = Dialect::sqlserver;
    const std::string key =
        "CAST(SUBSTRING(HASHBYTES('MD5', CAST(N'' AS nvarchar(max)) + CONVERT(varchar(20), s.[id])), 1, 7) AS bigint)";
    EXPECT_EQ(measured(server, {column(server, "id", "int")}, request),
              "SELECT " + key + " % 64, COUNT_BIG(*), CONVERT(varchar(41), SUM(CAST(" + key +
                  " AS decimal(38,0)))) FROM [t] s GROUP BY " + key + " % 64");
}

TEST(ConnectorMeasures, WhatCannotBeHashedIsRefused) {
    auto message = [](Dialect dialect, const char* type) {
        MeasureRequest request;
        request.hash = {"c"};
        try {
            measured(dialect, {column(dialect, "c", type)}, request);
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.kind, FailureClass::config);
            return failure.message;
        }
        return std::string();
    };
    EXPECT_EQ(message(Dialect::mysql, "double"), "column \"c\" of type double cannot be hashed");
    EXPECT_EQ(message(Dialect::postgresql, "jsonb"), "column \"c\" of type jsonb cannot be hashed");
    EXPECT_EQ(message(Dialect::sqlite, "INTEGER"), "rows cannot be hashed at a source of kind sqlite");
    EXPECT_EQ(message(Dialect::generic, "INTEGER"), "rows cannot be hashed at a source of kind generic");
    EXPECT_EQ(message(Dialect::mysql, "int"), "");
}

}  // namespace
}  // namespace insync::odbc
