// Types, plans and the statements of every dialect, as text.
#include <gtest/gtest.h>

#include <algorithm>

#include "bgworker/connector/odbc/fetch.hpp"
#include "bgworker/connector/odbc/sql/catalog_statements.hpp"
#include "bgworker/connector/odbc/sql/read_plan.hpp"
#include "tests/unit/connector/frames.hpp"

namespace insync::odbc {
namespace {

using Texts = std::vector<std::string>;

SourceColumn column(Dialect dialect, const char* name, const char* type, bool nullable = false,
                    SQLSMALLINT sql_type = SQL_VARCHAR) {
    ResultColumn result;
    result.name = name;
    result.nullable = nullable;
    result.sql_type = sql_type;
    result.size = 10;
    return resolve_column(dialect, result, type);
}

Relation table(std::string from, std::vector<SourceColumn> columns) {
    Relation relation;
    relation.from = std::move(from);
    relation.columns = std::move(columns);
    return relation;
}

ReadRequest request(Texts key, Texts watermark, std::size_t page_rows = 100) {
    ReadRequest read;
    read.key = std::move(key);
    read.watermark = std::move(watermark);
    read.page_rows = page_rows;
    return read;
}

ReadPlan orders(Dialect dialect, const char* integer, const char* time) {
    return make_read_plan(dialect,
                          table(quote_path(dialect, {"dbo", "orders"}),
                                {column(dialect, "id", integer), column(dialect, "changed", time)}),
                          request({"id"}, {"changed"}));
}

TEST(ConnectorStatements, Mysql) {
    const ReadPlan plan = orders(Dialect::mysql, "bigint(20)", "datetime(6)");
    const StatementText load = key_page(plan, After{"", {"41"}}, false, {});
    EXPECT_EQ(load.sql,
              "SELECT s.`id`, s.`changed` FROM `dbo`.`orders` s WHERE s.`id` > CAST(? AS SIGNED) "
              "ORDER BY s.`id` LIMIT 100");
    EXPECT_EQ(load.parameters, Texts({"41"}));
    const StatementText first = changes_page(plan, std::nullopt, Bounds{"2024-01-01 00:00:00", {}, {}});
    EXPECT_EQ(first.sql,
              "SELECT s.`id`, s.`changed` FROM `dbo`.`orders` s WHERE s.`changed` >= CAST(? AS DATETIME(6)) "
              "ORDER BY s.`changed`, s.`id` LIMIT 100");
    const StatementText next = changes_page(plan, After{"T", {"7"}}, Bounds{"2024-01-01 00:00:00", {}, {}});
    EXPECT_EQ(next.sql,
              "SELECT s.`id`, s.`changed` FROM `dbo`.`orders` s WHERE s.`changed` >= CAST(? AS DATETIME(6)) "
              "AND (s.`changed` > CAST(? AS DATETIME(6)) OR (s.`changed` = CAST(? AS DATETIME(6)) AND "
              "s.`id` > CAST(? AS SIGNED))) ORDER BY s.`changed`, s.`id` LIMIT 100");
    EXPECT_EQ(next.parameters, Texts({"T", "T", "T", "7"}));
}

TEST(ConnectorStatements, Postgresql) {
    const ReadPlan plan = orders(Dialect::postgresql, "bigint", "timestamp with time zone");
    EXPECT_EQ(changes_page(plan, std::nullopt, Bounds{"2024-01-01 00:00:00+00", {}, {}}).sql,
              "SELECT s.\"id\", CAST(s.\"changed\" AS text) AS \"changed\" FROM \"dbo\".\"orders\" s WHERE "
              "s.\"changed\" >= CAST(? AS timestamptz) ORDER BY s.\"changed\", s.\"id\" LIMIT 100");
    EXPECT_EQ(max_watermark(plan, std::nullopt, {}).sql,
              "SELECT CAST(MAX(s.\"changed\") AS text) FROM \"dbo\".\"orders\" s");
}

TEST(ConnectorStatements, Trap12SqlServerCastsTheBoundToTheColumnsOwnType) {
    const ReadPlan plan = orders(Dialect::sqlserver, "int", "datetime");
    EXPECT_EQ(changes_page(plan, std::nullopt, Bounds{"2024-01-01 00:00:00.003", {}, {}}).sql,
              "SELECT TOP (100) s.[id], s.[changed] FROM [dbo].[orders] s WHERE s.[changed] >= CAST(? AS datetime) "
              "ORDER BY s.[changed], s.[id]");
    EXPECT_EQ(max_watermark(plan, std::nullopt, {}).sql,
              "SELECT CONVERT(varchar(23), MAX(s.[changed]), 121) FROM [dbo].[orders] s");
    EXPECT_EQ(max_watermark(orders(Dialect::sqlserver, "int", "datetime2(7)"), "C", {}).sql,
              "SELECT CONVERT(varchar(27), MAX(s.[changed]), 121) FROM [dbo].[orders] s WHERE s.[changed] <= "
              "CAST(? AS datetime2(7))");
}

TEST(ConnectorStatements, Trap04SqlServerRowversionStaysBelowTheHorizon) {
    const ReadPlan plan = orders(Dialect::sqlserver, "int", "timestamp");
    EXPECT_EQ(plan.kind, WatermarkKind::rowversion);
    const StatementText page = changes_page(plan, std::nullopt, Bounds{"0x00000000000007D1", "0x8000000000000000", {}});
    EXPECT_EQ(
        page.sql,
        "SELECT TOP (100) s.[id], CAST(s.[changed] AS bigint) AS [changed] FROM [dbo].[orders] s WHERE s.[changed] >= "
        "CAST(CAST(? AS bigint) AS binary(8)) AND s.[changed] < CAST(CAST(? AS bigint) AS binary(8)) "
        "ORDER BY s.[changed], s.[id]");
    EXPECT_EQ(page.parameters, Texts({"2001", "-9223372036854775808"}));
    // Positions keep the form that they always had.
    EXPECT_EQ(rowversion_literal("2001"), "0x00000000000007D1");
    EXPECT_EQ(rowversion_literal("-9223372036854775808"), "0x8000000000000000");
    EXPECT_EQ(watermark_literal(plan.columns[1], "2001"), "0x00000000000007D1");
}

TEST(ConnectorStatements, SqlServerIsolation) {
    EXPECT_EQ(sqlserver_isolation(true, false).begin,
              Texts({"SET TRANSACTION ISOLATION LEVEL SNAPSHOT", "BEGIN TRANSACTION"}));
    EXPECT_EQ(sqlserver_isolation(false, true).begin, Texts({"SET TRANSACTION ISOLATION LEVEL READ COMMITTED"}));
    EXPECT_EQ(sqlserver_isolation(false, true).warning, "");
    EXPECT_NE(sqlserver_isolation(false, false).warning, "");
}

TEST(ConnectorStatements, Oracle) {
    const ReadPlan plan = orders(Dialect::oracle, "NUMBER(10,0)", "TIMESTAMP(6)");
    EXPECT_EQ(changes_page(plan, std::nullopt, Bounds{"B", {}, {}}).sql,
              "SELECT s.\"id\", TO_CHAR(s.\"changed\", 'YYYY-MM-DD HH24:MI:SS.FF9') AS \"changed\" FROM "
              "\"dbo\".\"orders\" s WHERE s.\"changed\" >= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS.FF9') ORDER BY "
              "s.\"changed\", s.\"id\" FETCH FIRST 100 ROWS ONLY");
}

TEST(ConnectorStatements, SqliteBindsTheStoredText) {
    const ReadPlan plan = orders(Dialect::sqlite, "INTEGER", "DATETIME");
    EXPECT_NE(changes_page(plan, std::nullopt, Bounds{"B", {}, {}})
                  .sql.find("WHERE s.\"changed\" >= ? ORDER BY s.\"changed\", "),
              std::string::npos);
}

TEST(ConnectorStatements, APollReadsEverythingInOneStatement) {
    const auto pg = Dialect::postgresql, my = Dialect::mysql;
    const ReadPlan plain = orders(my, "int", "datetime(6)");
    EXPECT_EQ(poll_page(plain, Bounds{"B", {}, {}}, 50).sql,
              "SELECT s.`id`, s.`changed` FROM `dbo`.`orders` s WHERE s.`changed` >= CAST(? AS DATETIME(6)) ORDER BY "
              "s.`changed`, s.`id` LIMIT 50");
    const ReadPlan nullable = make_read_plan(
        pg, table("t", {column(pg, "id", "integer", true), column(pg, "w", "integer", true)}), request({"id"}, {"w"}));
    const StatementText poll = poll_page(nullable, Bounds{"B", "H", {}}, 50);
    EXPECT_EQ(poll.sql,
              "SELECT s.\"id\", s.\"w\" FROM t s WHERE (s.\"w\" IS NULL OR (s.\"w\" IS NOT NULL AND s.\"w\" >= "
              "CAST(? AS integer) AND s.\"w\" < CAST(? AS integer))) ORDER BY s.\"w\" NULLS FIRST, s.\"id\" LIMIT 50");
    EXPECT_EQ(poll.parameters, Texts({"B", "H"}));
}

TEST(ConnectorStatements, EnginesThatArePolledHaveMarksOfDefinitions) {
    for (const Dialect dialect : {Dialect::mysql, Dialect::postgresql, Dialect::sqlserver}) {
        const Query mark = definition_mark(dialect, {"dbo", "orders"});
        EXPECT_EQ(static_cast<std::size_t>(std::count(mark.sql.begin(), mark.sql.end(), '?')), mark.parameters.size());
        EXPECT_FALSE(mark.sql.empty());
    }
    EXPECT_EQ(definition_mark(Dialect::sqlite, {"orders"}).sql, "");
}

TEST(ConnectorStatements, GenericHasNoPageClause) {
    const auto generic = Dialect::generic;
    const ReadPlan plan = make_read_plan(generic,
                                         table("\"t\"", {column(generic, "id", "", false, SQL_INTEGER),
                                                         column(generic, "w", "", false, SQL_TYPE_TIMESTAMP)}),
                                         request({"id"}, {"w"}));
    EXPECT_EQ(changes_page(plan, std::nullopt, Bounds{"B", {}, {}}).sql,
              "SELECT s.\"id\", s.\"w\" FROM \"t\" s WHERE s.\"w\" >= CAST(? AS TIMESTAMP) ORDER BY s.\"w\", s.\"id\"");
}

TEST(ConnectorStatements, KeysOfSeveralColumnsAndNulls) {
    const auto oracle = Dialect::oracle;
    const ReadPlan plan =
        make_read_plan(oracle,
                       table("\"t\"", {column(oracle, "a", "VARCHAR2"), column(oracle, "b", "VARCHAR2", true),
                                       column(oracle, "w", "VARCHAR2", true)}),
                       request({"a", "b"}, {"w"}));
    const StatementText page = key_page(plan, After{"", {"1", "x"}}, true, {});
    EXPECT_NE(
        page.sql.find("FROM \"t\" s WHERE s.\"w\" IS NULL AND s.\"b\" IS NOT NULL AND s.\"a\" >= ? AND (s.\"a\" > ? "
                      "OR (s.\"a\" = ? AND s.\"b\" > ?)) ORDER BY s.\"a\", s.\"b\" FETCH FIRST 100 ROWS ONLY"),
        std::string::npos)
        << page.sql;
    EXPECT_EQ(page.parameters, Texts({"1", "1", "1", "x"}));
    const StatementText lost = null_key_rows(plan, Bounds{"L", {}, {}});
    EXPECT_NE(lost.sql.find("WHERE (s.\"b\" IS NULL) AND (s.\"w\" >= ? OR s.\"w\" IS NULL)"), std::string::npos)
        << lost.sql;
    EXPECT_NE(changes_page(plan, std::nullopt, {}).sql.find("WHERE s.\"w\" IS NOT NULL AND s.\"b\" IS NOT NULL"),
              std::string::npos);
}

TEST(ConnectorStatements, SeveralWatermarksAreCoalesced) {
    const auto mysql = Dialect::mysql;
    const ReadPlan plan = make_read_plan(mysql,
                                         table("`t`", {column(mysql, "id", "int"), column(mysql, "u", "datetime", true),
                                                       column(mysql, "c", "datetime")}),
                                         request({"id"}, {"u", "c"}));
    EXPECT_FALSE(plan.has_nullable_watermark());
    EXPECT_EQ(plan.sent, 3u);
    EXPECT_EQ(
        changes_page(plan, std::nullopt, Bounds{"B", {}, {}}).sql,
        "SELECT s.`id`, s.`u`, s.`c`, COALESCE(s.`u`, s.`c`) AS `insync_watermark` FROM `t` s WHERE COALESCE(s.`u`, "
        "s.`c`) >= CAST(? AS DATETIME(6)) ORDER BY COALESCE(s.`u`, s.`c`), s.`id` LIMIT 100");
}

TEST(ConnectorStatements, AQuerysMarkersAreBoundBeforeThePage) {
    const auto pg = Dialect::postgresql;
    Relation query;
    query.is_query = query.has_marker = true;
    query.query = parse_source_query(pg, "SELECT id, w FROM t WHERE w > :watermark;");
    query.columns = {column(pg, "id", "integer"), column(pg, "w", "timestamp")};
    const ReadPlan plan = make_read_plan(pg, query, request({"id"}, {"w"}));
    const StatementText page = changes_page(plan, After{"A", {"3"}}, Bounds{"L", {}, "M"});
    EXPECT_EQ(
        page.sql,
        "SELECT s.\"id\", CAST(s.\"w\" AS text) AS \"w\" FROM (SELECT id, w FROM t WHERE w > CAST(? AS timestamp)) s "
        "WHERE s.\"w\" >= CAST(? AS timestamp) AND (s.\"w\" > CAST(? AS timestamp) OR (s.\"w\" = CAST(? AS "
        "timestamp) AND s.\"id\" > CAST(? AS integer))) ORDER BY s.\"w\", s.\"id\" LIMIT 100");
    EXPECT_EQ(page.parameters, Texts({"M", "A", "A", "A", "3"}));
}

TEST(ConnectorStatements, AQuerysMarkersAreBoundWithoutBoundsToo) {
    Relation query;
    query.is_query = query.has_marker = true;
    query.query = parse_source_query(Dialect::sqlite, "SELECT id, w FROM t WHERE w > :watermark");
    query.columns = {column(Dialect::sqlite, "id", "integer"), column(Dialect::sqlite, "w", "text")};
    const ReadPlan plan = make_read_plan(Dialect::sqlite, query, request({"id"}, {"w"}));
    EXPECT_EQ(storage_classes(plan, 1).parameters, Texts({""}));
    EXPECT_EQ(preview_rows(plan, 5).parameters, Texts({""}));
}

TEST(ConnectorStatements, ColumnsThatAreNotSentStandBehindThoseThatAre) {
    const auto pg = Dialect::postgresql;
    ReadRequest read = request({"id"}, {"w"});
    read.columns = Texts({"x"});
    const ReadPlan plan = make_read_plan(
        pg, table("t", {column(pg, "id", "integer"), column(pg, "w", "integer"), column(pg, "x", "text")}), read);
    EXPECT_EQ(plan.sent, 1u);
    EXPECT_EQ(plan.columns.size(), 3u);
    EXPECT_EQ(plan.columns[0].name, "x");
}

TEST(ConnectorStatements, UnknownColumnsAreNamedWithTheNearest) {
    const auto pg = Dialect::postgresql;
    try {
        make_read_plan(pg, table("t", {column(pg, "updated_at", "timestamp")}), request({}, {"update_at"}));
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.message, "watermark column \"update_at\" does not exist in the source");
        EXPECT_EQ(failure.hint, "Perhaps you meant \"updated_at\".");
    }
}

TEST(ConnectorStatements, NamesAreQuoted) {
    EXPECT_EQ(quote_name(Dialect::mysql, "a`b"), "`a``b`");
    EXPECT_EQ(quote_name(Dialect::sqlserver, "a]b"), "[a]]b]");
    EXPECT_EQ(quote_name(Dialect::oracle, "a\"b"), "\"a\"\"b\"");
    EXPECT_EQ(source_text({"dbo", "a.b"}), "dbo.\"a.b\"");
}

TEST(ConnectorStatements, CatalogOfAnotherSqlServerDatabase) {
    const Query query = columns_query(Dialect::sqlserver, {"erp", "dbo", "t"});
    EXPECT_NE(query.sql.find("FROM [erp].sys.columns c JOIN [erp].sys.types t"), std::string::npos);
    EXPECT_EQ(query.parameters, Texts({"[erp].[dbo].[t]"}));
}

TEST(ConnectorTypes, Table) {
    struct Case {
        Dialect dialect;
        const char* type;
        Transport transport;
        const char* pg_type;
    };
    const Case cases[] = {
        {Dialect::sqlite, "INTEGER", Transport::int8, "bigint"},
        {Dialect::sqlite, "DECIMAL(10,2)", Transport::numeric, "numeric"},
        {Dialect::sqlite, "NVARCHAR(20)", Transport::text, "text"},
        {Dialect::sqlite, "DATETIME", Transport::timestamp, "timestamp"},
        {Dialect::sqlite, "", Transport::text, "text"},
        {Dialect::sqlite, "JSON", Transport::jsonb, "jsonb"},
        {Dialect::mysql, "bigint(20) unsigned", Transport::numeric, "numeric(20,0)"},
        {Dialect::mysql, "int(10) unsigned zerofill", Transport::int8, "bigint"},
        {Dialect::mysql, "tinyint(1)", Transport::int2, "smallint"},
        {Dialect::mysql, "bit(1)", Transport::boolean, "boolean"},
        {Dialect::mysql, "bit(10)", Transport::bytea, "bytea"},
        {Dialect::mysql, "decimal(65,30)", Transport::numeric, "numeric(65,30)"},
        {Dialect::mysql, "timestamp(3)", Transport::timestamptz, "timestamptz"},
        {Dialect::mysql, "enum('a','b')", Transport::text, "text"},
        {Dialect::mysql, "year(4)", Transport::int2, "smallint"},
        {Dialect::postgresql, "numeric(10,2)", Transport::numeric, "numeric(10,2)"},
        {Dialect::postgresql, "integer[]", Transport::text, "text"},
        {Dialect::postgresql, "character varying(20)", Transport::text, "text"},
        {Dialect::postgresql, "timestamp(3) with time zone", Transport::timestamptz, "timestamptz"},
        {Dialect::postgresql, "jsonb", Transport::jsonb, "jsonb"},
        {Dialect::sqlserver, "money", Transport::numeric, "numeric(19,4)"},
        {Dialect::sqlserver, "datetimeoffset(7)", Transport::timestamptz, "timestamptz"},
        {Dialect::sqlserver, "uniqueidentifier", Transport::uuid, "uuid"},
        {Dialect::sqlserver, "xml", Transport::text, "xml"},
        {Dialect::sqlserver, "rowversion", Transport::bytea, "bytea"},
        {Dialect::sqlserver, "nvarchar", Transport::text, "text"},
        {Dialect::oracle, "NUMBER(9,0)", Transport::int4, "integer"},
        {Dialect::oracle, "NUMBER", Transport::numeric, "numeric"},
        {Dialect::oracle, "DATE", Transport::timestamp, "timestamp(0)"},
        {Dialect::oracle, "TIMESTAMP(6) WITH TIME ZONE", Transport::timestamptz, "timestamptz"},
    };
    for (const Case& c : cases) {
        const SourceColumn resolved = column(c.dialect, "x", c.type);
        EXPECT_EQ(resolved.type, c.transport) << name_of(c.dialect) << " " << c.type;
        EXPECT_EQ(resolved.pg_type, c.pg_type) << name_of(c.dialect) << " " << c.type;
        EXPECT_EQ(resolved.source_type, c.type);
    }
}

TEST(ConnectorTypes, SqlServersOwnStructuresArriveAsItShowsThem) {
    test::Capture capture;
    auto encoded = [&](const SourceColumn& of, std::string_view bytes) {
        capture.writer.begin_row(1);
        EXPECT_EQ(encode_cell(capture.writer, of, Cell{bytes, false, Fault::none}, {}, 100), Fault::none);
        capture.writer.end_row();
        const std::vector<test::Frame> frames = capture.frames();
        return *test::rows_of(frames.back().payload).back()[0];
    };
    const SourceColumn version = column(Dialect::sqlserver, "v", "timestamp");
    const std::int64_t number = 2001;
    const std::string_view bytes(reinterpret_cast<const char*>(&number), sizeof number);
    EXPECT_EQ(encoded(version, bytes), std::string("\0\0\0\0\0\0\x07\xD1", 8));
    EXPECT_EQ(literal_of(version, {bytes, false, Fault::none}), "0x00000000000007D1");
    // 1/300 seconds with as many digits as each driver has.
    const SourceColumn time = column(Dialect::sqlserver, "t", "datetime");
    const std::pair<SQLUINTEGER, const char*> fractions[] = {{0, "000"},         {3333333, "003"},  {3000000, "003"},
                                                             {6666667, "007"},   {6666666, "007"},  {7000000, "007"},
                                                             {996666667, "997"}, {997000000, "997"}};
    for (const auto& [fraction, shown] : fractions) {
        const SQL_TIMESTAMP_STRUCT value{2026, 1, 5, 10, 0, 59, fraction};
        const std::string_view cell(reinterpret_cast<const char*>(&value), sizeof value);
        EXPECT_EQ(literal_of(time, {cell, false, Fault::none}), std::string("2026-01-05 10:00:59.") + shown);
        EXPECT_EQ(wire::get_int64(encoded(time, cell).data()) % 1000000, std::stoi(shown) * 1000);
    }
}

TEST(ConnectorTypes, WatermarkKinds) {
    const auto lite = Dialect::sqlite;
    EXPECT_EQ(watermark_kind(column(lite, "x", "TEXT"), "2024-01-01 00:00:00"), WatermarkKind::time);
    EXPECT_EQ(watermark_kind(column(lite, "x", "TEXT"), "v17"), WatermarkKind::text);
    EXPECT_EQ(watermark_kind(column(lite, "x", "DATETIME"), "1700000000"), WatermarkKind::integer);
    EXPECT_EQ(watermark_kind(column(lite, "x", "BLOB"), std::nullopt), WatermarkKind::none);
}

}  // namespace
}  // namespace insync::odbc
