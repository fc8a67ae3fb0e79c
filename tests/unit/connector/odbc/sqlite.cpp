// Reads of real SQLite files through the real driver: phases, positions, rejects.
#include "tests/unit/connector/odbc/sqlite_database.hpp"

namespace insync::odbc {
namespace {

using namespace test_sqlite;
using namespace std::string_literals;

using ConnectorSqlite = SqliteTest;

TEST_F(ConnectorSqlite, LoadsInKeyOrderThenFollowsTheWatermark) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w DATETIME NOT NULL)");
    sql("INSERT INTO t VALUES (5, '2024-01-01 00:00:05'), (1, '2024-01-01 00:00:09'), (7, '2024-01-01 00:00:01'), "
        "(9, '2024-01-01 00:00:07')");
    const Outcome load = read(request("t"));
    EXPECT_EQ(load.ids(), std::vector<std::int64_t>({1, 5, 7, 9, 1}));
    const json expected = {{"phase", "changes"}, {"watermark", "2024-01-01 00:00:09"}, {"key", nullptr}};
    EXPECT_EQ(load.last(), expected);

    ReadRequest again = request("t");
    again.position = load.last();
    EXPECT_EQ(read(again).last(), again.position);

    sql("INSERT INTO t VALUES (2, '2024-01-01 00:00:10')");
    const Outcome changes = read(again);
    EXPECT_EQ(changes.ids(), std::vector<std::int64_t>({1, 2}));
    EXPECT_EQ(changes.last()["watermark"], "2024-01-01 00:00:10");
    EXPECT_EQ(changes.last()["key"], json({"2"}));
}

TEST_F(ConnectorSqlite, ALoadResumesBehindItsKeyWithItsMark) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER NOT NULL)");
    sql("INSERT INTO t VALUES (1, 10), (2, 20), (3, 30), (4, 40)");
    ReadRequest resumed = request("t");
    resumed.position = {{"phase", "load"}, {"mark", "30"}, {"key", {"2"}}};
    const Outcome outcome = read(resumed);
    EXPECT_EQ(outcome.ids(), std::vector<std::int64_t>({3, 4, 3, 4}));
    EXPECT_EQ(outcome.last()["watermark"], "40");
}

TEST_F(ConnectorSqlite, EqualWatermarksAcrossPagesAreAllRead) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w TEXT NOT NULL)");
    sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO t SELECT i, "
        "'2024-01-01T00:00:00Z' FROM n");
    ReadRequest changes = request("t");
    changes.position = {{"phase", "changes"}, {"watermark", "2024-01-01T00:00:00Z"}, {"key", nullptr}};
    changes.batch_rows = 7;
    const Outcome outcome = read(changes);
    EXPECT_EQ(outcome.rows.size(), 50u);
    EXPECT_EQ(outcome.positions.size(), 8u);
    for (const json& position : outcome.positions) EXPECT_EQ(position, changes.position);
}

TEST_F(ConnectorSqlite, ThePositionStaysWhileTheOverlapIsReadAgain) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER NOT NULL)");
    sql("INSERT INTO t VALUES (1, 98), (2, 99), (3, 100), (4, 101)");
    ReadRequest changes = request("t");
    changes.position = {{"phase", "changes"}, {"watermark", "100"}, {"key", {"3"}}};
    changes.lookback = "5";
    changes.batch_rows = 1;
    const Outcome outcome = read(changes);
    EXPECT_EQ(outcome.ids(), std::vector<std::int64_t>({1, 2, 3, 4}));
    EXPECT_EQ(outcome.positions[0], changes.position);
    EXPECT_EQ(outcome.positions[2], changes.position);
    EXPECT_EQ(outcome.positions[3]["watermark"], "101");
}

TEST_F(ConnectorSqlite, ATimeOfTheFutureIsSentButDoesNotMoveThePosition) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w DATETIME NOT NULL)");
    sql("INSERT INTO t VALUES (1, '2024-01-01 00:00:00'), (2, '9999-12-31 00:00:00')");
    const Outcome load = read(request("t"));
    EXPECT_EQ(load.last()["watermark"], "2024-01-01 00:00:00");
    ReadRequest again = request("t");
    again.position = load.last();
    const Outcome outcome = read(again);
    EXPECT_EQ(outcome.rows.size(), 2u);
    EXPECT_EQ(outcome.last(), again.position);
    EXPECT_EQ(outcome.done["future_rows"], 1);
}

TEST_F(ConnectorSqlite, NullWatermarksFollowThePolicy) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w DATETIME)");
    sql("INSERT INTO t VALUES (1, '2024-01-01'), (2, NULL), (3, NULL)");
    ReadRequest changes = request("t");
    changes.position = {{"phase", "changes"}, {"watermark", "2024-01-01"}, {"key", nullptr}};
    EXPECT_EQ(read(changes).ids(), std::vector<std::int64_t>({2, 3, 1}));
    EXPECT_EQ(read(changes).done["null_watermarks"], 2);
    changes.null_watermark = ReadRequest::NullWatermark::reject;
    const Outcome rejected = read(changes);
    EXPECT_EQ(rejected.ids(), std::vector<std::int64_t>({1}));
    ASSERT_EQ(rejected.rejects.size(), 2u);
    EXPECT_EQ(rejected.rejects[0]["key"], json({{"id", "2"}}));
    EXPECT_EQ(rejected.rejects[0]["column"], "w");
    changes.null_watermark = ReadRequest::NullWatermark::fail;
    EXPECT_EQ(failure_of(changes), "2 rows have no watermark");
    changes.null_watermark = ReadRequest::NullWatermark::reject;
    changes.position = nullptr;
    EXPECT_EQ(read(changes).rejects.size(), 2u);
}

