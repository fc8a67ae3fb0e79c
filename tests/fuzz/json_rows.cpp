// Answers of JSON APIs on their way to rows: what is JSON is read as another parser reads it, numbers digit for digit;
// what isn't is refused; every row of it can be sent or is refused for a reason; and what is kept of a refused one is
// JSON.
#include <nlohmann/json.hpp>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/columns.hpp"
#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/protocol/batch.hpp"
#include "tests/fuzz/support/frames.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync::rest {
namespace {

bool begins(std::string_view text, std::string_view with) {
    return text.substr(0, with.size()) == with;
}

bool says_no_json(const Failure& failure) {
    for (const char* begin : {"the answer is not valid JSON", "the answer ends in the middle",
                              "the answer is a web page", "the answer is XML", "the answer is empty"}) {
        if (begins(failure.message, begin)) return true;
    }
    return false;
}

// The other parser refuses numbers that a double can't hold, or makes them zero.
bool has_large_exponent(std::string_view text) {
    for (std::size_t at = text.find_first_of("eE"); at != std::string_view::npos;
         at = text.find_first_of("eE", at + 1)) {
        std::size_t digit = at + 1;
        if (digit < text.size() && (text[digit] == '+' || text[digit] == '-')) digit++;
        if (text.find_first_not_of("0123456789", digit) - digit >= 3 && digit < text.size()) return true;
    }
    return false;
}

void check_value(const Value& value, const nlohmann::json* expected, std::string_view body) {
    if (value.kind == Value::Kind::integer || value.kind == Value::Kind::decimal) {
        REQUIRE(body.find(value.text) != std::string_view::npos);
    }
    if (expected == nullptr) return;
    switch (value.kind) {
        case Value::Kind::absent:
            REQUIRE(!"a value is there");
            break;
        case Value::Kind::null:
            REQUIRE(expected->is_null());
            break;
        case Value::Kind::boolean:
            REQUIRE(expected->is_boolean() && expected->get<bool>() == (value.text == "true"));
            break;
        case Value::Kind::integer:
            REQUIRE(expected->is_number());
            if (!expected->is_number_float() && value.text != "-0") REQUIRE(expected->dump() == value.text);
            break;
        case Value::Kind::decimal:
            REQUIRE(expected->is_number_float());
            REQUIRE(has_large_exponent(value.text) || expected->get<double>() == std::stod(std::string(value.text)));
            break;
        case Value::Kind::string:
            REQUIRE(expected->is_string() && expected->get_ref<const std::string&>() == value.text);
            break;
        case Value::Kind::json:
            REQUIRE(expected->is_structured() && nlohmann::json::parse(value.text) == *expected);
            break;
    }
}

// All rows with these columns through frames and into a batch; the number of those that came through.
void check_encoded(const Page& page, const std::vector<RestColumn>& columns, const EncodeOptions& options,
                   bool guessed) {
    static fuzz::Frames frames;  // its buffer is large
    std::size_t sent = 0;
    std::vector<SourceColumn> announced(columns.size());
    for (std::size_t i = 0; i < columns.size(); i++) announced[i].transport = columns[i].type;
    for (std::size_t row = 0; row < page.rows(); row++) {
        frames.writer.begin_row(static_cast<std::int16_t>(columns.size()));
        Fault fault = Fault::none;
        for (const RestColumn& column : columns) {
            const Value value = page.value(row, column.field);
            fault = encode_value(frames.writer, column, value, options, 1u << 20);
            if (fault == Fault::none) continue;
            REQUIRE(std::string_view(sqlstate_of(fault)).size() == 5);
            // A type that was guessed from these values holds them, unless no value of the kind could be held.
            const bool is_hopeless = fault == Fault::json || fault == Fault::range;
            REQUIRE(!guessed || is_hopeless || (fault == Fault::encoding && !options.replace_text));
            REQUIRE(!guessed || fault != Fault::json || column.type == Transport::jsonb);
            break;
        }
        if (fault == Fault::none) {
            frames.writer.end_row();
            sent++;
        } else {
            frames.writer.drop_row();
        }
    }
    Batch batch;
    for (const Frame& frame : frames.take()) batch.append_rows(frame.payload, announced);  // throws what is a finding
    REQUIRE(columns.empty() || batch.rows() == sent);
}

void check_rows(const Page& page, const Fields& fields, const nlohmann::json* rows, const PageShape& shape,
                std::string_view body) {
    const bool is_array = rows != nullptr && rows->is_array();
    if (rows != nullptr) REQUIRE(page.rows() == (is_array ? rows->size() : 1));
    for (std::size_t row = 0; row < page.rows(); row++) {
        const std::string record = page.record(row);
        if (!has_large_exponent(record)) REQUIRE(is_storable_json(record));
        if (!page.fault(row).empty() || rows == nullptr) continue;
        nlohmann::json expected = is_array ? (*rows)[row] : *rows;
        const nlohmann::json::json_pointer row_path(shape.row_path);
        REQUIRE(expected.contains(row_path));
        expected = nlohmann::json(expected[row_path]);
        REQUIRE(expected.is_object());
        std::size_t found = 0;
        for (std::size_t field = 0; field < fields.size(); field++) {
            const Value value = page.value(row, field);
            const nlohmann::json::json_pointer inside("/a/b");
            const bool is_deep = fields.name(field) == "deep";
            // Names that no text can hold come under others.
            if (!is_deep && !expected.contains(fields.name(field))) continue;
            const bool is_there = !is_deep || expected.contains(inside);
            REQUIRE((value.kind != Value::Kind::absent) == is_there);
            if (!is_there) continue;
            check_value(value, is_deep ? &expected[inside] : &expected[fields.name(field)], body);
            if (!is_deep) found++;
        }
        for (const auto& [name, value] : expected.items()) {
            if (!is_valid_utf8(name) || name == "deep") found++;
        }
        REQUIRE(found >= expected.size());
        const std::string others = page.others(row, [](const std::string& name) { return name == "a"; });
        if (!has_large_exponent(others) && !others.empty()) REQUIRE(is_storable_json(others));
    }
}

FUZZ_TARGET(json_rows) {
    const std::uint8_t flags = input.byte();
    PageShape shape;
    shape.rows_path = (flags & 1) != 0 ? "/r" : "";
    shape.row_path = (flags & 2) != 0 ? "/n" : "";
    shape.may_be_empty = (flags & 4) != 0;
    shape.rows_may_be_missing = (flags & 8) != 0;
    EncodeOptions options;
    options.replace_text = (flags & 16) != 0;
    const auto type = static_cast<Transport>(input.below(15));
    const std::string body(input.rest());

    const nlohmann::json document = nlohmann::json::parse(body, nullptr, false);
    // The other parser takes a zero byte for the end.
    const bool is_json = !document.is_discarded() && body.find('\0') == std::string::npos;
    try {
        PageShape shape;
        shape.rows_path = find_rows_path(body);
        Fields fields;
        try {
            Page(body, shape, fields, {});
        } catch (const Failure& failure) {
            REQUIRE(!says_no_json(failure) && !begins(failure.message, "there are no rows"));
        }
    } catch (const Failure& failure) {
        REQUIRE(!is_json || !says_no_json(failure));
    }

    Fields fields;
    fields.add_pointer("deep", "/a/b");
    try {
        const Page page(body, shape, fields, {"/m", "/m/x=1/y", "/l/1"});
        // Strings may hold what the other parser refuses, and nothing else may.
        if (!is_json && !has_large_exponent(body) && body.find_first_not_of(" \t\r\n") != std::string::npos) {
            REQUIRE(nlohmann::json::accept(storable_json(body)));
        }
        const nlohmann::json::json_pointer rows_path(shape.rows_path);
        const bool has_rows = is_json && page.missing().empty();
        if (has_rows) REQUIRE(document.contains(rows_path));
        check_rows(page, fields, has_rows ? &document[rows_path] : nullptr, shape, body);
        if (is_json && document.is_object() && document.contains("m")) {
            check_value(page.envelope("/m"), &document["m"], body);
        }
        std::vector<RestColumn> columns(fields.size()), declared(fields.size());
        for (std::size_t field = 0; field < fields.size(); field++) {
            TypeGuess guess;
            for (std::size_t row = 0; row < page.rows(); row++) guess.add(page.value(row, field));
            columns[field].type = guess.transport();
            declared[field].type = type;
            columns[field].field = declared[field].field = field;
            REQUIRE(transport_for(guess.pg_type()) == guess.transport());
        }
        check_encoded(page, columns, options, true);
        check_encoded(page, declared, options, false);
    } catch (const Failure& failure) {
        REQUIRE(failure.kind == FailureClass::source);
        REQUIRE(!is_json || !says_no_json(failure));
    }
}

}  // namespace
}  // namespace insync::rest
