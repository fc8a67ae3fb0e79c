// Queries as sources: they are read to their end by each engine's rules, and what could end elsewhere is refused.
#include <gtest/gtest.h>

#include "bgworker/connector/odbc/sql/source_query.hpp"
#include "bgworker/connector/output/failure.hpp"

namespace insync::odbc {
namespace {

constexpr Dialect all[] = {Dialect::sqlite,    Dialect::mysql,  Dialect::postgresql,
                           Dialect::sqlserver, Dialect::oracle, Dialect::generic};

std::string select_of(Dialect dialect, const std::string& source, const char* marker = "?") {
    return parse_source_query(dialect, source).select.with(marker);
}

std::string refusal(Dialect dialect, const std::string& source) {
    try {
        parse_source_query(dialect, source);
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.kind, FailureClass::config);
        return failure.message;
    }
    return "";
}

TEST(ConnectorQuery, NeitherParenthesisNorSemicolonLeadsOutOfIt) {
    for (Dialect dialect : all) {
        for (const char* source :
             {"SELECT 1 AS x) s; DELETE FROM victim; --", "SELECT 1 AS x) s DELETE FROM victim --",
              "SELECT 1 AS x; DELETE FROM victim", "SELECT 1 AS x;;DELETE FROM victim", "SELECT 1 AS x) s WHERE (1 = 1",
              "WITH a AS (SELECT 1 AS x) DELETE FROM victim; SELECT 1", "SELECT (1 AS x", "SELECT 'x) s; DELETE",
              "SELECT \"x", "SELECT 1 /* AS x", "SELECT 1 AS x */ ) s; DROP TABLE victim", "SELECT {call wipe()}",
              "SELECT {fn wipe()}"}) {
            EXPECT_NE(refusal(dialect, source), "") << name_of(dialect) << ": " << source;
        }
        EXPECT_NE(refusal(dialect, std::string("SELECT 1\0) s", 12)), "");
    }
}

TEST(ConnectorQuery, EachEnginesQuotesAndCommentsAreItsOwn) {
    const auto sqlite = Dialect::sqlite, my = Dialect::mysql, pg = Dialect::postgresql, ms = Dialect::sqlserver,
               oracle = Dialect::oracle;
    // A text for one engine is an end of one for another.
    EXPECT_EQ(refusal(my, "SELECT '\\') s; DELETE FROM v; -- ' AS x"), "");
    EXPECT_NE(refusal(sqlite, "SELECT '\\') s; DELETE FROM v; -- ' AS x"), "");
    EXPECT_NE(refusal(pg, "SELECT '\\') s; DELETE FROM v; -- ' AS x"), "");
    EXPECT_EQ(refusal(pg, "SELECT E'\\') s; DELETE FROM v; -- ' AS x"), "");
    EXPECT_NE(refusal(my, "SELECT \"\\\") s; DELETE FROM v; -- \", 1 AS x) s"), "");
    EXPECT_EQ(refusal(pg, "SELECT $$ ') s; DELETE $$, $a$ $$ ) $a$, x$1 FROM t"), "");
    EXPECT_NE(refusal(sqlite, "SELECT $$ ') s; DELETE $$"), "");
    EXPECT_EQ(refusal(oracle, "SELECT q'[ it's ) ; ]', nq'!)!' AS x FROM dual"), "");
    EXPECT_NE(refusal(oracle, "SELECT q'[ ]' ) s; DELETE"), "");
    EXPECT_EQ(refusal(ms, "SELECT [a]]) s; --] FROM t"), "");
    EXPECT_NE(refusal(sqlite, "SELECT [a]]) s; --] FROM t"), "");
    EXPECT_EQ(refusal(pg, "SELECT (ARRAY['x', 'y'])[1] AS x"), "");
    EXPECT_NE(refusal(my, "SELECT 1 # ) s\n) s; DELETE"), "");
    EXPECT_EQ(refusal(my, "SELECT 1--1 AS x"), "");
    EXPECT_EQ(select_of(my, "SELECT 3 --1 AS x"), "SELECT 3 --1 AS x");
    EXPECT_EQ(select_of(pg, "SELECT 3 --1 AS x"), "SELECT 3");
    // Nested where the server nests, and run where it runs.
    EXPECT_EQ(select_of(pg, "SELECT 1 /* a /* b */ ) s; DELETE */ AS x"), "SELECT 1 AS x");
    EXPECT_NE(refusal(oracle, "SELECT 1 /* a /* b */ ) s; DELETE */ AS x"), "");
    EXPECT_NE(refusal(my, "SELECT 1 /*! ) s; DELETE */ AS x"), "");
    EXPECT_EQ(select_of(oracle, "SELECT /*+ FULL(t) */ x /* y */ FROM t"), "SELECT /*+ FULL(t) */ x FROM t");
    // Read in two ways by servers of two ages or settings.
    EXPECT_NE(refusal(pg, "SELECT 1E'\\' ) s; DELETE FROM v; --'"), "");
    EXPECT_NE(refusal(pg, "SELECT E'a'\n'b\\' ) s; DELETE FROM v; --'"), "");
    EXPECT_NE(refusal(pg, "SELECT set_config('standard_conforming_strings', 'off', false), 'a\\', ') s; DELETE; --'"),
              "");
    EXPECT_NE(refusal(pg, "SELECT $1"), "");
}

TEST(ConnectorQuery, AnUnknownEngineGetsWhatAllEnginesReadAlike) {
    const auto generic = Dialect::generic;
    EXPECT_EQ(select_of(generic, "SELECT 'it''s', a -- x\nFROM t WHERE w > :watermark;"),
              "SELECT 'it''s', a -- x\nFROM t WHERE w > ?\n");
    for (const char* source : {"SELECT '\\') s; DELETE --'", "SELECT [']; DELETE --'", "SELECT $$ ' $$, ') s; --'",
                               "SELECT 1 # '\n', ') s; DELETE --'", "SELECT 1 --x\r) s; DELETE\nFROM t"}) {
        EXPECT_NE(refusal(generic, source), "") << source;
    }
}

TEST(ConnectorQuery, CommentsAndSemicolonsAtTheEndAreLeftOut) {
    for (Dialect dialect :
         {Dialect::sqlite, Dialect::mysql, Dialect::postgresql, Dialect::sqlserver, Dialect::oracle}) {
        EXPECT_EQ(select_of(dialect, "SELECT a FROM t -- all of it"), "SELECT a FROM t");
        EXPECT_EQ(select_of(dialect, " -- x\nSELECT a /* ' */ FROM t; -- done\n;\n"), "SELECT a FROM t");
        EXPECT_EQ(select_of(dialect,
                            "SELECT ':watermark', \":watermark\" FROM t -- :watermark\nWHERE a > :watermark OR b > "
                            ":WATERMARK",
                            "?"),
                  "SELECT ':watermark', \":watermark\" FROM t\nWHERE a > ? OR b > ?");
    }
    EXPECT_EQ(select_of(Dialect::postgresql, "SELECT x::watermark, a[:watermark] FROM t"),
              "SELECT x::watermark, a[?] FROM t");
}

TEST(ConnectorQuery, SqlServersClausesStandWhereItTakesThem) {
    const SourceQuery query = parse_source_query(Dialect::sqlserver,
                                                 "WITH a (x) AS (SELECT x FROM t WHERE w > :watermark), [b] AS (SELECT "
                                                 "* FROM a)\nSELECT x FROM [b] ORDER BY x OPTION "
                                                 "(MAXRECURSION 0); -- end");
    EXPECT_EQ(query.with.with("?"), "WITH a (x) AS (SELECT x FROM t WHERE w > ?), [b] AS (SELECT * FROM a)");
    EXPECT_EQ(query.select.with("?"), "SELECT x FROM [b]");
    EXPECT_EQ(query.options.with("?"), "OPTION (MAXRECURSION 0)");
    EXPECT_EQ(query.markers(), 1u);
    const auto ms = Dialect::sqlserver;
    EXPECT_EQ(select_of(ms, "SELECT TOP (5) x FROM t ORDER BY x"), "SELECT TOP (5) x FROM t ORDER BY x");
    EXPECT_EQ(select_of(ms, "SELECT x FROM t ORDER BY x OFFSET 5 ROWS"), "SELECT x FROM t ORDER BY x OFFSET 5 ROWS");
    EXPECT_EQ(select_of(ms, "SELECT TOP 5 x FROM t UNION ALL SELECT 1 ORDER BY x"),
              "SELECT TOP 5 x FROM t UNION ALL SELECT 1");
    EXPECT_EQ(select_of(ms, "SELECT x, ROW_NUMBER() OVER (ORDER BY y) AS n FROM t FOR SYSTEM_TIME ALL"),
              "SELECT x, ROW_NUMBER() OVER (ORDER BY y) AS n FROM t FOR SYSTEM_TIME ALL");
    EXPECT_EQ(refusal(ms, "SELECT x FROM t FOR JSON PATH"), "the source has a clause FOR XML or FOR JSON");
    EXPECT_EQ(refusal(ms, "WITH a AS (SELECT 1 AS x) DELETE FROM a"), "the source has no SELECT behind WITH");
    EXPECT_EQ(select_of(Dialect::mysql, "WITH a AS (SELECT 1 AS x) SELECT x FROM a ORDER BY x"),
              "WITH a AS (SELECT 1 AS x) SELECT x FROM a ORDER BY x");
}

TEST(ConnectorQuery, AQuestionMarkIsAnOperatorInPostgresqlAlone) {
    EXPECT_EQ(select_of(Dialect::postgresql, "SELECT j ? 'a', j ?| b, j @? c, '?' FROM t"),
              "SELECT j --\r?\n 'a', j --\r?|\n b, j --\r@?\n c, '?' FROM t");
    EXPECT_EQ(refusal(Dialect::mysql, "SELECT * FROM t WHERE a = ?"), "the source has a parameter");
}

TEST(ConnectorQuery, OtherStatementsAreToldWhatToDoInstead) {
    auto told = [](const char* source) {
        try {
            refuse_other_statements(source);
        } catch (const Failure& failure) {
            return failure.message;
        }
        return std::string();
    };
    EXPECT_EQ(told("EXEC dbo.report @year = 2026"), "a call of a procedure cannot be a source");
    EXPECT_EQ(told("{call report(2026)}"), "a call of a procedure cannot be a source");
    EXPECT_EQ(told("DELETE FROM t"), "the source is not a SELECT statement");
    EXPECT_EQ(told("Order Details"), "");
    EXPECT_EQ(told("call"), "");
}

}  // namespace
}  // namespace insync::odbc
