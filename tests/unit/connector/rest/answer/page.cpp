// Answers of JSON APIs: where the rows are, what stands around them, and what can be wrong with either.
#include <gtest/gtest.h>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/page.hpp"

namespace insync::rest {
namespace {

using namespace std::string_literals;

PageShape at(const std::string& rows_path, const std::string& row_path = "") {
    PageShape shape;
    shape.rows_path = rows_path;
    shape.row_path = row_path;
    return shape;
}

// A value as it can be compared: its kind's letter and its text.
std::string shown(const Value& value) {
    static constexpr const char* kinds[] = {"absent", "null", "b", "i", "d", "s", "j"};
    const std::string kind = kinds[static_cast<int>(value.kind)];
    return value.kind <= Value::Kind::null ? kind : kind + ":" + std::string(value.text);
}

std::string failure_of(const std::string& body, const PageShape& shape = {},
                       const std::vector<std::string>& wanted = {}) {
    Fields fields;
    try {
        Page(body, shape, fields, wanted);
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.kind, FailureClass::source);
        return failure.message;
    }
    return "none";
}

class RestPage : public testing::Test {
  protected:
    Page page(const std::string& body, const PageShape& shape = {}, const std::vector<std::string>& wanted = {}) {
        return Page(body, shape, fields, wanted);
    }
    std::string at_field(const Page& page, std::size_t row, const std::string& name) {
        const std::optional<std::size_t> field = fields.find(name);
        return field ? shown(page.value(row, *field)) : "no field";
    }

    Fields fields;
};

TEST_F(RestPage, ValuesKeepTheirKindAndEveryDigit) {
    const Page rows = page(R"([{"i": 9007199254740993, "d": 12345678901234567890.12, "e": -1.50e+3, "s": "a", "t": true,
                                "n": null, "o": {"x": [1.00, 2]}, "a": [], "m": -0}])");
    ASSERT_EQ(rows.rows(), 1u);
    EXPECT_EQ(at_field(rows, 0, "i"), "i:9007199254740993");
    EXPECT_EQ(at_field(rows, 0, "d"), "d:12345678901234567890.12");
    EXPECT_EQ(at_field(rows, 0, "e"), "d:-1.50e+3");
    EXPECT_EQ(at_field(rows, 0, "s"), "s:a");
    EXPECT_EQ(at_field(rows, 0, "t"), "b:true");
    EXPECT_EQ(at_field(rows, 0, "n"), "null");
    EXPECT_EQ(at_field(rows, 0, "o"), "j:{\"x\": [1.00, 2]}");
    EXPECT_EQ(at_field(rows, 0, "a"), "j:[]");
    EXPECT_EQ(at_field(rows, 0, "m"), "i:-0");
}

TEST_F(RestPage, RowsMayHaveTheirMembersInAnyOrderAndLackSome) {
    const Page rows = page(R"([{"a":1,"b":2,"c":3},{"c":6,"a":4},{},{"d":10,"b":8},{"a":1,"b":2,"c":3,"d":4}])");
    ASSERT_EQ(rows.rows(), 5u);
    EXPECT_EQ(fields.size(), 4u);
    EXPECT_EQ(at_field(rows, 1, "a"), "i:4");
    EXPECT_EQ(at_field(rows, 1, "b"), "absent");
    EXPECT_EQ(at_field(rows, 1, "c"), "i:6");
    EXPECT_EQ(at_field(rows, 2, "a"), "absent");
    EXPECT_EQ(at_field(rows, 3, "b"), "i:8");
    EXPECT_EQ(at_field(rows, 3, "d"), "i:10");
    EXPECT_EQ(at_field(rows, 4, "d"), "i:4");
}

TEST_F(RestPage, TheNextPageKnowsTheFieldsOfTheOneBefore) {
    page(R"([{"a":1,"b":2}])");
    const Page second = page(R"([{"b":3,"x":4}])");
    EXPECT_EQ(fields.size(), 3u);
    EXPECT_EQ(at_field(second, 0, "b"), "i:3");
    EXPECT_EQ(at_field(second, 0, "x"), "i:4");
    EXPECT_EQ(at_field(second, 0, "a"), "absent");
}

TEST_F(RestPage, StringsLoseTheirEscapes) {
    const Page rows = page(R"([{"a":"q\"b\\s\/n\nu\u00e9p\ud83d\ude00","\u0062":"x","plain":"é"}])");
    EXPECT_EQ(at_field(rows, 0, "a"),
              "s:q\"b\\s/n\nué"
              "p😀");
    EXPECT_EQ(at_field(rows, 0, "b"), "s:x");
    EXPECT_EQ(at_field(rows, 0, "plain"), "s:é");
}

