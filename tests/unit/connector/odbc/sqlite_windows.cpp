// Windows and reads by keys of real SQLite files, whose times are texts in whatever layout they were written.
#include "bgworker/clock/civil_time.hpp"
#include "tests/unit/connector/odbc/sqlite_database.hpp"

namespace insync::odbc {
namespace {

using namespace test_sqlite;

class ConnectorSqliteWindows : public SqliteTest {
  protected:
    void fill(const std::string& type, const std::vector<std::string>& times) {
        sql("DROP TABLE IF EXISTS t");
        sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w " + type + ")");
        for (const std::string& time : times) sql("INSERT INTO t (w) VALUES (" + time + ")");
    }

    ReadRequest window(std::optional<std::string> from, std::optional<std::string> to) {
        ReadRequest read = request("t", {});
        read.full = true;
        read.window = Window{"w", std::move(from), std::move(to)};
        return read;
    }

    std::vector<std::int64_t> ids(std::optional<std::string> from, std::optional<std::string> to) {
        return read(window(std::move(from), std::move(to))).ids();
    }
};

using Ids = std::vector<std::int64_t>;

TEST_F(ConnectorSqliteWindows, EveryLayoutOfATimeIsInItsWindow) {
    // In the order of time; a date alone is the beginning of its day.
    fill("DATETIME", {"'2026-01-05'", "'2026-01-05T00:00'", "'2026-01-05 09:59:59.999'", "'2026-01-05T10:00'",
                      "'2026-01-05 10:00:00'", "'2026-01-05T10:00:00Z'", "'2026-01-05 10:00:00,25'",
                      "'2026-01-05T10:00:00.5Z'", "'2026-01-05T10:59:59.9'", "'2026-01-05 11:00'",
                      "'2026-01-05T23:59:59.999999'", "'2026-01-06'", "'2026-01-06 00:00:00'", "NULL"});
    EXPECT_EQ(ids("2026-01-05 00:00:00", "2026-01-06 00:00:00"), Ids({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
    EXPECT_EQ(ids("2026-01-05 10:00:00", "2026-01-05 11:00:00"), Ids({4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(ids("2026-01-05 10:00:00.3", "2026-01-05 10:00:01"), Ids({8}));
    EXPECT_EQ(ids("2026-01-05 10:00:00", "2026-01-05 10:00:00.3"), Ids({4, 5, 6, 7}));
    EXPECT_EQ(ids(std::nullopt, "2026-01-05 09:00:00"), Ids({1, 2}));
    EXPECT_EQ(ids("2026-01-06 00:00:00", std::nullopt), Ids({12, 13}));
    EXPECT_EQ(ids(std::nullopt, std::nullopt).size(), 14u);
    ReadRequest nulls = window(std::nullopt, std::nullopt);
    nulls.window->only_null = true;
    EXPECT_EQ(read(nulls).ids(), Ids({14}));
}

TEST_F(ConnectorSqliteWindows, OffsetsAreTakenOff) {
    fill("TEXT", {"'2026-01-05T01:59:59.9999+02:00'", "'2026-01-05T02:00:00+02:00'", "'2026-01-05T00:00:00Z'",
                  "'2026-01-04T19:00-05:00'", "'2026-01-05T23:30:00.5-00:30'", "'2026-01-05'"});
    EXPECT_EQ(ids("2026-01-04 00:00:00", "2026-01-05 00:00:00"), Ids({1}));
    EXPECT_EQ(ids("2026-01-05 00:00:00", "2026-01-06 00:00:00"), Ids({2, 3, 4, 6}));
    EXPECT_EQ(ids("2026-01-06 00:00:00", "2026-01-06 00:00:00.6"), Ids({5}));
    EXPECT_EQ(ids("2026-01-05 00:00:00", "2026-01-05 00:00:01"), Ids({2, 3, 4, 6}));
}

TEST_F(ConnectorSqliteWindows, ViewsAndQueriesToo) {
    fill("TIMESTAMP", {"'2026-01-05 10:00:00'", "'2026-01-06 10:00:00'", "'2026-01-07 10:00:00'"});
    sql("CREATE VIEW v AS SELECT id, w || '' AS w FROM t");
    for (const char* source : {"v", "SELECT id, w FROM t"}) {
        ReadRequest read_day = window("2026-01-06 00:00:00", "2026-01-07 00:00:00");
        read_day.source = source;
        EXPECT_EQ(read(read_day).ids(), Ids({2})) << source;
    }
}

TEST_F(ConnectorSqliteWindows, WhatIsNoTimeIsRefused) {
    for (const char* value : {"'20260105'", "'2026/01/05'", "'soon'", "1767571200", "'2026-01-05 10:00:00+0200'"}) {
        fill("DATETIME", {value});
        EXPECT_EQ(failure_of(window("2026-01-05", std::nullopt)),
                  "column \"w\" of type DATETIME cannot be compared with times")
            << value;
    }
}

TEST_F(ConnectorSqliteWindows, PagesStayInTheWindow) {
    fill("DATETIME", {});
    sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO t SELECT i, "
        "datetime('2026-01-01', (i % 10) || ' days', i || ' seconds') FROM n");
    ReadRequest day = window("2026-01-04 00:00:00", "2026-01-05 00:00:00");
    const Outcome whole = read(day);
    EXPECT_EQ(whole.ids(), Ids({3, 13, 23, 33, 43, 53, 63, 73, 83, 93}));
    EXPECT_EQ(whole.last(), json({{"phase", "done"}}));
    day.position = {{"phase", "full"}, {"key", {"33"}}};
    EXPECT_EQ(read(day).ids(), Ids({43, 53, 63, 73, 83, 93}));
}

TEST_F(ConnectorSqliteWindows, ThousandsOfKeys) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w TEXT)");
    sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT i, 'x' "
        "FROM n");
    ReadRequest some = request("t", {});
    some.full = true;
    some.page_rows = 30;
    some.batch_rows = 70;
    some.only.emplace();
    Ids expected;
    for (std::int64_t id = 3; id < 20000; id += 5) {
        some.only->push_back({std::to_string(id)});
        expected.push_back(id);
    }
    some.only->push_back({"99999"});  // it is gone
    const Outcome outcome = read(some);
    EXPECT_EQ(outcome.ids(), expected);
    EXPECT_EQ(outcome.last(), json({{"phase", "done"}}));

    // From any position on, no row is lost.
    for (const json& position : outcome.positions) {
        some.position = position;
        if (position["phase"] == "done") break;
        const std::size_t done = position["keys"].get<std::size_t>();
        EXPECT_EQ(read(some).ids(), Ids(expected.begin() + static_cast<std::ptrdiff_t>(done), expected.end()));
        if (done > 500) break;
    }
    some.position = nullptr;
    some.only = std::vector<std::vector<std::string>>{std::vector<std::string>{"1", "2"}};
    EXPECT_EQ(failure_of(some), "a key to be read has 2 values, where the source's has 1");
}

TEST_F(ConnectorSqliteWindows, KeysOfSeveralColumns) {
    sql("CREATE TABLE t (shop TEXT NOT NULL, id INTEGER NOT NULL, w TEXT, PRIMARY KEY (shop, id))");
    sql("INSERT INTO t VALUES ('a', 1, 'x'), ('a', 2, 'y'), ('b', 1, 'z'), ('c', 1, 'no')");
    ReadRequest some = request("t", {});
    some.full = true;
    some.key = {"shop", "id"};
    some.columns = std::vector<std::string>{"w"};
    some.only = {{"b", "1"}, {"a", "2"}, {"c", "2"}};
    const Outcome outcome = read(some);
    ASSERT_EQ(outcome.rows.size(), 2u);
    EXPECT_EQ(*outcome.rows[0][0], "y");
    EXPECT_EQ(*outcome.rows[1][0], "z");
}

}  // namespace
}  // namespace insync::odbc
