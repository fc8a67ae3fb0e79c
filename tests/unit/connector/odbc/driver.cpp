// What a driver may return: the connector against one that lies about lengths, counts, names, types and order
// (tests/driver). Whatever it says, a read ends with its rows, with rejects, or with a failure that names the lie.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "bgworker/connector/odbc/odbc_source.hpp"
#include "tests/unit/connector/frames.hpp"

namespace insync::odbc {
namespace {

using nlohmann::json;

struct Outcome {
    std::vector<test::Fields> rows;
    std::vector<json> rejects;
    std::string failure;  // message and detail
};

class ConnectorDriver : public testing::Test {
  protected:
    void open(const std::string& orders, std::size_t max_value_bytes = 1u << 20) {
        OpenRequest request;
        request.server = {{"driver", MISBEHAVING_DRIVER}, {"driver_options", orders}};
        request.credentials["password"] = "hunter2hunter";
        request.max_value_bytes = max_value_bytes;
        source_.open(request);
    }

    // Everything that a full read of the table sends.
    Outcome read(const std::string& orders, std::size_t page_rows = 50000) {
        test::Capture capture;
        Outcome outcome;
        try {
            open(orders);
            ReadRequest request;
            request.source = "ventas";
            request.full = true;
            request.key = {"id"};
            request.key_is_unique = true;
            request.page_rows = page_rows;
            source_.read(request, capture.writer);
        } catch (const Failure& failure) {
            outcome.failure = failure.message + "\n" + failure.detail;
            capture.writer.drop_row();
        }
        for (const test::Frame& frame : capture.frames()) {
            if (frame.type == 'J') outcome.rejects.push_back(frame.json());
            if (frame.type != 'R') continue;
            for (test::Fields& row : test::rows_of(frame.payload)) outcome.rows.push_back(std::move(row));
        }
        return outcome;
    }

    // The column descriptions that sync_create would see, or the failure.
    json describe(const std::string& orders) {
        try {
            open(orders);
            DescribeRequest request;
            request.source = "ventas";
            return source_.describe(request);
        } catch (const Failure& failure) {
            return failure.message;
        }
    }

