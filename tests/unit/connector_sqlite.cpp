// Reads of real SQLite files through the real driver: phases, positions, rejects, and values that the driver damages.
#include <cstdlib>

#include <gtest/gtest.h>

#include <unistd.h>

#include "bgworker/connector/odbc/odbc_source.hpp"
#include "tests/unit/connector_frames.hpp"

namespace insync::odbc {
namespace {

using nlohmann::json;
using namespace std::string_literals;

// What a read sent, sorted out.
struct Outcome {
    std::vector<test::Fields> rows;
    std::vector<json> rejects;
    std::vector<json> positions;
    json done;
    std::size_t announced = 0;  // rows and rejects by the position frames

    std::vector<std::int64_t> ids() const {
        std::vector<std::int64_t> ids;
        for (const test::Fields& row : rows) ids.push_back(wire::get_int64(row.at(0)->data()));
        return ids;
    }
    json last() const { return positions.back(); }
};

class ConnectorSqlite : public testing::Test {
  protected:
    void SetUp() override {
        char path[] = "/tmp/connector_sqlite_XXXXXX";
        const int descriptor = mkstemp(path);
        ASSERT_GE(descriptor, 0);
        close(descriptor);
        path_ = path;
        OpenRequest writable;
        writable.server["connection_string"] = "DRIVER={SQLite3};Database=" + path_;
        try {
            writer_ = std::make_unique<Connection>(writable);
        } catch (const Failure& failure) {
            if (failure.kind == FailureClass::config) GTEST_SKIP() << "the driver SQLite3 isn't registered";
            throw;
        }
        open();
    }
    void TearDown() override {
        writer_.reset();
        if (!path_.empty()) unlink(path_.c_str());
    }

    void open(std::size_t max_value_bytes = 256u << 20) {
        OpenRequest request;
        request.server = {{"driver", "SQLite3"}, {"database", path_}};
        request.max_value_bytes = max_value_bytes;
        source_.open(request);
    }

    void sql(const std::string& statement) { writer_->execute(statement); }

    static ReadRequest request(const std::string& source, std::vector<std::string> watermark = {"w"}) {
        ReadRequest read;
        read.source = source;
        read.key = {"id"};
        read.watermark = std::move(watermark);
        read.key_is_unique = true;
        read.lookback = "0";
        read.page_rows = 3;
        return read;
    }

    Outcome read(const ReadRequest& request) {
        test::Capture capture;
        Outcome outcome;
        outcome.done = source_.read(request, capture.writer);
        for (const test::Frame& frame : capture.frames()) {
            if (frame.type == 'R') {
                for (test::Fields& row : test::rows_of(frame.payload)) outcome.rows.push_back(std::move(row));
            } else if (frame.type == 'J') {
                outcome.rejects.push_back(frame.json());
            } else if (frame.type == 'P') {
                outcome.positions.push_back(frame.json()["position"]);
                outcome.announced += frame.json()["rows"].get<std::size_t>();
            }
        }
        EXPECT_EQ(outcome.announced, outcome.rows.size() + outcome.rejects.size());
        return outcome;
    }

    std::string failure_of(const ReadRequest& request) {
        try {
            read(request);
        } catch (const Failure& failure) {
            return failure.message;
        }
        return "";
    }

    std::string path_;
    std::unique_ptr<Connection> writer_;
    OdbcSource source_;
};

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
    EXPECT_EQ(failure_of(load), "the key isn't unique in the source");
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
    EXPECT_EQ(all.positions[0], json({{"phase", "full"}, {"key", {"2"}}}));
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

TEST_F(ConnectorSqlite, ValuesThatDoNotFitTheirColumnAreRejectedWithTheRecord) {
    sql("CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER NOT NULL, n NUMERIC, d DATETIME, b BOOLEAN, i INTEGER)");
    sql("INSERT INTO t VALUES (1, 1, 'abc', NULL, NULL, NULL), (2, 2, NULL, 'soon', NULL, NULL), (3, 3, NULL, NULL, "
        "'maybe', NULL), (4, 4, NULL, NULL, NULL, 3.5), (5, 5, 1.25, '2024-01-01', 'true', 7)");
    ReadRequest all = request("t");
    all.full = true;
    const Outcome outcome = read(all);
    EXPECT_EQ(outcome.ids(), std::vector<std::int64_t>({5}));
    ASSERT_EQ(outcome.rejects.size(), 4u);
    EXPECT_EQ(outcome.rejects[0]["message"], "value of column \"n\" isn't a valid numeric");
    EXPECT_EQ(outcome.rejects[0]["record"]["n"], "abc");
    EXPECT_EQ(outcome.rejects[1]["sqlstate"], "22007");
    EXPECT_EQ(outcome.rejects[3]["column"], "i");
}

TEST_F(ConnectorSqlite, WhatTheDriverWouldDamageArrivesWhole) {
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

TEST_F(ConnectorSqlite, LongValuesArriveWholeWhereverTheyStand) {
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

TEST_F(ConnectorSqlite, ValuesOverTheLimitAreRejected) {
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

TEST_F(ConnectorSqlite, DescribeNamesKeysAndKinds) {
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

TEST_F(ConnectorSqlite, DescribeRefusesUselessWatermarks) {
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
    EXPECT_EQ(failure("b"), "column \"b\" of type BLOB can't be a watermark");
    EXPECT_EQ(failure("d"), "watermark column \"d\" holds values that have no order");
    EXPECT_EQ(failure("nevr"), "watermark column \"nevr\" does not exist in the source");
}

TEST_F(ConnectorSqlite, UnknownSourcesAreNamedWithTheNearest) {
    sql("CREATE TABLE ventas (id INTEGER PRIMARY KEY)");
    try {
        source_.describe({"venta", std::nullopt, std::nullopt});
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.kind, FailureClass::config);
        EXPECT_EQ(failure.hint, "Perhaps you meant \"ventas\".");
    }
}

TEST_F(ConnectorSqlite, AMissingFileIsNamedAndNotCreated) {
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

TEST_F(ConnectorSqlite, CheckStopsAtTheFirstFailedStep) {
    OpenRequest request;
    request.server = {{"driver", "SQLite33"}, {"database", path_}};
    test::Capture capture;
    OdbcSource().check(request, capture.writer);
    auto frames = capture.frames();
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0].json()["step"], "driver");
    EXPECT_EQ(frames[0].json()["ok"], false);
    EXPECT_NE(frames[0].json()["message"].get<std::string>().find("Perhaps you meant \"SQLite3\""), std::string::npos);
    request.server["driver"] = "SQLite3";
    OdbcSource().check(request, capture.writer);
    frames = capture.frames();
    ASSERT_EQ(frames.size(), 5u);
    for (const test::Frame& frame : frames) EXPECT_EQ(frame.json()["ok"], true) << frame.payload;
}

TEST_F(ConnectorSqlite, ExplainShowsStatementsWithoutReading) {
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