TEST_F(ConnectorSqlite, NullKeysAreRejectedNotLost) {
    sql("CREATE TABLE t (id TEXT PRIMARY KEY, w INTEGER NOT NULL)");
    sql("INSERT INTO t VALUES ('a', 1), (NULL, 2), (NULL, 3)");
    const Outcome load = read(request("t"));
    EXPECT_EQ(load.rows.size(), 1u);
    ASSERT_EQ(load.rejects.size(), 2u);
    EXPECT_EQ(load.rejects[0]["sqlstate"], "23502");
    EXPECT_EQ(load.rejects[0]["record"], json({{"id", nullptr}, {"w", "2"}}));
}

TEST_F(ConnectorSqlite, DuplicateKeysAreFoundBeforeALoad) {
    sql("CREATE TABLE t (id INTEGER, w INTEGER NOT NULL)");
    sql("INSERT INTO t VALUES (1, 1), (2, 2), (2, 3)");
    ReadRequest load = request("t");
    load.key_is_unique = false;
    EXPECT_EQ(failure_of(load), "the key is not unique in the source");
    sql("DELETE FROM t WHERE w = 3");
    EXPECT_EQ(read(load).rows.size(), 3u);
}

TEST_F(ConnectorSqlite, FullReadsResumeAndEnd) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w)");
    sql("INSERT INTO t(id) VALUES (1), (2), (3), (4), (5)");
    ReadRequest full = request("t", {});
    full.full = true;
    full.batch_rows = 2;
    const Outcome all = read(full);
    EXPECT_EQ(all.ids(), std::vector<std::int64_t>({1, 2, 3, 4, 5}));
    EXPECT_EQ(all.positions[0]["phase"], "full");
    EXPECT_EQ(all.positions[0]["key"], json({"2"}));
    EXPECT_EQ(all.last(), json({{"phase", "done"}}));
    full.position = all.positions[1];
    EXPECT_EQ(read(full).ids(), std::vector<std::int64_t>({5}));
    full.position = all.last();
    EXPECT_EQ(read(full).rows.size(), 5u);
}

TEST_F(ConnectorSqlite, AnInitialWatermarkReplacesTheLoad) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER NOT NULL)");
    sql("INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)");
    ReadRequest read_from = request("t");
    read_from.initial_watermark = "20";
    read_from.lookback = "15";
    const Outcome outcome = read(read_from);
    EXPECT_EQ(outcome.ids(), std::vector<std::int64_t>({2, 3}));
    EXPECT_EQ(outcome.last()["watermark"], "30");
}

TEST_F(ConnectorSqlite, AQueryWithAMarker) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w DATETIME NOT NULL, note TEXT)");
    sql("INSERT INTO t VALUES (1, '2024-01-01 00:00:00', 'a'), (2, '2024-01-02 00:00:00', 'b'), (3, '2024-01-03 "
        "00:00:00', ':watermark')");
    ReadRequest query = request("SELECT id, w FROM t WHERE w >= :watermark AND note <> ':watermark'");
    const Outcome first = read(query);
    EXPECT_EQ(first.ids(), std::vector<std::int64_t>({1, 2}));
    query.position = first.last();
    query.lookback = "3600";
    EXPECT_EQ(read(query).ids(), std::vector<std::int64_t>({2}));
}

TEST_F(ConnectorSqlite, NumbersWithoutATypeCompareAsNumbers) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w)");
    sql("INSERT INTO t VALUES (1, 9), (2, 10), (3, 100)");
    sql("CREATE VIEW v AS SELECT id + 0 AS id, w + 0 AS w FROM t");
    for (const char* source : {"t", "v"}) {
        ReadRequest changes = request(source);
        changes.position = {{"phase", "changes"}, {"watermark", "10"}, {"key", nullptr}};
        const Outcome outcome = read(changes);
        EXPECT_EQ(outcome.rows.size(), 2u) << source;
    }
    sql("INSERT INTO t VALUES (4, 'text')");
    EXPECT_EQ(failure_of(request("t")), "column \"w\" holds values of several types");
}

TEST_F(ConnectorSqlite, SeveralWatermarks) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, u DATETIME, c DATETIME NOT NULL)");
    sql("INSERT INTO t VALUES (1, NULL, '2024-01-05'), (2, '2024-01-09', '2024-01-01'), (3, NULL, '2024-01-02')");
    ReadRequest changes = request("t", {"u", "c"});
    changes.position = {{"phase", "changes"}, {"watermark", "2024-01-05"}, {"key", nullptr}};
    const Outcome outcome = read(changes);
    EXPECT_EQ(outcome.ids(), std::vector<std::int64_t>({1, 2}));
    EXPECT_EQ(outcome.rows[0].size(), 3u);
    EXPECT_EQ(outcome.last()["watermark"], "2024-01-09");
}

TEST_F(ConnectorSqlite, TextKeysPageInTheSourcesOrder) {
    sql("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE, w INTEGER NOT NULL)");
    sql("INSERT INTO t VALUES ('b', 1), ('A', 2), ('c', 3), ('B2', 4), ('', 5), ('ä', 6), ('it''s', 7)");
    const Outcome outcome = read(request("t"));
    EXPECT_EQ(outcome.rows.size(), 8u);  // seven by key, the last again from the mark
    EXPECT_EQ(outcome.rows[0][0], "");
    EXPECT_EQ(outcome.rows[1][0], "A");
    EXPECT_EQ(outcome.rows[2][0], "b");
    EXPECT_EQ(outcome.rows[3][0], "B2");
}

}  // namespace
}  // namespace insync::odbc
