// What one end of the pipe writes, the other one reads.
#include "bgworker/protocol/request.hpp"

#include <gtest/gtest.h>

namespace insync {
namespace {

using nlohmann::json;

// A request whose members are all other than they are by default.
ReadRequest rows_with_all_members() {
    ReadRequest read;
    read.source = "dbo.orders";
    read.full = true;
    read.only_keys = true;
    read.window = Window{"changed", "2026-01-01 00:00:00", "2026-02-01 00:00:00", true};
    read.only = {{{"1", "a"}, {"2", "b"}}};
    read.key = {"id", "shop"};
    read.key_columns = {"id", "shop", "day"};
    read.row_identity = {"hash", "copy"};
    read.watermark = {"changed", "created"};
    read.version = {"changed"};
    read.version_key = {"id"};
    read.key_is_unique = true;
    read.remake = "SELECT sync_drop('a')";
    read.is_change_log = true;
    read.lookback = "600";
    read.initial_watermark = "2020-01-01";
    read.zone_offset_s = -3600;
    read.position = {{"watermark", "2026-01-01"}};
    read.batch_rows = 7;
    read.batch_bytes = 8;
    read.page_rows = 9;
    read.null_watermark = ReadRequest::NullWatermark::fail;
    read.replace_text = false;
    read.null_zero_dates = false;
    read.columns = {{"id", "name"}};
    read.options = {{"columns", {{"a", "b"}}}};
    read.known_columns = {{{"name", "id"}}};
    return read;
}

template <typename Kind>
Kind through_the_pipe(const Kind& request) {
    const json line = json::parse(to_json(request).dump());
    const Request read = request_of(line);
    EXPECT_EQ(to_json(read), to_json(request));
    return std::get<Kind>(read);
}

// Every member of `line` differs from what a request has by default, so that one that is forgotten is seen.
void expect_no_defaults(const json& line, const json& defaults) {
    for (const auto& [name, value] : line.items()) {
        if (name != "verb") {
            EXPECT_TRUE(!defaults.contains(name) || value != defaults[name]) << name;
        }
    }
}

void expect_same(const ReadRequest& a, const ReadRequest& b) {
    EXPECT_EQ(a.source, b.source);
    EXPECT_EQ(a.full, b.full);
    EXPECT_EQ(a.only_keys, b.only_keys);
    ASSERT_EQ(a.window.has_value(), b.window.has_value());
    if (a.window) {
        EXPECT_EQ(a.window->column, b.window->column);
        EXPECT_EQ(a.window->from, b.window->from);
        EXPECT_EQ(a.window->to, b.window->to);
        EXPECT_EQ(a.window->only_null, b.window->only_null);
    }
    EXPECT_EQ(a.only, b.only);
    EXPECT_EQ(a.key, b.key);
    EXPECT_EQ(a.key_columns, b.key_columns);
    EXPECT_EQ(a.row_identity, b.row_identity);
    EXPECT_EQ(a.watermark, b.watermark);
    EXPECT_EQ(a.version, b.version);
    EXPECT_EQ(a.version_key, b.version_key);
    EXPECT_EQ(a.key_is_unique, b.key_is_unique);
    EXPECT_EQ(a.remake, b.remake);
    EXPECT_EQ(a.is_change_log, b.is_change_log);
    EXPECT_EQ(a.lookback, b.lookback);
    EXPECT_EQ(a.initial_watermark, b.initial_watermark);
    EXPECT_EQ(a.zone_offset_s, b.zone_offset_s);
    EXPECT_EQ(a.position, b.position);
    EXPECT_EQ(a.batch_rows, b.batch_rows);
    EXPECT_EQ(a.batch_bytes, b.batch_bytes);
    EXPECT_EQ(a.page_rows, b.page_rows);
    EXPECT_EQ(a.null_watermark, b.null_watermark);
    EXPECT_EQ(a.replace_text, b.replace_text);
    EXPECT_EQ(a.null_zero_dates, b.null_zero_dates);
    EXPECT_EQ(a.columns, b.columns);
    EXPECT_EQ(a.options, b.options);
    EXPECT_EQ(a.known_columns, b.known_columns);
}

TEST(Requests, AReadArrivesWithAllMembers) {
    const ReadRequest sent = rows_with_all_members();
    expect_no_defaults(to_json(sent), to_json(ReadRequest()));
    expect_same(through_the_pipe(sent), sent);
}

TEST(Requests, AnIncrementalReadArrivesAsOne) {
    ReadRequest sent = rows_with_all_members();
    sent.full = sent.only_keys = false;
    sent.window.reset(), sent.only.reset();
    sent.null_watermark = ReadRequest::NullWatermark::reject;
    expect_same(through_the_pipe(sent), sent);
}

TEST(Requests, AnExplanationArrivesWithAllMembers) {
    const ExplainRequest sent{rows_with_all_members()};
    expect_same(through_the_pipe(sent).rows, sent.rows);
}

TEST(Requests, AMeasureArrivesWithAllMembers) {
    for (const auto unit : {MeasureRequest::Unit::hour, MeasureRequest::Unit::day, MeasureRequest::Unit::quarter}) {
        MeasureRequest sent;
        sent.rows = rows_with_all_members();
        sent.rows.only_keys = false;  // a measure is of all rows
        sent.by_time = {"changed", unit};
        sent.sums = {"amount"};
        sent.hash = {"id", "amount"};
        sent.as_stored = true;
        sent.unsettled_from = "2026-01-31";
        sent.buckets = {{"2026-01-01", "2026-01-02"}};
        json line = to_json(sent);
        line.erase("mode");
        expect_no_defaults(line, to_json(MeasureRequest()));
        const MeasureRequest read = through_the_pipe(sent);
        expect_same(read.rows, sent.rows);
        ASSERT_TRUE(read.by_time);
        EXPECT_EQ(read.by_time->column, "changed");
        EXPECT_EQ(read.by_time->unit, unit);
        EXPECT_EQ(read.sums, sent.sums);
        EXPECT_EQ(read.hash, sent.hash);
        EXPECT_EQ(read.as_stored, sent.as_stored);
        EXPECT_EQ(read.unsettled_from, sent.unsettled_from);
        EXPECT_EQ(read.buckets, sent.buckets);
    }
}

TEST(Requests, AMeasureByBlocksArrives) {
    MeasureRequest sent;
    sent.rows.source = "t";
    sent.rows.full = true;
    sent.blocks = 16;
    const MeasureRequest read = through_the_pipe(sent);
    EXPECT_EQ(read.blocks, 16u);
    EXPECT_FALSE(read.by_time);
}

OpenRequest open_with_all_members() {
    OpenRequest open;
    open.kind = "rest";
    open.server = {{"base_url", "http://127.0.0.1"}};
    open.credentials = {{"user", "u"}, {"password", "p"}, {"token", "t"}};
    open.connect_timeout_ms = 1;
    open.query_timeout_ms = 2;
    open.lock_timeout_ms = 3;
    open.max_value_bytes = 4;
    return open;
}

TEST(Requests, AnOpenArrivesWithAllMembers) {
    const OpenRequest sent = open_with_all_members();
    expect_no_defaults(to_json(sent), to_json(OpenRequest()));
    const OpenRequest read = through_the_pipe(sent);
    EXPECT_EQ(read, sent);
    EXPECT_EQ(read.user(), "u");
    EXPECT_EQ(read.password(), "p");
    EXPECT_EQ(read.credential("none"), "");
}

TEST(Requests, ACheckArrivesWithAllMembers) {
    const CheckRequest sent{open_with_all_members(), "dbo.orders"};
    const CheckRequest read = through_the_pipe(sent);
    EXPECT_EQ(read.open, sent.open);
    EXPECT_EQ(read.source, sent.source);
}

TEST(Requests, TheOthersArriveWithAllMembers) {
    EXPECT_EQ(through_the_pipe(DiscoverRequest{"a%"}).pattern, "a%");
    const DescribeRequest described = through_the_pipe(DescribeRequest{"t", {{"id"}}, {{"changed"}}, {{"a", "b"}}});
    EXPECT_EQ(described.source, "t");
    EXPECT_EQ(described.key, std::vector<std::string>{"id"});
    EXPECT_EQ(described.watermark, std::vector<std::string>{"changed"});
    EXPECT_EQ(described.options, json({{"a", "b"}}));
    const PreviewRequest preview = through_the_pipe(PreviewRequest{"t", 5});
    EXPECT_EQ(preview.source, "t");
    EXPECT_EQ(preview.rows, 5u);
    (void)through_the_pipe(CloseRequest{});
}

TEST(Requests, WhatIsMissingIsAsByDefault) {
    const auto read = std::get<ReadRequest>(request_of({{"verb", "read"}, {"source", "t"}, {"key", {"id"}}}));
    EXPECT_FALSE(read.full);
    EXPECT_EQ(read.batch_rows, ReadRequest().batch_rows);
    EXPECT_EQ(read.key_columns, read.key) << "rows of which only the key is known have at least that";
    EXPECT_EQ(std::get<PreviewRequest>(request_of({{"verb", "preview"}, {"source", "t"}})).rows, 10u);
}

std::string refusal_of(const json& line) {
    try {
        (void)request_of(line);
        return "taken";
    } catch (const InvalidRequest& error) {
        return error.what();
    }
}

TEST(Requests, AMissingMemberIsNamed) {
    EXPECT_EQ(refusal_of({{"verb", "read"}}), "the request has no member \"source\"");
    EXPECT_EQ(refusal_of({{"verb", "describe"}}), "the request has no member \"source\"");
    EXPECT_EQ(refusal_of({{"verb", "preview"}}), "the request has no member \"source\"");
    EXPECT_EQ(refusal_of({{"verb", "measure"}, {"source", "t"}, {"group", {{"column", "d"}}}}),
              "the request has no member \"unit\"");
    EXPECT_EQ(refusal_of({{"verb", "read"}, {"source", "t"}, {"mode", "full"}, {"window", json::object()}}),
              "the request has no member \"column\"");
}

TEST(Requests, AnUnknownVerbIsRefused) {
    EXPECT_EQ(refusal_of({{"verb", "write"}}), "unknown verb \"write\"");
    EXPECT_EQ(refusal_of(json::object()), "unknown verb \"\"");
}

TEST(Requests, AnUnknownUnitIsRefused) {
    EXPECT_EQ(refusal_of({{"verb", "measure"}, {"source", "t"}, {"group", {{"column", "d"}, {"unit", "week"}}}}),
              "rows cannot be grouped by \"week\"");
}

TEST(Requests, AMemberOfAnotherTypeIsRefused) {
    EXPECT_THROW((void)request_of({{"verb", "read"}, {"source", 5}}), json::exception);
    EXPECT_THROW((void)request_of({{"verb", 5}}), json::exception);
    EXPECT_THROW((void)request_of({{"verb", "read"}, {"source", "t"}, {"key", "id"}}), json::exception);
}

}  // namespace
}  // namespace insync
