// Templates of requests: what stands for what, and how values are kept from being more than values.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/request/template.hpp"

namespace insync::rest {
namespace {

using namespace std::string_literals;

Values some_values() {
    Values values;
    values.texts = {{"since", "2026-01-31T10:00:00.123456+02:00"},
                    {"offset", "200"},
                    {"limit", "100"},
                    {"source", "orders"},
                    {"watermark", "changed"},
                    {"parent.id", "a/b"}};
    values.order = {"changed", "id"};
    return values;
}

// The rendered text, or <nothing>.
std::string rendered(const std::string& text, Place place = Place::plain, const Values& values = some_values()) {
    return Template(text).render(values, place).value_or("<nothing>");
}

std::string failure_of(const std::string& text) {
    try {
        return rendered(text);
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.kind, FailureClass::config);
        return failure.message + (failure.hint.empty() ? "" : " | " + failure.hint);
    }
}

TEST(RestTemplate, PlaceholdersStandForValues) {
    EXPECT_EQ(rendered("{watermark}=gte.{since}"), "changed=gte.2026-01-31T10:00:00.123456+02:00");
    EXPECT_EQ(rendered("nothing to fill in"), "nothing to fill in");
    EXPECT_EQ(rendered(""), "");
}

TEST(RestTemplate, WhatIsNoPlaceholderStays) {
    for (const char* text : {"{id}", "{}", "{", "}", "query { orders { id name } }", "{owner{name}}", "{date}",
                             "{id:iso}", "{parent.}", "[1]", "{\"since\":1}", "{title}", "{node}"}) {
        EXPECT_EQ(rendered(text), text);
    }
}

TEST(RestTemplate, NearMissesAreErrors) {
    EXPECT_EQ(failure_of("{sinse}"), "placeholder {sinse} is not known | Perhaps you meant {since}.");
    EXPECT_EQ(failure_of("x{Since:iso}"), "placeholder {Since} is not known | Perhaps you meant {since}.");
    EXPECT_EQ(failure_of("{pagetoken}"), "placeholder {pagetoken} is not known | Perhaps you meant {page_token}.");
    EXPECT_EQ(failure_of("{offsite}"), "{offsite}");
    EXPECT_EQ(failure_of("{offest}"), "placeholder {offest} is not known | Perhaps you meant {offset}.");
    EXPECT_EQ(failure_of("{ page }"), "{ page }");
}

TEST(RestTemplate, PlaceholdersWithoutAnEnd) {
    EXPECT_EQ(failure_of("gte.{since"), "placeholder {since has no } | Perhaps you meant {since}.");
    EXPECT_EQ(failure_of("gte.{sinze"), "placeholder {sinze has no } | Perhaps you meant {since}.");
    EXPECT_EQ(failure_of("{x"), "placeholder {x has no } | Placeholders are written as {source}.");
    EXPECT_EQ(failure_of("{since:iso"), "placeholder {since has no } | Perhaps you meant {since}.");
    EXPECT_EQ(failure_of("/{parent.id/lines"),
              "placeholder {parent.id/lines has no } | Perhaps you meant "
              "{parent.id/lines}.");
    EXPECT_EQ(failure_of(R"({"a": "{since", "b": {limit}})"),
              "placeholder {since has no } | Perhaps you meant {since}.");
    EXPECT_EQ(failure_of(R"({"a": "{parent.id"})"), "placeholder {parent.id has no } | Perhaps you meant {parent.id}.");
    EXPECT_EQ(failure_of("a={limit&b={offset}"), "placeholder {limit has no } | Perhaps you meant {limit}.");
    EXPECT_EQ(failure_of("{parnet.id}"), "placeholder {parnet.id} is not known | Perhaps you meant {parent.id}.");
    EXPECT_EQ(failure_of("{parents.id}"), "placeholder {parents.id} is not known | Perhaps you meant {parent.id}.");
    // GraphQL's fields, JavaScript's members, and brackets that an optional part stands between.
    for (const char* text : {"query {page {id}}", "{limit, key}", "{orders(first: 5) {name}}", "{page\n name}",
                             "{key\\n id}", "{filter [[x]]}", "{page @include(if: true) {id}}"}) {
        EXPECT_EQ(rendered(text), text);
    }
    EXPECT_EQ(rendered("{filter: {a: [[{limit}]]}}"), "{filter: {a: 100}}");
}

TEST(RestTemplate, UnknownFormats) {
    EXPECT_EQ(failure_of("{since:iso_sm}"),
              "placeholder {since:iso_sm} has an unknown format | Perhaps you meant {since:iso_ms}.");
    EXPECT_EQ(failure_of("{since:%Q}"),
              "placeholder {since:%Q} has an unknown format | Use the letters of strftime, as %Y-%m-%dT%H:%M:%S.");
    EXPECT_NE(failure_of("{since:%}").find("unknown format"), std::string::npos);
    EXPECT_NE(failure_of("{since:}").find("unknown format"), std::string::npos);
    EXPECT_EQ(failure_of("{order:xml}"),
              "placeholder {order:xml} has an unknown format | Formats of {order} are comma, asc, colon and json.");
}

TEST(RestTemplate, AValueThatIsNoTime) {
    EXPECT_EQ(failure_of("{source:iso}"), "the value of {source:iso} is not a time: \"orders\"");
}

TEST(RestTemplate, OptionalPartsGoWhole) {
    EXPECT_EQ(rendered("a[[ and {since:date}]]b"), "a and 2026-01-31b");
    EXPECT_EQ(rendered("a[[ and {until}]]b"), "ab");
    EXPECT_EQ(rendered("[[{since:date} to {until}]]"), "");
    EXPECT_EQ(rendered("[[{until}]][[{limit}]]"), "100");
    EXPECT_EQ(rendered("[[{order}]]", Place::plain, {}), "");
    EXPECT_EQ(rendered("[[[{limit}]]]"), "[100]");
}

TEST(RestTemplate, BracketsWithoutPlaceholders) {
    EXPECT_EQ(rendered("[[1,2],[3]]"), "[[1,2],[3]]");
    EXPECT_EQ(rendered("[ [{limit}] ]"), "[ [100] ]");
    EXPECT_EQ(failure_of("[[{limit}]"),
              "an optional part begins with [[ and has no ]] | Write two brackets that are meant as such with a space "
              "between them.");
}

TEST(RestTemplate, NothingWithoutAValue) {
    EXPECT_EQ(rendered("{until}"), "<nothing>");
    EXPECT_EQ(rendered("/x/{parent.name}", Place::path), "<nothing>");
    EXPECT_EQ(rendered("{order}", Place::plain, {}), "<nothing>");
    EXPECT_EQ(rendered("\"{until}\"", Place::json), "<nothing>");
    EXPECT_EQ(rendered("{\"a\": {until}}", Place::json), "{\"a\": null}");
}

TEST(RestTemplate, SegmentsOfAPath) {
    EXPECT_EQ(rendered("/{source}/{parent.id}/lines?x={offset}", Place::path), "/orders/a%2Fb/lines?x=200");
    Values values;
    values.texts["parent.id"] = "x?y#z%41 ä";
    EXPECT_EQ(rendered("{parent.id}", Place::path, values), "x%3Fy%23z%2541%20%C3%A4");
    for (const char* text : {"..", "."}) {
        values.texts["parent.id"] = text;
        EXPECT_THROW(rendered("/a/{parent.id}/b", Place::path, values), Failure);
        EXPECT_EQ(rendered("/a/x{parent.id}", Place::path, values), "/a/x" + std::string(text));
    }
}

TEST(RestTemplate, ValuesInJson) {
    Values values;
    values.texts = {{"source", "q\"u\\o\n"}, {"offset", "10"}, {"page_token", "10"}, {"key", "01"}, {"since", "1.50"}};
    values.order = {"a\"b", "c"};
    EXPECT_EQ(rendered(R"({"s": "<{source}>", "t": {source}})", Place::json, values),
              R"({"s": "<q\"u\\o\u000a>", "t": "q\"u\\o\u000a"})");
    EXPECT_EQ(rendered(R"({"o": {offset}, "p": {page_token}, "k": {key}, "n": {since}})", Place::json, values),
              R"({"o": 10, "p": "10", "k": "01", "n": 1.50})");
    EXPECT_EQ(rendered(R"({"o": {order:json}, "l": {order}, "in": "{order:json}"})", Place::json, values),
              R"({"o": {"a\"b":"ASC","c":"ASC"}, "l": "a\"b,c", "in": "{\"a\\\"b\":\"ASC\",\"c\":\"ASC\"}"})");
    EXPECT_EQ(rendered(R"({"a": "\"{offset}\"", "b": {offset}})", Place::json, values), R"({"a": "\"10\"", "b": 10})");
    EXPECT_THROW(rendered(R"({"a": "\{source}"})", Place::json, values), Failure);
}