TEST_F(RestPage, WhatNoTextCanHoldIsHandedOnForThePolicyToDecide) {
    const Page rows = page("[{\"nul\":\"a\\u0000b\",\"half\":\"\\ud800\",\"bytes\":\"\xFF\",\"tab\":\"a\tb\"}]");
    EXPECT_EQ(at_field(rows, 0, "nul"), "s:a\0b"s);
    EXPECT_EQ(at_field(rows, 0, "half"), "s:\xED\xA0\x80");
    EXPECT_EQ(at_field(rows, 0, "bytes"), "s:\xFF");
    EXPECT_EQ(at_field(rows, 0, "tab"), "s:a\tb");
    EXPECT_EQ(rows.fault(0), "");
    EXPECT_EQ(rows.record(0),
              "{\"nul\":\"a\\ufffdb\",\"half\":\"\\ufffd\",\"bytes\":\"\xEF\xBF\xBD\",\"tab\":\"a\\u0009b\"}");
}

TEST_F(RestPage, NamesOfMembersThatNoTextCanHold) {
    const Page rows = page("[{\"a\xFF\":1,\"b\\u0000\":2}]");
    EXPECT_EQ(fields.name(0), "a\xEF\xBF\xBD");
    EXPECT_EQ(fields.name(1), "b\xEF\xBF\xBD");
    EXPECT_EQ(at_field(rows, 0, "b\xEF\xBF\xBD"), "i:2");
}

TEST_F(RestPage, RowsAndWhatStandsAroundThem) {
    const Page rows = page(R"({"meta":{"next":"/p?\u0032","total":2},"data":{"list":[{"id":1},{"id":2}],"last":true},
                              "links":[{"rel":"self","href":"/s"},{"rel":"next","href":"/n"}],"z":null})",
                           at("/data/list"),
                           {"/meta/next", "/meta/total", "/data/last", "/data/list/1/id", "/links/rel=next/href", "/z",
                            "/nowhere/at/all", "/meta/next/deeper", "/links/7/rel", "/data/list"});
    ASSERT_EQ(rows.rows(), 2u);
    EXPECT_EQ(at_field(rows, 1, "id"), "i:2");
    EXPECT_EQ(shown(rows.envelope("/meta/next")), "s:/p?2");
    EXPECT_EQ(shown(rows.envelope("/meta/total")), "i:2");
    EXPECT_EQ(shown(rows.envelope("/data/last")), "b:true");
    EXPECT_EQ(shown(rows.envelope("/data/list/1/id")), "i:2");
    EXPECT_EQ(shown(rows.envelope("/links/rel=next/href")), "s:/n");
    EXPECT_EQ(shown(rows.envelope("/z")), "null");
    EXPECT_EQ(shown(rows.envelope("/nowhere/at/all")), "absent");
    EXPECT_EQ(shown(rows.envelope("/meta/next/deeper")), "absent");
    EXPECT_EQ(shown(rows.envelope("/links/7/rel")), "absent");
    EXPECT_EQ(shown(rows.envelope("/data/list")), "j:[{\"id\":1},{\"id\":2}]");
}

TEST_F(RestPage, ARowMayStandDeeperInItsElement) {
    const Page rows =
        page(R"({"edges":[{"cursor":"x","node":{"id":1}},{"node":null},{"cursor":"y"},{"node":{"id":2}}]})",
             at("/edges", "/node"));
    ASSERT_EQ(rows.rows(), 4u);
    EXPECT_EQ(at_field(rows, 0, "id"), "i:1");
    EXPECT_EQ(rows.record(0), "{\"id\":1}");
    EXPECT_EQ(rows.fault(1), "the row is null, not an object");
    EXPECT_EQ(rows.fault(2), "there is no row at row_path");
    EXPECT_EQ(rows.record(2), "{\"cursor\":\"y\"}");
    EXPECT_EQ(at_field(rows, 3, "id"), "i:2");
}

TEST_F(RestPage, OneObjectIsOneRow) {
    EXPECT_EQ(page(R"({"id":1,"x":{"y":2}})").rows(), 1u);
    EXPECT_EQ(page(R"({"data":{"id":1}})", at("/data"), {"/data/id"}).rows(), 1u);
    EXPECT_EQ(shown(page(R"({"data":{"id":1}})", at("/data"), {"/data/id"}).envelope("/data/id")), "i:1");
}

