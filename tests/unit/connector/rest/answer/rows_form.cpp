// Rows of other forms: what becomes of the answer's text.
#include <gtest/gtest.h>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/rows_form.hpp"

namespace insync::rest {
namespace {

std::string objects(const std::string& body, RowsForm form, std::optional<std::string> path = std::nullopt,
                    std::vector<std::string> names = {}) {
    return as_objects(body, form, path, names);
}

TEST(RestRowsForm, ByTheirContentType) {
    EXPECT_EQ(form_of(RowsForm::automatic, "application/x-ndjson; charset=utf-8"), RowsForm::ndjson);
    EXPECT_EQ(form_of(RowsForm::automatic, "text/csv"), RowsForm::csv);
    EXPECT_EQ(form_of(RowsForm::automatic, "application/json"), RowsForm::objects);
    EXPECT_EQ(form_of(RowsForm::automatic, std::nullopt), RowsForm::objects);
    EXPECT_EQ(form_of(RowsForm::map, "text/csv"), RowsForm::map);
}

TEST(RestRowsForm, WhatStandsAroundAMapStays) {
    EXPECT_EQ(
        objects(R"({"n": 1, "rows": {"a\u00e9": {"x": 1.50}, "b": {}, "c": "t", "d": null}, "next": "/2"})",
                RowsForm::map, "/rows"),
        R"({"n": 1, "rows": [{"_key":"a\u00e9","x": 1.50},{"_key":"b"},{"_key":"c","value":"t"},{"_key":"d","value":null}], "next": "/2"})");
    EXPECT_EQ(objects("{}", RowsForm::map), "[]");
    EXPECT_EQ(objects(R"({"error": "none"})", RowsForm::map, "/rows"), R"({"error": "none"})") << "said elsewhere";
}

TEST(RestRowsForm, NamesOfArrays) {
    EXPECT_EQ(objects(R"([["id","n"],[1,"a"]])", RowsForm::arrays), R"([{"id":1,"n":"a"}])");
    EXPECT_EQ(objects(R"([[1,"a"],[2]])", RowsForm::arrays), R"([{"c1":1,"c2":"a"},{"c1":2}])");
    EXPECT_EQ(objects(R"({"columns":["x"],"rows":[["y"],["z"]]})", RowsForm::arrays, "/rows"),
              R"({"columns":["x"],"rows":[{"x":"y"},{"x":"z"}]})");
    std::optional<std::string> path;
    std::vector<std::string> names;
    EXPECT_EQ(as_objects(R"({"v":[["id"],[1]]})", RowsForm::arrays, path, names), R"({"v":[{"id":1}]})");
    EXPECT_EQ(path, "/v");
    EXPECT_EQ(names, std::vector<std::string>{"id"}) << "for the pages that follow, with that row or without it";
    EXPECT_EQ(as_objects(R"({"v":[["id"],[2]]})", RowsForm::arrays, path, names), R"({"v":[{"id":2}]})");
    EXPECT_EQ(as_objects(R"({"v":[[3],[4]]})", RowsForm::arrays, path, names), R"({"v":[{"id":3},{"id":4}]})");
}

TEST(RestRowsForm, Lines) {
    EXPECT_EQ(objects("{\"a\":1}\r\n\n \n[2]", RowsForm::ndjson), "[{\"a\":1}\r,[2]]");
    EXPECT_EQ(objects("", RowsForm::ndjson), "[]");
}

TEST(RestRowsForm, Csv) {
    EXPECT_EQ(objects("a,b\n1,\"x\"\"y\"\n,\"\"\n", RowsForm::csv), R"([{"a":1,"b":"x\"y"},{"a":null,"b":""}])");
    EXPECT_EQ(objects("a\tb\n007\t1e5", RowsForm::csv), R"([{"a":"007","b":1e5}])");
    EXPECT_EQ(objects("1;2", RowsForm::csv, std::nullopt, {"x", "y"}), R"([{"x":1,"y":2}])");
    EXPECT_THROW(objects("a\n\"b", RowsForm::csv), Failure);
    EXPECT_THROW(objects("a\nb,c", RowsForm::csv), Failure);
    EXPECT_THROW(objects("a,b\nc", RowsForm::csv), Failure);
    EXPECT_THROW(objects("a,a\nb,c", RowsForm::csv), Failure);
}

TEST(RestRowsForm, WhatIsNoJsonIsAnError) {
    EXPECT_THROW(objects("<html>", RowsForm::map), Failure);
    EXPECT_THROW(objects("[[1]", RowsForm::arrays), Failure);
}

}  // namespace
}  // namespace insync::rest