TEST(RestTemplate, TheFilterOfOrds) {
    const Template q(R"({[["{watermark}":{"$gte":{"$date":"{since:iso}"}},]][["$asof":{"$timestamp":"{asof}"},]])"
                     R"("$orderby":{order:json}})");
    EXPECT_TRUE(q.is_json());
    EXPECT_TRUE(q.uses("since"));
    EXPECT_FALSE(q.uses("until"));
    EXPECT_EQ(q.render(some_values(), Place::json),
              R"({"changed":{"$gte":{"$date":"2026-01-31T08:00:00Z"}},"$orderby":{"changed":"ASC","id":"ASC"}})");
}

TEST(RestTemplate, WhatIsJson) {
    EXPECT_TRUE(Template(" [1]").is_json());
    EXPECT_TRUE(Template("[[{\"a\":\"{since}\"}]]").is_json());
    EXPECT_FALSE(Template("{since}").is_json());
    EXPECT_FALSE(Template("[[{since}]]").is_json());
    EXPECT_FALSE(Template("a{").is_json());
    EXPECT_FALSE(Template("").is_json());
}

TEST(RestTemplate, FieldsOfTheParent) {
    EXPECT_EQ(Template("/{parent.id}/[[{parent.a b}]]{parent.id}").parent_fields(),
              (std::vector<std::string>{"id", "a b"}));
}

