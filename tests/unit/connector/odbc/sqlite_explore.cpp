// Describing, checking and explaining real SQLite files through the real driver.
#include "tests/unit/connector/odbc/sqlite_database.hpp"

namespace insync::odbc {
namespace {

using namespace test_sqlite;
using namespace std::string_literals;

using ConnectorSqliteExplore = SqliteTest;

TEST_F(ConnectorSqliteExplore, DescribeNamesKeysAndKinds) {
    sql("CREATE TABLE t (a INTEGER NOT NULL, b TEXT, updated_at TEXT, n INTEGER, PRIMARY KEY (a, b), UNIQUE (n))");
    sql("INSERT INTO t VALUES (1, 'x', '2024-01-01 00:00:00.1234567', NULL), (2, 'y', NULL, 5)");
    const json described = source_.describe({"T", std::nullopt, std::vector<std::string>{"updated_at"}});
    EXPECT_EQ(described["source"], "t");
    EXPECT_EQ(described["kind"], "table");
    EXPECT_EQ(described["primary_key"], json({"a", "b"}));
    EXPECT_EQ(described["unique_keys"], json::array({{"n"}}));
    EXPECT_EQ(described["nullable_key"], json({"b"}));
    EXPECT_EQ(described["watermark_kind"], "time");
    EXPECT_EQ(described["null_watermarks"], 1);
    EXPECT_EQ(described["watermark_candidates"], json({"updated_at"}));
    EXPECT_EQ(described["estimated_rows"], 2);
}

TEST_F(ConnectorSqliteExplore, DescribeRefusesUselessWatermarks) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, never DATETIME, b BLOB, d DATETIME)");
    sql("INSERT INTO t VALUES (1, NULL, x'00', '31/12/2024')");
    auto failure = [&](const char* watermark) {
        try {
            source_.describe({"t", std::nullopt, std::vector<std::string>{watermark}});
        } catch (const Failure& error) {
            return error.message;
        }
        return "none"s;
    };
    EXPECT_EQ(failure("never"), "watermark column \"never\" is never set");
    EXPECT_EQ(failure("b"), "column \"b\" of type BLOB cannot be a watermark");
    EXPECT_EQ(failure("d"), "watermark column \"d\" holds values that have no order");
    EXPECT_EQ(failure("nevr"), "watermark column \"nevr\" does not exist in the source");
}

TEST_F(ConnectorSqliteExplore, UnknownSourcesAreNamedWithTheNearest) {
    sql("CREATE TABLE ventas (id INTEGER PRIMARY KEY)");
    try {
        source_.describe({"venta", std::nullopt, std::nullopt});
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.kind, FailureClass::config);
        EXPECT_EQ(failure.hint, "Perhaps you meant \"ventas\".");
    }
}

TEST_F(ConnectorSqliteExplore, AMissingFileIsNamedAndNotCreated) {
    OpenRequest request;
    request.server = {{"driver", "SQLite3"}, {"database", path_ + "_missing"}};
    try {
        OdbcSource().open(request);
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.kind, FailureClass::config);
        EXPECT_EQ(failure.message, "could not open SQLite file \"" + path_ + "_missing\"");
    }
    EXPECT_NE(access((path_ + "_missing").c_str(), F_OK), 0);
}

TEST_F(ConnectorSqliteExplore, CheckStopsAtTheFirstFailedStep) {
    OpenRequest request;
    request.server = {{"driver", "SQLite33"}, {"database", path_}};
    test::Capture capture;
    OdbcSource().check({request, ""}, capture.writer);
    auto frames = capture.frames();
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0].json()["step"], "driver");
    EXPECT_EQ(frames[0].json()["ok"], false);
    EXPECT_NE(frames[0].json()["message"].get<std::string>().find("Perhaps you meant \"SQLite3\""), std::string::npos);
    request.server["driver"] = "SQLite3";
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    OdbcSource().check({request, ""}, capture.writer);
    frames = capture.frames();
    ASSERT_EQ(frames.size(), 5u);
    for (const test::Frame& frame : frames) EXPECT_EQ(frame.json()["ok"], true) << frame.payload;
}

TEST_F(ConnectorSqliteExplore, ExplainShowsStatementsWithoutReading) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w DATETIME NOT NULL)");
    sql("INSERT INTO t VALUES (1, '2024-01-01 00:10:00')");
    ReadRequest changes = request("t");
    changes.lookback = "600";
    changes.position = {{"phase", "changes"}, {"watermark", "2024-01-01 00:10:00"}, {"key", {"1"}}};
    test::Capture capture;
    const json explained = source_.explain(changes, capture.writer);
    EXPECT_EQ(explained["bounds"]["low"], "2024-01-01 00:00:00");
    ASSERT_EQ(explained["statements"].size(), 1u);
    EXPECT_EQ(explained["statements"][0]["parameters"], json({"2024-01-01 00:00:00"}));
    EXPECT_TRUE(capture.frames().empty());
}

}  // namespace
}  // namespace insync::odbc