    OdbcSource source_;
};

TEST_F(ConnectorDriver, ServesItsTable) {
    const Outcome outcome = read("ROWS=2500");
    EXPECT_EQ(outcome.failure, "");
    ASSERT_EQ(outcome.rows.size(), 2500u);
    for (std::size_t i = 0; i < outcome.rows.size(); i++) {
        const int id = static_cast<int>(i + 1), day = 9132 + id % 28;
        const test::Fields& row = outcome.rows[i];
        ASSERT_EQ(wire::get_int32(row[0]->data()), id);
        ASSERT_EQ(row[1], "nombre " + std::to_string(id));
        ASSERT_EQ(wire::get_int32(row[4]->data()), day) << "dates of an array stand as close as C has them";
        ASSERT_EQ(wire::get_int64(row[5]->data()), day * 86400000000 + 36000123000);
    }
}

TEST_F(ConnectorDriver, SmallPagesGiveTheSameRows) {
    EXPECT_EQ(read("ROWS=100", 7).rows, read("ROWS=100").rows);
}

TEST_F(ConnectorDriver, MoreRowsThanTheArrayHasPlaces) {
    const Outcome outcome = read("MISBEHAVE=row-count");
    EXPECT_NE(outcome.failure.find("more rows than"), std::string::npos) << outcome.failure;
    EXPECT_TRUE(outcome.rows.empty());
}

class ConnectorDriverLength : public ConnectorDriver, public testing::WithParamInterface<const char*> {};

TEST_P(ConnectorDriverLength, ImpossibleLengths) {
    const Outcome outcome = read(std::string("MISBEHAVE=indicator;VALUE=") + GetParam());
    EXPECT_NE(outcome.failure.find("column \"nombre\""), std::string::npos) << outcome.failure;
    EXPECT_NE(outcome.failure.find(GetParam()), std::string::npos) << outcome.failure;
}

INSTANTIATE_TEST_SUITE_P(Lengths, ConnectorDriverLength,
                         testing::Values("-2", "-3", "-100", "-2147483648", "-9223372036854775808"));

TEST_F(ConnectorDriver, ValuesSaidToBeHugeAreRejected) {
    for (const char* length : {"2147483647", "2147483648", "4294967295", "9223372036854775807"}) {
        const Outcome outcome = read(std::string("MISBEHAVE=indicator;VALUE=") + length);
        EXPECT_EQ(outcome.failure, "") << length;
        EXPECT_EQ(outcome.rows.size(), 9u) << length;
        ASSERT_EQ(outcome.rejects.size(), 1u) << length;
        EXPECT_EQ(outcome.rejects[0]["sqlstate"], "54000");
        EXPECT_EQ(outcome.rejects[0]["key"]["id"], "3");
    }
}

TEST_F(ConnectorDriver, AValueShorterThanItsLengthBringsNothingOfOurMemory) {
    const Outcome outcome = read("MISBEHAVE=indicator;VALUE=5000");
    EXPECT_EQ(outcome.failure, "");
    ASSERT_EQ(outcome.rows.size(), 10u);
    std::string text = *outcome.rows[2][1];
    EXPECT_EQ(text.substr(0, 8), "nombre 3");
    for (std::size_t i = 8; i < text.size(); i += 3) EXPECT_EQ(text.substr(i, 3), "\xEF\xBF\xBD");
}

TEST_F(ConnectorDriver, AValueWithoutAnEndIsRejected) {
    const Outcome outcome = read("MISBEHAVE=endless-chunks");
    EXPECT_EQ(outcome.failure, "");
    EXPECT_EQ(outcome.rows.size(), 9u);
    ASSERT_EQ(outcome.rejects.size(), 1u);
    EXPECT_EQ(outcome.rejects[0]["column"], "nombre");
}

TEST_F(ConnectorDriver, DatesThatNoCalendarHasAreRejected) {
    for (const char* part : {"month", "year", "hour", "fraction"}) {
        const Outcome outcome = read(std::string("MISBEHAVE=date;VALUE=") + part);
        EXPECT_EQ(outcome.failure, "") << part;
        ASSERT_EQ(outcome.rejects.size(), 1u) << part;
        EXPECT_EQ(outcome.rejects[0]["sqlstate"], part == std::string("year") ? "22003" : "22007") << part;
        EXPECT_EQ(outcome.rows.size(), 9u) << part;
    }
}

TEST_F(ConnectorDriver, NumbersThatAreNoneAreRejected) {
    const Outcome outcome = read("MISBEHAVE=text;VALUE=number");
    ASSERT_EQ(outcome.rejects.size(), 1u);
    EXPECT_EQ(outcome.rejects[0]["column"], "total");
    EXPECT_EQ(outcome.rejects[0]["record"]["total"], "12,3.4abc");
}

TEST_F(ConnectorDriver, TextsThatAreNoneAreReplaced) {
    EXPECT_EQ(read("MISBEHAVE=text;VALUE=nul").rows[2][1],
              "a\xEF\xBF\xBD"
              "b");
    EXPECT_EQ(read("MISBEHAVE=text;VALUE=invalid-utf8").rows[2][1]->substr(0, 4), "x\xEF\xBF\xBD");
}

TEST_F(ConnectorDriver, RowsThatNeverEndAreNoticed) {
    const Outcome outcome = read("MISBEHAVE=same-key", 1000);
    EXPECT_NE(outcome.failure.find("order"), std::string::npos) << outcome.failure;
    EXPECT_LE(outcome.rows.size(), 2000u);
}

TEST_F(ConnectorDriver, RowsOutOfOrderAreNoticed) {
    const Outcome outcome = read("MISBEHAVE=unordered;ROWS=50");
    EXPECT_NE(outcome.failure.find("order"), std::string::npos) << outcome.failure;
    EXPECT_LE(outcome.rows.size(), 1u);
}

TEST_F(ConnectorDriver, ColumnsThatNoTableHas) {
    for (const char* count : {"0", "-5"}) {
        EXPECT_EQ(describe(std::string("MISBEHAVE=columns;VALUE=") + count), "source \"ventas\" has no columns");
    }
    for (const char* count : {"1700", "32767"}) {
        EXPECT_EQ(describe(std::string("MISBEHAVE=columns;VALUE=") + count),
                  std::string("source \"ventas\" has ") + count + " columns, more than a table can have (1600)");
    }
    EXPECT_EQ(describe("MISBEHAVE=columns;VALUE=1600")["columns"].size(), 1600u);
}

TEST_F(ConnectorDriver, NamesThatNoColumnHas) {
    const json failure = describe("MISBEHAVE=name;VALUE=long");
    ASSERT_TRUE(failure.is_string()) << failure;
    EXPECT_NE(failure.get<std::string>().find("column 2"), std::string::npos) << failure;
    for (const char* way : {"empty", "duplicate", "quotes", "nul", "invalid-utf8"}) {
        const json described = describe(std::string("MISBEHAVE=name;VALUE=") + way);
        ASSERT_TRUE(described.is_object()) << way << ": " << described;
        EXPECT_EQ(described["columns"].size(), 6u) << way;
        EXPECT_EQ(read(std::string("MISBEHAVE=name;VALUE=") + way).rows.size(), 10u) << way;
    }
}

TEST_F(ConnectorDriver, TypesThatAreUnknownOrAbsurd) {
    auto type_of = [&](const std::string& orders, std::size_t column) {
        const json described = describe(orders);
        EXPECT_TRUE(described.is_object()) << described;
        return described["columns"][column]["pg_type"].get<std::string>();
    };
    EXPECT_EQ(type_of("MISBEHAVE=type;VALUE=31234", 1), "text");
    EXPECT_EQ(type_of("MISBEHAVE=type;VALUE=-9999", 1), "text");
    EXPECT_EQ(type_of("MISBEHAVE=size;VALUE=9223372036854775808", 2), "numeric");
    EXPECT_EQ(type_of("MISBEHAVE=size;VALUE=1000000", 2), "numeric");
    EXPECT_EQ(type_of("MISBEHAVE=digits;VALUE=-500", 2), "numeric(10,0)");
    EXPECT_EQ(type_of("MISBEHAVE=digits;VALUE=32767", 2), "numeric");
    for (const char* orders : {"MISBEHAVE=type;VALUE=31234", "MISBEHAVE=size;VALUE=9223372036854775808",
                               "MISBEHAVE=digits;VALUE=-500", "MISBEHAVE=digits;VALUE=32767"}) {
        EXPECT_EQ(read(orders).rows.size(), 10u) << orders;
    }
}

TEST_F(ConnectorDriver, ACatalogWithoutAnEnd) {
    const json failure = describe("MISBEHAVE=endless-catalog");
    ASSERT_TRUE(failure.is_string()) << failure;
    EXPECT_NE(failure.get<std::string>().find("without an end"), std::string::npos) << failure;
}

TEST_F(ConnectorDriver, AnErrorOfTheCatalogIsNotAnEmptyCatalog) {
    const json failure = describe("MISBEHAVE=error;AT=catalog");
    ASSERT_TRUE(failure.is_string()) << failure;
    EXPECT_NE(failure.get<std::string>().find("out of memory or of ideas"), std::string::npos) << failure;
}

TEST_F(ConnectorDriver, ALongDiagnosticDoesNotCutASecretInTwo) {
    const Outcome outcome = read("MISBEHAVE=error;AT=execute;VALUE=long");
    EXPECT_NE(outcome.failure.find("out of memory or of ideas"), std::string::npos) << outcome.failure;
    EXPECT_EQ(outcome.failure.find("hun"), std::string::npos) << outcome.failure;
}

// SQL Server's own rules, against a driver that says it is one.
class ConnectorSqlServer : public ConnectorDriver {
  protected:
    ConnectorSqlServer() : trace_(std::filesystem::temp_directory_path() / ("trace" + std::to_string(getpid()))) {}
    ~ConnectorSqlServer() override { std::filesystem::remove(trace_); }