TEST(RestTemplate, Orders) {
    EXPECT_EQ(rendered("{order}"), "changed,id");
    EXPECT_EQ(rendered("{order:comma}"), "changed,id");
    EXPECT_EQ(rendered("{order:asc}"), "changed.asc,id.asc");
    EXPECT_EQ(rendered("{order:json}"), "{\"changed\":\"ASC\",\"id\":\"ASC\"}");
}

std::string time_of(const char* literal, const char* format) {
    return format_time(literal, format).value_or("<nothing>");
}

TEST(RestTemplate, OrderWithColons) {
    EXPECT_EQ(rendered("{order:colon}"), "changed:asc,id:asc");
}

TEST(RestTemplate, WatermarksByTheirKind) {
    const std::string filter = "[[at ge {since:iso}]][[at ge {since:day}]][[at ge {since:number}]]";
    Values values = some_values();
    EXPECT_EQ(rendered(filter), "at ge 2026-01-31T08:00:00Z");
    values.texts["since"] = "2026-01-31";
    EXPECT_EQ(rendered(filter, Place::plain, values), "at ge 2026-01-31");
    EXPECT_EQ(rendered("{since:iso}", Place::plain, values), "2026-01-31T00:00:00Z") << "what the user asks for";
    values.texts["since"] = "1000";
    values.counts = true;
    EXPECT_EQ(rendered(filter, Place::plain, values), "at ge 1000");
    EXPECT_EQ(rendered("{since:iso_ms}", Place::plain, values), "1000");
    EXPECT_EQ(rendered("{\"a\":{since:number}}", Place::json, values), "{\"a\":1000}");
    values.counts = false;
    EXPECT_EQ(rendered(filter, Place::plain, values), "at ge 1970-01-01T00:16:40Z") << "a number that is a time";
    values.texts.erase("since");
    EXPECT_EQ(rendered(filter, Place::plain, values), "");
}

