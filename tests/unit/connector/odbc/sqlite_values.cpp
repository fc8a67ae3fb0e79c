// Values of real SQLite files that the driver damages, or that fit no column.
#include "tests/unit/connector/odbc/sqlite_database.hpp"

namespace insync::odbc {
namespace {

using namespace test_sqlite;
using namespace std::string_literals;

using ConnectorSqliteValues = SqliteTest;

TEST_F(ConnectorSqliteValues, ValuesThatDoNotFitTheirColumnAreRejectedWithTheRecord) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER NOT NULL, n NUMERIC, d DATETIME, b BOOLEAN, i INTEGER)");
    sql("INSERT INTO t VALUES (1, 1, 'abc', NULL, NULL, NULL), (2, 2, NULL, 'soon', NULL, NULL), (3, 3, NULL, NULL, "
        "'maybe', NULL), (4, 4, NULL, NULL, NULL, 3.5), (5, 5, 1.25, '2024-01-01', 'true', 7)");
    ReadRequest all = request("t");
    all.full = true;
    const Outcome outcome = read(all);
    EXPECT_EQ(outcome.ids(), std::vector<std::int64_t>({5}));
    ASSERT_EQ(outcome.rejects.size(), 4u);
    EXPECT_EQ(outcome.rejects[0]["message"], "value of column \"n\" is not a valid numeric");
    EXPECT_EQ(outcome.rejects[0]["record"]["n"], "abc");
    EXPECT_EQ(outcome.rejects[1]["sqlstate"], "22007");
    EXPECT_EQ(outcome.rejects[3]["column"], "i");
}

TEST_F(ConnectorSqliteValues, WhatTheDriverWouldDamageArrivesWhole) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, r REAL, x TEXT, b BLOB, n DECIMAL(10,2))");
    sql("INSERT INTO t VALUES (1, 1.0/3, 'a' || char(0) || 'b', x'00ff', 0.1), (2, 0.1 + 0.2, 'X''41''', 'text', "
        "1.0/3), (3, NULL, x'4142', NULL, NULL)");
    ReadRequest all = request("t", {});
    all.full = true;
    const Outcome outcome = read(all);
    ASSERT_EQ(outcome.rows.size(), 3u);
    const std::string third = outcome.rows[0][1].value();
    EXPECT_EQ(std::bit_cast<double>(wire::get_int64(third.data())), 1.0 / 3);
    EXPECT_EQ(outcome.rows[0][2],
              "a\xEF\xBF\xBD"
              "b");
    EXPECT_EQ(outcome.rows[0][3], "\x00\xFF"s);
    EXPECT_EQ(outcome.rows[1][2], "X'41'");
    EXPECT_EQ(outcome.rows[1][3], "text");
    EXPECT_EQ(outcome.rows[2][2], "AB");
    EXPECT_EQ(outcome.rows[2][3], std::nullopt);
    EXPECT_EQ(wire::get_int16(outcome.rows[0][4]->data() + 6), 1);   // 0.1 keeps one digit
    EXPECT_EQ(wire::get_int16(outcome.rows[1][4]->data() + 6), 17);  // 1/3 keeps all of them
}

TEST_F(ConnectorSqliteValues, LongValuesArriveWholeWhereverTheyStand) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)");
    sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO t SELECT i, "
        "CASE WHEN i % 17 = 0 THEN printf('%.*c', i * 40, 'x') WHEN i = 50 THEN printf('%.*c', 300000, 'y') ELSE "
        "'short' "
        "END FROM n");
    ReadRequest all = request("t", {});
    all.full = true;
    all.page_rows = 25;
    const Outcome outcome = read(all);
    ASSERT_EQ(outcome.rows.size(), 60u);
    for (std::size_t i = 1; i <= 60; i++) {
        const std::size_t length = i % 17 == 0 ? i * 40 : i == 50 ? 300000 : 5;
        EXPECT_EQ(outcome.rows[i - 1][1]->size(), length) << i;
    }
}

TEST_F(ConnectorSqliteValues, ValuesOverTheLimitAreRejected) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, b BLOB)");
    sql("INSERT INTO t VALUES (1, printf('%.*c', 5000, 'x'), NULL), (2, 'ok', zeroblob(1000)), (3, 'ok', "
        "zeroblob(1001)), (4, printf('%.*c', 300000, 'x'), NULL)");
    open(1000);
    ReadRequest all = request("t", {});
    all.full = true;
    const Outcome outcome = read(all);
    EXPECT_EQ(outcome.ids(), std::vector<std::int64_t>({2}));
    ASSERT_EQ(outcome.rejects.size(), 3u);
    for (const json& reject : outcome.rejects) EXPECT_EQ(reject["sqlstate"], "54000");
}

}  // namespace
}  // namespace insync::odbc
