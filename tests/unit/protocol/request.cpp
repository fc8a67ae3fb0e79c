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

// Doesn't compile once a struct has another member: set it above and below to a value that it hasn't by default.
[[maybe_unused]] void members_that_are_tested() {
    [[maybe_unused]] const auto& [source, full, only_keys, window, only, key, key_columns, row_identity, watermark,
                                  version, version_key, key_is_unique, remake, is_change_log, lookback,
                                  initial_watermark, zone_offset_s, position, batch_rows, batch_bytes, page_rows,
                                  null_watermark, replace_text, null_zero_dates, columns, options, known_columns] =
        ReadRequest();
    [[maybe_unused]] const auto& [column, from, to, only_null] = Window();
    [[maybe_unused]] const auto& [rows, by_time, blocks, sums, hash, as_stored, unsettled_from, buckets] =
        MeasureRequest();
    [[maybe_unused]] const auto& [kind, server, credentials, connect_ms, query_ms, lock_ms, value_bytes] =
        OpenRequest();
    [[maybe_unused]] const auto& [open, check_source] = CheckRequest();
    [[maybe_unused]] const auto& [pattern] = DiscoverRequest();
    [[maybe_unused]] const auto& [described, its_key, its_watermark, its_options] = DescribeRequest();
    [[maybe_unused]] const auto& [previewed, most] = PreviewRequest();
    [[maybe_unused]] const auto& [explained] = ExplainRequest();
}

TEST(Requests, AReadArrivesWithAllMembers) {
    const ReadRequest sent = rows_with_all_members();
    expect_no_defaults(to_json(sent), to_json(ReadRequest()));
    EXPECT_EQ(through_the_pipe(sent), sent);
}

TEST(Requests, AnIncrementalReadArrivesAsOne) {
    ReadRequest sent = rows_with_all_members();
    sent.full = sent.only_keys = false;
    sent.window.reset(), sent.only.reset();
    sent.null_watermark = ReadRequest::NullWatermark::reject;
    EXPECT_EQ(through_the_pipe(sent), sent);
}

TEST(Requests, AnExplanationArrivesWithAllMembers) {
    const ExplainRequest sent{rows_with_all_members()};
    EXPECT_EQ(through_the_pipe(sent).rows, sent.rows);
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
        EXPECT_EQ(through_the_pipe(sent), sent);
    }
}

TEST(Requests, AMeasureByBlocksArrives) {
    MeasureRequest sent;
    sent.rows.source = "t";
    sent.rows.full = true;
    sent.blocks = 16;
    EXPECT_EQ(through_the_pipe(sent), sent);
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
    EXPECT_EQ(through_the_pipe(sent), sent);
}

TEST(Requests, TheOthersArriveWithAllMembers) {
    const DescribeRequest describe{"t", {{"id"}}, {{"changed"}}, {{"a", "b"}}};
    EXPECT_EQ(through_the_pipe(describe), describe);
    EXPECT_EQ(through_the_pipe(DiscoverRequest{"a%"}), DiscoverRequest{"a%"});
    EXPECT_EQ(through_the_pipe(PreviewRequest{"t", 5}), (PreviewRequest{"t", 5}));
    EXPECT_EQ(through_the_pipe(CloseRequest{}), CloseRequest{});
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
    EXPECT_EQ(refusal_of(json::object()), "the request has no member \"verb\"");
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
    EXPECT_EQ(refusal_of({{"verb", ""}}), "unknown verb \"\"");
}

TEST(Requests, AnUnknownUnitIsRefused) {
    EXPECT_EQ(refusal_of({{"verb", "measure"}, {"source", "t"}, {"group", {{"column", "d"}, {"unit", "week"}}}}),
              "rows cannot be grouped by \"week\"");
}

TEST(Requests, AMemberOfTheWrongTypeIsNamedAndItsValueIsNot) {
    const json wrong = {{"s3cret", json::array({5})}};  // what no member but position, options and the like can be
    auto refusal_with = [](json request, const char* name, const json& value) {
        request[name] = value;
        return refusal_of(request);
    };
    auto expect_named = [&](const json& request, const char* name, const json& value) {
        EXPECT_EQ(refusal_with(request, name, value),
                  "member \"" + std::string(name) + "\" of the request is of the wrong type");
    };
    const json read = to_json(rows_with_all_members());
    for (const auto& [name, value] : read.items()) {
        if (name != "position" && name != "options" && name != "window") expect_named(read, name.c_str(), wrong);
    }
    expect_named(read, "options", json::array());
    expect_named(read, "window", "2026-01-01");
    expect_named(read, "batch_rows", "100");
    expect_named(read, "zone_offset_s", 0.5);
    expect_named(read, "key_is_unique", 1);
    const json measure = {{"verb", "measure"}, {"source", "t"}};
    for (const char* name : {"sums", "hash", "as_stored", "unsettled_from", "buckets"})
        expect_named(measure, name, wrong);
    expect_named(measure, "group", "day");
    const json open = {{"verb", "open"}};
    expect_named(open, "kind", 5);
    for (const char* name : {"server", "credentials", "limits"}) expect_named(open, name, "p");
    expect_named({{"verb", "check"}}, "check_source", wrong);
    expect_named({{"verb", "discover"}}, "pattern", 5);
    expect_named({{"verb", "preview"}, {"source", "t"}}, "rows", "5");
    EXPECT_EQ(refusal_of({{"verb", 5}}), "member \"verb\" of the request is of the wrong type");
    EXPECT_EQ(refusal_of(json::array()), "the request is not an object");
}

TEST(Requests, NullIsAsIfTheMemberWereMissing) {
    json line = {{"verb", "read"}, {"source", "t"}};
    const Request bare = request_of(line);
    const json members = to_json(rows_with_all_members());
    for (const auto& [name, value] : members.items()) {
        if (name != "verb" && name != "source") line[name] = nullptr;
    }
    EXPECT_EQ(request_of(line), bare);
}

TEST(Requests, AWordThatIsNotKnownIsRefused) {
    for (const char* name : {"mode", "null_watermark", "text_policy", "zero_dates"}) {
        const json line = {{"verb", "read"}, {"source", "t"}, {name, "s3cret"}};
        EXPECT_EQ(refusal_of(line), "member \"" + std::string(name) + "\" of the request has a word that is not known");
    }
}

}  // namespace
}  // namespace insync