TEST(RestTemplate, TokensOfAnyForm) {
    Values values;
    values.texts["page_token"] = "[1736071200000,\"7\"]";
    EXPECT_EQ(rendered("{\"after\": {page_token:json}}", Place::json, values), "{\"after\": [1736071200000,\"7\"]}");
    EXPECT_EQ(failure_of("{page_token:iso}"),
              "placeholder {page_token:iso} has an unknown format | The only format of {page_token} is json.");
}

TEST(RestTimes, Formats) {
    const char* literal = "2026-01-31T10:00:00.123456789+02:00";
    EXPECT_EQ(time_of(literal, "iso"), "2026-01-31T08:00:00Z");
    EXPECT_EQ(time_of(literal, "iso_ms"), "2026-01-31T08:00:00.123Z");
    EXPECT_EQ(time_of(literal, "iso_us"), "2026-01-31T08:00:00.123456Z");
    EXPECT_EQ(time_of(literal, "date"), "2026-01-31");
    EXPECT_EQ(time_of(literal, "epoch"), "1769846400");
    EXPECT_EQ(time_of(literal, "epoch_ms"), "1769846400123");
    EXPECT_EQ(time_of(literal, "epoch_us"), "1769846400123456");
    EXPECT_EQ(time_of(literal, "%d.%m.%y %H:%M:%S,%f %% %z %s"), "31.01.26 08:00:00,123456 % +0000 1769846400");
}

TEST(RestTemplate, SlicesHavePlaceholdersOfTheirOwn) {
    Values values;
    values.texts = {{"from", "2026-01-05T00:00:00Z"}, {"slice_column", "day"}};
    const char* text = "{slice_column}[[ ge {from:date}]][[ lt {to:date}]]";
    EXPECT_EQ(Template(text, true).render(values, Place::plain), "day ge 2026-01-05");
    EXPECT_EQ(Template("{from}{to}").render(values, Place::plain), "{from}{to}");
}

TEST(RestTimes, Literals) {
    EXPECT_EQ(time_of("2026-01-31", "iso"), "2026-01-31T00:00:00Z");
    EXPECT_EQ(time_of("2026-01-31 10:00:00", "iso"), "2026-01-31T10:00:00Z");
    EXPECT_EQ(time_of("1769846400", "iso"), "2026-01-31T08:00:00Z");
    EXPECT_EQ(time_of("1769846400.5", "iso_ms"), "2026-01-31T08:00:00.500Z");
    EXPECT_EQ(time_of("1769846400123", "iso_ms"), "2026-01-31T08:00:00.123Z");
    EXPECT_EQ(time_of("1769846400123456", "iso_us"), "2026-01-31T08:00:00.123456Z");
    EXPECT_EQ(time_of("-1", "iso"), "1969-12-31T23:59:59Z");
    EXPECT_EQ(time_of("-100000000001", "iso_ms"), "1966-10-31T14:13:19.999Z");
    EXPECT_EQ(time_of("0", "iso"), "1970-01-01T00:00:00Z");
    EXPECT_EQ(time_of("0001-01-01T00:00:00Z", "iso"), "0001-01-01T00:00:00Z");
    EXPECT_EQ(time_of("9999-12-31T23:59:59.9999999Z", "iso_us"), "9999-12-31T23:59:59.999999Z");
    for (const char* literal :
         {"", "soon", "1.", "1.5x", "-1.5", "1769846400123.5", "2026-02-30", "99999999999999999999",
          "0001-01-01T00:00:00+01:00", "9223372036854775807", "-9223372036854775808"}) {
        EXPECT_EQ(time_of(literal, "iso"), "<nothing>") << literal;
    }
}

}  // namespace
}  // namespace insync::rest