    std::string orders() const { return "MISBEHAVE=dbms;VALUE=Microsoft SQL Server;ROWS=5;TRACE=" + trace_.string(); }

    // The statements since the last call, each followed by its parameters.
    std::vector<std::string> sent() {
        std::ifstream file(trace_);
        std::vector<std::string> lines;
        for (std::string line; std::getline(file, line);) lines.push_back(line);
        std::filesystem::remove(trace_);
        return lines;
    }

    bool has_sent(const std::string& part) {
        const std::vector<std::string> lines = sent();
        return std::any_of(lines.begin(), lines.end(),
                           [&](const std::string& line) { return line.find(part) != std::string::npos; });
    }

    static json stored_position() {
        return {{"phase", "changes"}, {"watermark", "2025-01-02 10:00:00.123"}, {"key", nullptr}};
    }

    json read_changes(json position, ReadRequest request = {}) {
        test::Capture capture;
        request.source = "ventas 表";
        request.key = {"nombre"};
        request.key_is_unique = true;
        request.watermark = {"hecho"};
        request.lookback = "0";
        request.position = std::move(position);
        source_.read(request, capture.writer);
        json last;
        for (const test::Frame& frame : capture.frames()) {
            if (frame.type == 'P') last = frame.json().at("position");
        }
        return last;
    }