TEST_F(RestPage, PointersIntoTheRow) {
    fields.add_pointer("customer_id", "/customer/id");
    fields.add_pointer("second tag", "/tags/1");
    fields.add_pointer("odd", "/a~1b/~0");
    fields.add_pointer("renamed", "/old");
    fields.add_pointer("hiding", "/customer/name");
    const Page rows = page(R"([{"customer":{"id":7,"name":"N"},"tags":["a","b"],"a/b":{"~":1.0},"old":1,"hiding":2},
                               {"customer":null,"tags":[],"id":1}])");
    EXPECT_EQ(at_field(rows, 0, "customer_id"), "i:7");
    EXPECT_EQ(at_field(rows, 0, "second tag"), "s:b");
    EXPECT_EQ(at_field(rows, 0, "odd"), "d:1.0");
    EXPECT_EQ(at_field(rows, 0, "renamed"), "i:1");
    EXPECT_EQ(at_field(rows, 0, "hiding"), "s:N");
    EXPECT_EQ(at_field(rows, 0, "customer"), "j:{\"id\":7,\"name\":\"N\"}");
    EXPECT_EQ(at_field(rows, 0, "old"), "no field");
    EXPECT_EQ(at_field(rows, 1, "customer_id"), "absent");
    EXPECT_EQ(at_field(rows, 1, "customer"), "null");
    EXPECT_EQ(at_field(rows, 1, "id"), "i:1");
}

TEST_F(RestPage, PointersThatAreNone) {
    EXPECT_THROW(fields.add_pointer("a", "b"), Failure);
    EXPECT_THROW(fields.add_pointer("a", ""), Failure);
    fields.add("a");
    EXPECT_THROW(fields.add_pointer("a", "/b"), Failure);
}

TEST_F(RestPage, MembersThatNobodyTook) {
    const Page rows = page("[{\"a\":1,\"b\":\"x\\ty\\u0000\",\"c\":{\"d\":1.50}},{\"a\":2}]");
    auto is_a = [](const std::string& name) { return name == "a"; };
    EXPECT_EQ(rows.others(0, is_a), "{\"b\":\"x\\ty\\ufffd\",\"c\":{\"d\":1.50}}");
    EXPECT_EQ(rows.others(1, is_a), "");
}

TEST_F(RestPage, FieldsCanBeClosed) {
    fields.add("a");
    fields.add_pointer("deep", "/b/c");
    fields.close();
    const Page rows = page(R"([{"x":1,"a":2,"b":{"c":3},"y":{"z":[]}},{"a":4,"x":5}])");
    EXPECT_EQ(fields.size(), 2u);
    EXPECT_EQ(at_field(rows, 0, "a"), "i:2");
    EXPECT_EQ(at_field(rows, 0, "deep"), "i:3");
    EXPECT_EQ(at_field(rows, 1, "a"), "i:4");
    auto is_known = [&](const std::string& name) { return fields.takes_member(name); };
    EXPECT_EQ(rows.others(0, is_known), R"({"x":1,"b":{"c":3},"y":{"z":[]}})");
    EXPECT_EQ(rows.others(1, is_known), R"({"x":5})");
}

TEST_F(RestPage, AMemberTwiceInARowIsTheRowsFault) {
    const Page rows = page(R"([{"a":1,"a":2},{"a":3},{"b":1,"a":1,"\u0061":1}])");
    EXPECT_EQ(rows.fault(0), "member \"a\" occurs twice in the row");
    EXPECT_EQ(rows.record(0), R"({"a":1,"a":2})");
    EXPECT_EQ(rows.fault(1), "");
    EXPECT_EQ(rows.fault(2), "member \"a\" occurs twice in the row");
}

TEST_F(RestPage, DepthInARowIsTheRowsFault) {
    for (std::size_t levels : {999u, 1000u, 10000u, 200000u}) {
        const std::string deep = std::string(levels, '[') + std::string(levels, ']');
        const Page rows = page("[{\"id\":1,\"deep\":" + deep + "},{\"id\":2}]");
        ASSERT_EQ(rows.rows(), 2u);
        EXPECT_EQ(rows.fault(0).empty(), levels == 999);
        EXPECT_EQ(rows.fault(1), "");
        EXPECT_EQ(at_field(rows, 1, "id"), "i:2");
        EXPECT_LT(rows.record(0).size(), 2100u);
    }
}

TEST_F(RestPage, DepthAroundTheRowsIsNoTrouble) {
    std::string deep;
    for (int i = 0; i < 100000; i++) deep += "{\"a\":[";
    deep += "1";
    for (int i = 0; i < 100000; i++) deep += "]}";
    const Page rows =
        page("{\"x\":" + deep + ",\"rows\":[{\"id\":1}],\"y\":" + deep + "}", at("/rows"), {"/x", "/y/a/0/a"});
    EXPECT_EQ(rows.rows(), 1u);
    EXPECT_EQ(rows.envelope("/x").text.size(), deep.size());
    EXPECT_EQ(rows.envelope("/y/a/0/a").kind, Value::Kind::json);
}

