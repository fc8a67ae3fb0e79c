// A batch takes what the connector sends only where it is whole, and names columns so that SQL can use them.
#include "bgworker/protocol/batch.hpp"

#include <gtest/gtest.h>

#include "bgworker/protocol/wire.hpp"

namespace insync {
namespace {

using nlohmann::json;
using namespace std::string_literals;

std::vector<SourceColumn> columns_of(const std::vector<std::string>& types) {
    json description = json::array();
    for (const std::string& type : types) {
        description.push_back({{"name", "c" + std::to_string(description.size())}, {"type", type}});
    }
    return parse_columns(description);
}

std::string row_of(const std::vector<std::string>& fields) {
    std::string row;
    wire::append_int16(row, static_cast<std::int16_t>(fields.size()));
    for (const std::string& field : fields) {
        wire::append_int32(row, static_cast<std::int32_t>(field.size()));
        row += field;
    }
    return row;
}

std::vector<std::string> fields_of(const std::vector<std::string>& names) {
    json description = json::array();
    for (const std::string& name : names) description.push_back({{"name", name}, {"type", "text"}});
    std::vector<std::string> fields;
    for (const SourceColumn& column : parse_columns(description)) fields.push_back(column.field);
    return fields;
}

// Rows

TEST(Batch, GivesRowsBack) {
    auto columns = columns_of({"text", "int2", "text"});
    std::string null_row;
    wire::append_int16(null_row, 3);
    for (int i = 0; i < 3; i++) wire::append_int32(null_row, -1);
    Batch batch;
    batch.append_rows(row_of({"a", std::string("\0\1", 2), ""}) + null_row, columns);
    batch.append_rows(row_of({"third", "xx", "y"}), columns);
    ASSERT_EQ(batch.rows(), 3u);
    Field fields[3];
    batch.read_row(0, fields);
    EXPECT_EQ(std::string(fields[0].data, 1), "a");
    EXPECT_EQ(fields[1].length, 2);
    EXPECT_EQ(fields[2].length, 0);
    batch.read_row(1, fields);
    for (const Field& field : fields) EXPECT_EQ(field.length, -1);
    batch.read_row(2, fields);
    EXPECT_EQ(std::string(fields[0].data, static_cast<std::size_t>(fields[0].length)), "third");
    EXPECT_EQ(std::string(fields[2].data, 1), "y");
}

TEST(Batch, RefusesARowThatIsCutAnywhere) {
    auto columns = columns_of({"text", "int4"});
    std::string whole = row_of({"ab", "1234"});
    for (std::size_t length = 1; length < whole.size(); length++) {
        Batch batch;
        EXPECT_THROW(batch.append_rows(whole.substr(0, length), columns), ProtocolError) << length << " bytes";
    }
    Batch batch;
    EXPECT_THROW(batch.append_rows(whole + '\0', columns), ProtocolError) << "a byte too many is the next row's first";
}

TEST(Batch, RefusesAnotherNumberOfFields) {
    auto columns = columns_of({"text", "text"});
    for (const std::vector<std::string>& fields : {std::vector<std::string>{}, {"a"}, {"a", "b", "c"}}) {
        Batch batch;
        EXPECT_THROW(batch.append_rows(row_of(fields), columns), ProtocolError) << fields.size() << " fields";
    }
    std::string negative;
    wire::append_int16(negative, -1);
    Batch batch;
    EXPECT_THROW(batch.append_rows(negative, columns), ProtocolError);
}

std::string int4_of(std::int32_t value) {
    std::string bytes;
    wire::append_int32(bytes, value);
    return bytes;
}

bool ascends(const std::vector<std::string>& types, const std::vector<std::vector<std::string>>& rows,
             const std::vector<std::size_t>& by) {
    auto columns = columns_of(types);
    Batch batch;
    for (const auto& row : rows) batch.append_rows(row_of(row), columns);
    return batch.ascends(by, columns);
}

TEST(Batch, AscendsWhereEachRowIsGreaterThanTheOneBefore) {
    EXPECT_TRUE(
        ascends({"int4"}, {{int4_of(-70000)}, {int4_of(-1)}, {int4_of(0)}, {int4_of(3)}, {int4_of(70000)}}, {0}));
    EXPECT_FALSE(ascends({"int4"}, {{int4_of(1)}, {int4_of(1)}}, {0}));
    EXPECT_FALSE(ascends({"int4"}, {{int4_of(1)}, {int4_of(-2)}}, {0}));
    EXPECT_TRUE(ascends({"text"}, {{""}, {"a"}, {"a\0"s}, {"ab"}, {"b"}, {"\xC3\xB1"}}, {0}));
    EXPECT_FALSE(ascends({"text"}, {{"b"}, {"ab"}}, {0}));
    EXPECT_TRUE(ascends({"int4"}, {{int4_of(5)}}, {0}));
    EXPECT_TRUE(ascends({"int4"}, {}, {0}));
}

TEST(Batch, AscendsByTheFirstColumnThatDiffers) {
    const std::vector<std::vector<std::string>> rows = {
        {"b", int4_of(1)}, {"a", int4_of(2)}, {"b", int4_of(2)}, {"a", int4_of(3)}};
    EXPECT_TRUE(ascends({"text", "int4"}, rows, {1, 0}));
    EXPECT_FALSE(ascends({"text", "int4"}, rows, {0, 1}));
    EXPECT_FALSE(ascends({"text", "int4"}, rows, {1}));
    EXPECT_FALSE(ascends({"text", "int4"}, rows, {})) << "without a column nothing is said";
}

TEST(Batch, DoesNotAscendWhereItCannotBeTold) {
    const std::string eight(8, '\0'), one("\0\0\0\0\0\0\0\1", 8);
    EXPECT_FALSE(ascends({"numeric"}, {{eight}, {one}}, {0}));
    EXPECT_FALSE(ascends({"float8"}, {{eight}, {one}}, {0}));
    EXPECT_TRUE(ascends({"int8"}, {{eight}, {one}}, {0}));
    auto columns = columns_of({"int4"});
    std::string null_row;
    wire::append_int16(null_row, 1);
    wire::append_int32(null_row, -1);
    Batch batch;
    batch.append_rows(null_row, columns);
    EXPECT_FALSE(batch.ascends({0}, columns));
}

TEST(Batch, RefusesLengthsThatReachBeyondTheFrame) {
    auto columns = columns_of({"text"});
    for (std::int32_t length : {3, 0x7FFFFFFF, -2, static_cast<std::int32_t>(0x80000000)}) {
        std::string row;
        wire::append_int16(row, 1);
        wire::append_int32(row, length);
        row += "ab";
        Batch batch;
        EXPECT_THROW(batch.append_rows(row, columns), ProtocolError) << length;
    }
}

TEST(Batch, RefusesAFixedTypeOfAnotherSize) {
    for (const auto& [type, size] : std::vector<std::pair<std::string, std::size_t>>{{"bool", 1},
                                                                                     {"int2", 2},
                                                                                     {"int4", 4},
                                                                                     {"int8", 8},
                                                                                     {"float4", 4},
                                                                                     {"float8", 8},
                                                                                     {"date", 4},
                                                                                     {"time", 8},
                                                                                     {"timestamp", 8},
                                                                                     {"timestamptz", 8},
                                                                                     {"uuid", 16}}) {
        auto columns = columns_of({type});
        Batch batch;
        EXPECT_NO_THROW(batch.append_rows(row_of({std::string(size, '\0')}), columns)) << type;
        EXPECT_THROW(batch.append_rows(row_of({std::string(size - 1, '\0')}), columns), ProtocolError) << type;
        EXPECT_THROW(batch.append_rows(row_of({std::string(size + 1, '\0')}), columns), ProtocolError) << type;
    }
}

TEST(Batch, RefusesANumericWithoutItsDigits) {
    auto columns = columns_of({"numeric"});
    std::string number(8, '\0');
    Batch batch;
    EXPECT_NO_THROW(batch.append_rows(row_of({number}), columns));
    number[1] = 2;  // digits that follow
    EXPECT_NO_THROW(batch.append_rows(row_of({number + "\0\1\0\2"s}), columns));
    for (const std::string& wrong : {""s, number.substr(0, 7), number, number + "\0\1\0"s, number + "\0\1\0\2\0"s}) {
        EXPECT_THROW(batch.append_rows(row_of({wrong}), columns), ProtocolError) << wrong.size() << " bytes";
    }
}

TEST(Batch, RefusesAJsonbOfAnotherVersion) {
    auto columns = columns_of({"jsonb"});
    Batch batch;
    EXPECT_NO_THROW(batch.append_rows(row_of({"\1{}"}), columns));
    for (const char* wrong : {"", "{}", "\2{}"}) {
        EXPECT_THROW(batch.append_rows(row_of({wrong}), columns), ProtocolError) << wrong;
    }
}

TEST(Batch, StaysAsItWasWhenRowsAreRefused) {
    auto columns = columns_of({"text"});
    Batch batch;
    batch.append_rows(row_of({"a"}), columns);
    EXPECT_THROW(batch.append_rows(row_of({"b"}) + "x", columns), ProtocolError);
    EXPECT_EQ(batch.rows(), 1u);
    EXPECT_EQ(batch.bytes(), row_of({"a"}).size());
}

TEST(Batch, RefusesRowsBeforeTheirColumns) {
    Batch batch;
    EXPECT_THROW(batch.append_rows(row_of({}), {}), ProtocolError);
}

TEST(Batch, AnEmptyFrameHoldsNoRows) {
    Batch batch;
    batch.append_rows("", columns_of({"text"}));
    EXPECT_EQ(batch.rows(), 0u);
}

// Positions and rejects

TEST(Batch, APositionCountsRowsAndRejects) {
    auto columns = columns_of({"text"});
    Batch batch;
    batch.append_rows(row_of({"a"}) + row_of({"b"}), columns);
    batch.append_reject({{"key", {{"id", "3"}}}, {"record", {{"id", "3"}}}, {"sqlstate", "22P05"}});
    json payload = {{"position", {{"phase", "changes"}}}, {"watermark", "7"}, {"rows", 3u}};
    batch.set_position(payload);
    EXPECT_EQ(batch.position["phase"], "changes");
    EXPECT_EQ(batch.watermark, "7");
    for (const json& wrong : {json(2u), json(4u), json(-3), json("3"), json(3.5), json(), json(~std::uint64_t{0})}) {
        payload["rows"] = wrong;
        EXPECT_THROW(batch.set_position(payload), ProtocolError) << wrong;
    }
    payload.erase("rows");
    EXPECT_THROW(batch.set_position(payload), ProtocolError);
}

TEST(Batch, RefusesAPositionThatIsNone) {
    for (const char* text :
         {"null", "[]", "3", "{}", R"({"position": "x", "rows": 0})", R"({"position": [], "rows": 0})"}) {
        Batch batch;
        EXPECT_THROW(batch.set_position(json::parse(text)), ProtocolError) << text;
    }
}

TEST(Batch, AWatermarkThatIsNoTextIsNone) {
    Batch batch;
    batch.set_position(json::parse(R"({"position": null, "rows": 0})"));
    EXPECT_TRUE(batch.position.is_null()) << "it stays where it was";
    batch.set_position(json::parse(R"({"position": {}, "rows": 0, "watermark": null})"));
    EXPECT_EQ(batch.watermark, "");
    batch.set_position(json::parse(R"({"position": {}, "rows": 0, "watermark": {"a": 1}})"));
    EXPECT_EQ(batch.watermark, "");
}

TEST(Batch, ARejectIsNamedAsTheRelationIs) {
    Batch batch;
    batch.append_reject(json::parse(
        R"({"key": {"ID": "5"}, "record": {"ID": "5", "Note": null}, "sqlstate": "22P05", "message": "no", "column": "Note"})"));
    const SourceReject& reject = batch.rejects.at(0);
    EXPECT_EQ(reject.key, json::parse(R"({"id": "5"})"));
    EXPECT_EQ(reject.record, json::parse(R"({"id": "5", "note": null})"));
    EXPECT_EQ(reject.column, "note");
    EXPECT_EQ(reject.sqlstate, "22P05");
}

TEST(Batch, AHostileRejectIsARejectOrAnError) {
    for (const char* text : {"null", "[1]", "\"x\"", "7"}) {
        Batch batch;
        EXPECT_THROW(batch.append_reject(json::parse(text)), ProtocolError) << text;
    }
    for (const char* text : {"{}", R"({"key": 5, "record": "x", "sqlstate": 22, "message": [], "column": {}})",
                             R"({"sqlstate": "", "record": null})", R"({"sqlstate": "longer than five"})"}) {
        Batch batch;
        ASSERT_NO_THROW(batch.append_reject(json::parse(text))) << text;
        EXPECT_EQ(batch.rejects[0].sqlstate, "22000") << text;
        EXPECT_TRUE(batch.rejects[0].record.is_object()) << text;
    }
}

TEST(Batch, ClearLeavesNothing) {
    Batch batch;
    batch.append_rows(row_of({"a"}), columns_of({"text"}));
    batch.append_reject(json::object());
    batch.set_position({{"position", {{"phase", "full"}}}, {"rows", 2u}, {"watermark", "w"}});
    batch.clear();
    EXPECT_EQ(batch.rows() + batch.bytes() + batch.rejects.size(), 0u);
    EXPECT_TRUE(batch.position.is_null());
    EXPECT_EQ(batch.watermark, "");
}

// Columns

TEST(Columns, EveryTransportTypeIsKnownByItsName) {
    for (const char* type : {"bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "bytea", "date",
                             "time", "timestamp", "timestamptz", "uuid", "jsonb"}) {
        EXPECT_EQ(name_of(columns_of({type})[0].transport), type);
    }
}

TEST(Columns, HostileDescriptionsAreRefused) {
    for (const char* text : {"null", "{}", "[]", "\"x\"", "[null]", "[[]]", "[{}]", R"([{"name": "a"}])",
                             R"([{"name": "a", "type": "money"}])", R"([{"name": "a", "type": 5}])",
                             R"([{"name": "a", "type": "TEXT"}])"}) {
        EXPECT_THROW(parse_columns(json::parse(text)), ProtocolError) << text;
    }
}

TEST(Columns, ATypeForATableIsATypeAndNoMoreSql) {
    auto typed = [](const char* type) {
        return parse_columns(json::array({{{"name", "a"}, {"type", "text"}, {"pg_type", type}}}))[0].pg_type;
    };
    for (const char* type : {"text", "numeric(10,2)", "timestamp(3) without time zone", "integer[]", "double precision",
                             "pg_catalog.int4", "character varying(10)", ""}) {
        EXPECT_EQ(typed(type), type);
    }
    for (const char* type : {"text); DROP TABLE t; --", "text DEFAULT 'x'", "\"t\"", "text/**/", "text\ninteger",
                             "int DEFAULT lo_unlink(16384)", "int UNIQUE", "int REFERENCES other", "int, other text",
                             "int(CURRENT_USER)", "numeric(10", "int)", "(1)", "text COLLATE \"C\""}) {
        EXPECT_THROW(typed(type), ProtocolError) << type;
    }
}

TEST(Columns, WhatIsNeitherTrueNorFalseIsNullable) {
    for (const char* nullable : {"null", "\"no\"", "0", "[]"}) {
        auto columns =
            parse_columns(json::parse(R"([{"name": "a", "type": "text", "nullable": )" + std::string(nullable) + "}]"));
        EXPECT_TRUE(columns[0].nullable) << nullable;
    }
}

TEST(Columns, ATableHasNoMoreThan1600) {
    EXPECT_EQ(columns_of(std::vector<std::string>(1600, "int4")).size(), 1600u);
    EXPECT_THROW(columns_of(std::vector<std::string>(1601, "int4")), ProtocolError);
}

TEST(Columns, NamesAreFoldedAsSqlFoldsThem) {
    EXPECT_EQ(fields_of({"VentaID", "already_lower", "Con Espacio", "Año", "ÑANDÚ"}),
              (std::vector<std::string>{"ventaid", "already_lower", "con espacio", "año", "ÑandÚ"}));
}

TEST(Columns, NamesAreUnique) {
    EXPECT_EQ(fields_of({"id", "ID", "Id", "id_2"}), (std::vector<std::string>{"id", "id_2", "id_3", "id_2_2"}));
    EXPECT_EQ(fields_of({"insync_row"}), std::vector<std::string>{"insync_row_2"})
        << "the relation has that one itself";
    EXPECT_EQ(fields_of({"", ""}), (std::vector<std::string>{"column1", "column2"}));
}

TEST(Columns, LongNamesStayUniqueWithin63Bytes) {
    std::string longest(63, 'a');
    auto fields = fields_of({longest + "1", longest + "2", longest});
    EXPECT_EQ(fields, (std::vector<std::string>{longest, longest.substr(0, 61) + "_2", longest.substr(0, 61) + "_3"}));
}

TEST(Columns, NamesAreCutBetweenCharacters) {
    EXPECT_EQ(fold_name(std::string(63, 'x')), std::string(63, 'x'));
    EXPECT_EQ(fold_name("XMIN"), "xmin_");
    EXPECT_EQ(fold_name("tableoid"), "tableoid_");
    EXPECT_EQ(fold_name(std::string(61, 'x') + "ñz"), std::string(61, 'x') + "ñ");
    EXPECT_EQ(fold_name(std::string(62, 'x') + "ñ"), std::string(62, 'x'));
    EXPECT_EQ(fold_name(std::string(60, 'x') + "☕"), std::string(60, 'x') + "☕");
    EXPECT_EQ(fold_name(std::string(61, 'x') + "☕"), std::string(61, 'x'));
    EXPECT_EQ(fold_name(std::string(60, 'x') + "🛒"), std::string(60, 'x'));
}

TEST(Columns, ASuffixDoesNotSplitACharacter) {
    std::string name = std::string(60, 'x') + "☕";  // 63 bytes; the suffix needs two of the cup's three
    auto fields = fields_of({name, name});
    EXPECT_EQ(fields[0], name);
    EXPECT_EQ(fields[1], std::string(60, 'x') + "_2");
}

TEST(Columns, TheirRowsAreOfAKnownKind) {
    EXPECT_EQ(row_kind_of({{"columns", nlohmann::json::array()}}), RowKind::full);
    EXPECT_EQ(row_kind_of({{"rows", "deleted_key"}}), RowKind::deleted_key);
    EXPECT_EQ(row_kind_of({{"rows", "live_key"}}), RowKind::live_key);
    EXPECT_THROW(row_kind_of({{"rows", "lost"}}), ProtocolError);
}

TEST(Columns, ADescriptionComesBackAsItWasStored) {
    auto stored = json::parse(
        R"([{"name": "ID", "type": "int8", "pg_type": "bigint", "source_type": "INTEGER", "nullable": false},
            {"name": "id", "type": "text", "pg_type": "text", "source_type": "", "nullable": true}])");
    auto columns = parse_columns(stored);
    EXPECT_EQ(to_json(columns), stored);
    EXPECT_EQ(columns[1].field, "id_2");
    EXPECT_FALSE(columns[0].nullable);
}

}  // namespace
}  // namespace insync