    std::filesystem::path trace_;
};

TEST_F(ConnectorSqlServer, TextsThatAreNotAsciiAreBoundWide) {
    open(orders());
    sent();
    test::Capture capture;
    ReadRequest request;
    request.source = "ventas 表";
    request.full = true;
    request.key = {"nombre"};
    request.key_is_unique = true;
    request.page_rows = 3;
    source_.read(request, capture.writer);
    const std::vector<std::string> lines = sent();
    auto behind = [&](const std::string& part) {
        for (std::size_t i = 0; i + 1 < lines.size(); i++) {
            if (lines[i].find(part) != std::string::npos) return lines[i + 1];
        }
        return "no statement with " + part;
    };
    const std::string wide = "  C type " + std::to_string(SQL_C_WCHAR) + ", SQL type " + std::to_string(SQL_WVARCHAR);
    EXPECT_EQ(behind("OBJECT_ID(?)"), wide + ", size 10: [ventas ?]");
    EXPECT_EQ(behind("> CAST(? AS nvarchar(40))"), wide + ", size 3: 3 ?");
}

TEST_F(ConnectorSqlServer, AsciiTextsStayNarrow) {
    open(orders());
    sent();
    test::Capture capture;
    source_.discover("ven%", capture.writer);
    const std::vector<std::string> lines = sent();
    ASSERT_GT(lines.size(), 1u);
    EXPECT_EQ(lines[1], "  C type " + std::to_string(SQL_C_CHAR) + ", SQL type " + std::to_string(SQL_VARCHAR) +
                            ", size 4: ven%");
}

TEST_F(ConnectorSqlServer, AWarmPollIsTwoStatements) {
    open(orders());
    const json position = read_changes(stored_position());
    sent();
    read_changes(position);
    std::vector<std::string> statements = sent();
    std::erase_if(statements, [](const std::string& line) { return line.starts_with("  "); });
    ASSERT_EQ(statements.size(), 2u) << json(statements).dump(1);
    EXPECT_NE(statements[0].find("SYSDATETIME()"), std::string::npos);
    EXPECT_NE(statements[0].find("modify_date"), std::string::npos);
    EXPECT_NE(statements[1].find("[hecho] >= CAST(? AS datetime)"), std::string::npos);
}

TEST_F(ConnectorSqlServer, AReadOfAnotherKindAsksForTheDefinitions) {
    open(orders());
    const json position = read_changes(stored_position());
    ReadRequest other;
    other.page_rows = 7;
    sent();
    read_changes(position, other);
    EXPECT_TRUE(has_sent("sys.columns"));
}

TEST_F(ConnectorSqlServer, APollIsReadInTheIsolationOfTheReadBefore) {
    open(orders());
    const json position = read_changes(stored_position());
    test::Capture capture;
    ReadRequest full;
    full.source = "ventas 表";
    full.full = true;
    full.key = {"nombre"};
    full.key_is_unique = true;
    source_.read(full, capture.writer);  // which leaves the isolation of snapshots
    sent();
    read_changes(position);
    EXPECT_TRUE(has_sent("ISOLATION LEVEL SNAPSHOT"));
    read_changes(position);
    EXPECT_FALSE(has_sent("ISOLATION LEVEL"));
}

}  // namespace
}  // namespace insync::odbc