TEST_F(RestPage, NumbersThatNumericCannotHoldAreStringsInTheRecord) {
    const Page rows = page(R"([{"a":1e999999999999,"b":-1.5}])");
    EXPECT_EQ(at_field(rows, 0, "a"), "d:1e999999999999");
    EXPECT_EQ(rows.record(0), R"({"a":"1e999999999999","b":-1.5})");
}

TEST_F(RestPage, AnEmptyArrayHasNoRows) {
    EXPECT_EQ(page("[]").rows(), 0u);
    EXPECT_EQ(page(" {\"items\" : [ ] } ", at("/items")).rows(), 0u);
    EXPECT_EQ(page("\xEF\xBB\xBF[{}]").rows(), 1u);
}

TEST_F(RestPage, AnEmptyAnswerHasNoRowsWhereItMayBeEmpty) {
    PageShape shape = at("/items");
    shape.may_be_empty = true;
    EXPECT_EQ(page("", shape, {"/next"}).rows(), 0u);
    EXPECT_EQ(page(" \r\n", shape, {"/next"}).envelope("/next").kind, Value::Kind::absent);
    EXPECT_EQ(failure_of("", at("/items")), "the answer is empty where JSON was expected");
    EXPECT_EQ(failure_of("  "), "the answer is empty where JSON was expected");
}

TEST_F(RestPage, MissingRowsCanBeSaidInsteadOfRaised) {
    PageShape shape = at("/data/items");
    shape.rows_may_be_missing = true;
    const Page rows = page(R"({"errors":[{"message":"Throttled"}],"data":null})", shape, {"/errors/0/message"});
    EXPECT_EQ(rows.rows(), 0u);
    EXPECT_EQ(shown(rows.envelope("/errors/0/message")), "s:Throttled");
    EXPECT_EQ(rows.missing(), "there are no rows at rows_path \"/data/items\" of the answer: there is nothing");
    EXPECT_EQ(page(R"({"data":{"items":[]}})", shape).missing(), "");
}

TEST(RestPageFailures, NoRowsAtThePath) {
    EXPECT_EQ(failure_of(R"({"data":[],"next":1})", at("/items")),
              "there are no rows at rows_path \"/items\" of the answer: there is nothing");
    EXPECT_EQ(failure_of(R"({"items":null})", at("/items")),
              "there are no rows at rows_path \"/items\" of the answer: null is there");
    EXPECT_EQ(failure_of(R"({"items":"x"})", at("/items")),
              "there are no rows at rows_path \"/items\" of the answer: a string is there");
    EXPECT_EQ(failure_of(R"([1])", at("/items/x")),
              "there are no rows at rows_path \"/items/x\" of the answer: there is nothing");
    EXPECT_EQ(failure_of("[1,2]"), "no element of the array at rows_path \"\" is an object: the first is a number");
    EXPECT_EQ(failure_of("[[{}]]"), "no element of the array at rows_path \"\" is an object: the first is an array");
    EXPECT_EQ(failure_of(R"([{"a":1}])", at("", "/node")),
              "no element of the array at rows_path \"\" is an object with one at row_path \"/node\": the first is an "
              "object");
    EXPECT_EQ(failure_of("3"), "there are no rows at rows_path \"\" of the answer: a number is there");
}

TEST(RestPageFailures, TheAnswersMembersAreNamed) {
    Fields fields;
    try {
        Page(R"({"value":[],"odata":"x"})", at("/items"), fields, {});
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.detail, "The answer has the members value, odata.");
    }
}

