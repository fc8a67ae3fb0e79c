// ORDER BY and the condition of a page use one comparison: the statements of engines, those that aren't at hand too.
#include <gtest/gtest.h>

#include "bgworker/connector/odbc/sql/key_order.hpp"
#include "bgworker/connector/odbc/sql/statement_builder.hpp"
#include "bgworker/connector/output/failure.hpp"

namespace insync::odbc {
namespace {

using Texts = std::vector<std::string>;

struct Page {
    std::string order;      // behind ORDER BY
    std::string condition;  // behind WHERE
    Texts parameters;
};

ReadPlan plan_of(Dialect dialect, const std::vector<std::pair<std::string, std::string>>& columns,
                 std::size_t size = 10) {
    Relation relation;
    relation.from = "t";
    ReadRequest request;
    for (const auto& [name, type] : columns) {
        ResultColumn result;
        result.name = name;
        result.nullable = false;
        result.size = size;
        result.type_name = type;
        relation.columns.push_back(resolve_column(dialect, result, type));
        request.key.push_back(name);
    }
    request.page_rows = 7;
    return make_read_plan(dialect, std::move(relation), request);
}

Page page_of(const ReadPlan& plan, const Texts& key) {
    const StatementText statement = key_page(plan, After{"", key}, false, {});
    const std::string& sql = statement.sql;
    const std::size_t where = sql.find(" WHERE "), order = sql.find(" ORDER BY ");
    std::size_t end = sql.find(" LIMIT ");
    if (end == std::string::npos) end = sql.find(" FETCH FIRST ");
    return {sql.substr(order + 10, end == std::string::npos ? end : end - order - 10),
            sql.substr(where + 7, order - where - 7), statement.parameters};
}

void expect_one_comparison(Dialect dialect, const std::string& type, const std::string& parameter) {
    const ReadPlan plan = plan_of(dialect, {{"k", type}});
    const std::string reference = "s." + quote_name(dialect, "k");
    const Page page = page_of(plan, {"v"});
    EXPECT_EQ(page.order, reference) << type;
    EXPECT_EQ(page.condition, reference + " > " + parameter) << type;
    EXPECT_EQ(page.parameters, Texts({"v"})) << type;
}

TEST(ConnectorKeyOrder, SqlServerComparesInTheColumnsOwnType) {
    for (const char* type :
         {"uniqueidentifier", "int", "datetime", "datetime2(7)", "datetimeoffset(3)", "nvarchar(40)", "nchar(10)",
          "varchar(40)", "char(10)", "decimal(20,3)", "float", "real", "money", "hierarchyid"}) {
        expect_one_comparison(Dialect::sqlserver, type, "CAST(? AS " + std::string(type) + ")");
    }
    expect_one_comparison(Dialect::sqlserver, "varbinary(20)", "CONVERT(varbinary(8000), ?, 2)");
}

TEST(ConnectorKeyOrder, SqlServersVariantsHaveNoComparisonThatAPositionKeeps) {
    try {
        plan_of(Dialect::sqlserver, {{"k", "sql_variant"}});
        FAIL() << "a key of sql_variant was taken";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.message, "column \"k\" of type sql_variant cannot be a key");
        EXPECT_NE(failure.hint, "");
    }
}

TEST(ConnectorKeyOrder, OracleComparesPaddedTextsAsPaddedOnes) {
    expect_one_comparison(Dialect::oracle, "CHAR", "CAST(? AS CHAR(10 CHAR))");
    expect_one_comparison(Dialect::oracle, "NCHAR", "CAST(? AS NCHAR(10))");
    expect_one_comparison(Dialect::oracle, "VARCHAR2", "?");
    expect_one_comparison(Dialect::oracle, "NUMBER", "TO_NUMBER(?)");
    expect_one_comparison(Dialect::oracle, "BINARY_DOUBLE", "TO_BINARY_DOUBLE(?)");
    expect_one_comparison(Dialect::oracle, "RAW", "HEXTORAW(?)");
    expect_one_comparison(Dialect::oracle, "DATE", "TO_DATE(?, 'YYYY-MM-DD HH24:MI:SS')");
    expect_one_comparison(Dialect::oracle, "FLOAT", "TO_NUMBER(?)");
    EXPECT_EQ(plan_of(Dialect::oracle, {{"k", "FLOAT"}}).columns.at(1).select, "TO_CHAR(@, 'TM9')");
}

TEST(ConnectorKeyOrder, OracleSortsTextsAsItComparesThem) {
    Texts sent;
    for (const SessionStatement& statement : session_statements(Dialect::oracle, 0, 60000)) {
        if (statement.required) sent.push_back(statement.sql);
    }
    for (const char* setting : {"NLS_SORT", "NLS_COMP"}) {
        const std::string wanted = std::string("ALTER SESSION SET ") + setting + " = BINARY";
        EXPECT_NE(std::find(sent.begin(), sent.end(), wanted), sent.end()) << setting;
    }
}

TEST(ConnectorKeyOrder, MysqlsEnumsAreComparedByNumber) {
    for (const char* type : {"enum('b','a')", "set('b','a')"}) {
        const ReadPlan plan = plan_of(Dialect::mysql, {{"k", type}, {"id", "int"}});
        EXPECT_EQ(
            key_page(plan, std::nullopt, false, {}).sql,
            "SELECT s.`k`, s.`id`, CAST(s.`k` AS UNSIGNED) AS `insync_key_1` FROM t s ORDER BY s.`k`, s.`id` LIMIT 7");
        const Page page = page_of(plan, {"2", "5"});
        EXPECT_EQ(page.condition,
                  "s.`k` >= CAST(? AS UNSIGNED) AND (s.`k` > CAST(? AS UNSIGNED) OR (s.`k` = CAST(? AS UNSIGNED) AND "
                  "s.`id` > CAST(? AS SIGNED)))");
        // A row that is looked up has the target's text.
        EXPECT_NE(
            rows_of_keys(plan, {{"b", "5"}}, std::nullopt, {}).sql.find("s.`k` = ? AND s.`id` = CAST(? AS SIGNED)"),
            std::string::npos);
    }
}

TEST(ConnectorKeyOrder, MysqlsEnumsAreNoWatermarks) {
    EXPECT_EQ(watermark_kind(plan_of(Dialect::mysql, {{"k", "enum('b','a')"}}).columns[0], std::nullopt),
              WatermarkKind::none);
    EXPECT_EQ(watermark_kind(plan_of(Dialect::mysql, {{"k", "varchar(20)"}}).columns[0], std::nullopt),
              WatermarkKind::text);
}

TEST(ConnectorKeyOrder, OraclesLowestTextIsntNull) {
    const SourceColumn text = plan_of(Dialect::oracle, {{"k", "VARCHAR2"}}).columns[0];
    EXPECT_EQ(lowest_literal(Dialect::oracle, text, WatermarkKind::text), "\x01");
}

TEST(ConnectorKeyOrder, SqlitesPositionsKeepTheClassOfAValue) {
    const ReadPlan plan = plan_of(Dialect::sqlite, {{"k", "ANY"}});
    auto condition = [&](const std::string& literal) { return page_of(plan, {literal}); };
    const std::string k = "s.\"k\" COLLATE \"BINARY\" > ";
    EXPECT_EQ(condition("'10").condition, k + "?");
    EXPECT_EQ(condition("'10").parameters, Texts({"10"}));
    EXPECT_EQ(condition("10").condition, k + "+CAST(? AS NUMERIC)");
    EXPECT_EQ(condition("x00FF").condition, k + "x'00FF'");
    EXPECT_EQ(condition("h6100").condition, k + "+CAST(x'6100' AS TEXT)");
    EXPECT_EQ(condition("-Inf").condition, k + "-9e999");
    // What nobody wrote so is a parameter, and no part of the statement.
    EXPECT_EQ(condition("x' OR 1 --").condition, k + "+CAST(? AS NUMERIC)");
    EXPECT_EQ(condition("'10").order, "s.\"k\" COLLATE \"BINARY\"");
}

TEST(ConnectorKeyOrder, SqlitesKeyIsOrderedByTheCollationOfItsIndex) {
    Relation relation;
    relation.from = "t";
    ResultColumn result;
    result.name = "k";
    relation.columns.push_back(resolve_column(Dialect::sqlite, result, "TEXT"));
    relation.unique_keys = {{"k"}};
    relation.collations[{"k"}] = {"NOCASE"};
    ReadRequest request;
    request.key = {"k"};
    const ReadPlan plan = make_read_plan(Dialect::sqlite, relation, request);
    EXPECT_EQ(page_of(plan, {"'a"}).order, "s.\"k\" COLLATE \"NOCASE\"");
}

TEST(ConnectorKeyOrder, PositionsOfAnotherOrderAreKnown) {
    EXPECT_NE(order_text(plan_of(Dialect::postgresql, {{"k", "integer"}})),
              order_text(plan_of(Dialect::postgresql, {{"k", "text"}})));
    EXPECT_FALSE(has_special_order(plan_of(Dialect::postgresql, {{"k", "text"}})));
    EXPECT_TRUE(has_special_order(plan_of(Dialect::mysql, {{"k", "enum('a')"}})));
}

}  // namespace
}  // namespace insync::odbc
