// A SQLite file read through the real driver, for the tests of reading, of values and of exploring.
#pragma once

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>

#include "bgworker/connector/odbc/odbc_source.hpp"
#include "tests/unit/connector/frames.hpp"

namespace insync::odbc::test_sqlite {

using nlohmann::json;

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

class SqliteTest : public testing::Test {
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
        sql("PRAGMA query_only = OFF");  // a session of ours only reads
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

}  // namespace insync::odbc::test_sqlite