TEST(RestPageFailures, WhatIsNoJson) {
    EXPECT_EQ(failure_of("<!DOCTYPE html>\n<html>"),
              "the answer is a web page, not JSON: it begins with \"<!DOCTYPE html> <html>\"");
    EXPECT_EQ(failure_of("<?xml version=\"1.0\"?>"),
              "the answer is XML, not JSON: it begins with \"<?xml version=\"1.0\"?>\"");
    EXPECT_EQ(failure_of("[{\"a\":1},{\"a\":"),
              "the answer ends in the middle of its JSON, at byte 15: a value is missing");
    EXPECT_EQ(failure_of("[{\"a\":\"x"), "the answer ends in the middle of its JSON, at byte 9: a string has no end");
    EXPECT_EQ(failure_of("[{\"a\":1}"), "the answer ends in the middle of its JSON, at byte 9: \"]\" is missing");
    EXPECT_EQ(failure_of("[{\"a\":tru"), "the answer ends in the middle of its JSON, at byte 10: a word is cut short");
    EXPECT_EQ(failure_of("[{\"a\":1}] x"), "the answer is not valid JSON, at byte 11: unexpected text after the JSON");
    EXPECT_EQ(failure_of("[{\"a\":01}]"), "the answer is not valid JSON, at byte 8: a number begins with 0");
    EXPECT_EQ(failure_of("[{\"a\":1,}]"), "the answer is not valid JSON, at byte 9: a string is missing");
    EXPECT_EQ(failure_of("[{\"a\":NaN}]"), "the answer is not valid JSON, at byte 7: a value is missing");
    EXPECT_EQ(failure_of("[{\"a\":\"\\x\"}]"),
              "the answer is not valid JSON, at byte 8: a string has an invalid escape");
    EXPECT_EQ(failure_of("[{\"a\":{\"b\" 1}}]"), "the answer is not valid JSON, at byte 12: \":\" is missing");
    EXPECT_EQ(failure_of("Not found"), "the answer is not valid JSON, at byte 1: a value is missing");
}

TEST(RestPageFailures, AMemberTwiceAroundTheRows) {
    EXPECT_EQ(failure_of(R"({"items":[],"items":[{"a":1}]})", at("/items")),
              "member \"items\" occurs twice in the answer");
    EXPECT_EQ(failure_of(R"({"next":1,"items":[],"next":2})", at("/items"), {"/next"}),
              "member \"next\" occurs twice in the answer");
    EXPECT_EQ(failure_of(R"({"other":1,"items":[],"other":2})", at("/items"), {"/next"}), "none");
}

TEST(RestPageFailures, RowsThatAreMaps) {
    std::string body = "[{\"k\":1";
    for (int i = 0; i < 1600; i++) body += ",\"k" + std::to_string(i) + "\":1";
    EXPECT_EQ(failure_of(body + "}]"), "the rows have more than 1600 different members");
}

TEST(RestRowsPath, IsFoundWhereItIsClear) {
    EXPECT_EQ(find_rows_path("[1]"), "");
    EXPECT_EQ(find_rows_path(R"({"count":1,"list":[{"a":1}]})"), "/list");
    EXPECT_EQ(find_rows_path(R"({"links":[{}],"items":[]})"), "/items");
    EXPECT_EQ(find_rows_path(R"({"tags":["a"],"orders":[{}]})"), "/orders");
    EXPECT_EQ(find_rows_path(R"({"meta":{"n":1},"data":{"a~b/c":[{}]}})"), "/data/a~0b~1c");
    for (const char* body : {R"({"a":[{}],"b":[{}]})", R"({"a":1})", "{}", "3"})
        EXPECT_THROW(find_rows_path(body), Failure);
    EXPECT_THROW(find_rows_path("<html>"), Failure);
}

TEST_F(RestPage, MembersOfAMemberAreTheRows) {
    PageShape shape;
    shape.flatten = {"attributes"};
    shape.ignored = {"links", "kept"};
    fields.add("kept");
    fields.add_pointer("deep", "/attributes/more/x");
    const Page found = page(
        R"([{"id": "1", "attributes": {"name": "a", "more": {"x": 5}}, "links": {}, "kept": 1}, {"id": "2", "attributes": null}])",
        shape);
    EXPECT_EQ(at_field(found, 0, "id"), "s:1");
    EXPECT_EQ(at_field(found, 0, "name"), "s:a");
    EXPECT_EQ(at_field(found, 0, "deep"), "i:5");
    EXPECT_EQ(at_field(found, 0, "kept"), "i:1") << "it is declared";
    EXPECT_EQ(at_field(found, 0, "links"), "no field");
    EXPECT_EQ(at_field(found, 1, "name"), "absent");
    EXPECT_EQ(found.others(0, [](const std::string& name) { return name == "id" || name == "more"; }),
              R"({"name":"a"})");
    EXPECT_EQ(page(R"([{"id": 1, "attributes": {"id": 2}}])", shape).fault(0), "member \"id\" occurs twice in the row");
}

TEST_F(RestPage, TheLastElementOfAnArray) {
    EXPECT_EQ(shown(page(R"({"hits": [{"sort": [1]}, {"sort": [2, "b"]}]})", at("/hits"), {"/hits/-1/sort"})
                        .envelope("/hits/-1/sort")),
              "j:[2, \"b\"]");
    EXPECT_EQ(shown(page(R"({"hits": []})", at("/hits"), {"/hits/-1/sort"}).envelope("/hits/-1/sort")), "absent");
}

}  // namespace
}  // namespace insync::rest
