// The text by which rows are hashed: formats, the pairs of columns that have the same, and CRC-32.
#include <gtest/gtest.h>

#include "bgworker/protocol/canonical_text.hpp"
#include "bgworker/protocol/crc32.hpp"

namespace insync {
namespace {

TEST(ValueFormat, WhichColumnsHaveTheSameText) {
    struct Case {
        Transport type;
        const char* pg_type;
        const char* source_type;
        const char* format;  // "" where there is none
        const char* kept;    // types of the target, each with its digits, that keep the text
        const char* lost;    // and that don't
    };
    const Case cases[] = {
        {Transport::int2, "smallint", "tinyint(4)", "i", "int2 int4 int8 numeric numeric0", "bool text float8"},
        {Transport::int8, "bigint", "bigint", "i", "int8 numeric", "varchar"},
        {Transport::numeric, "numeric(12,2)", "decimal(12,2)", "n2", "numeric numeric2 numeric4", "numeric1 int8 text"},
        {Transport::numeric, "numeric(20,0)", "bigint unsigned", "n0", "numeric numeric0 int8", "text"},
        {Transport::numeric, "numeric", "NUMBER", "n", "numeric", "numeric2 int8"},
        {Transport::boolean, "boolean", "bit(1)", "b", "bool", "int2 text"},
        {Transport::date, "date", "date", "d", "date", "timestamp text"},
        {Transport::time, "time", "time", "h", "time time6", "time3 timetz"},
        {Transport::timestamp, "timestamp", "datetime", "t", "timestamp timestamp6", "timestamp0 timestamptz date"},
        {Transport::timestamp, "timestamp(0)", "DATE", "t", "timestamp timestamp0 timestamp3", "date"},
        {Transport::timestamptz, "timestamptz", "timestamp", "z", "timestamptz", "timestamp timestamptz3"},
        {Transport::text, "text", "varchar(60)", "s", "text varchar", "bpchar jsonb uuid"},
        {Transport::text, "text", "nvarchar(60)", "s", "text", "bpchar"},
        {Transport::text, "text", "CHAR(5)", "c", "text varchar bpchar", "bytea"},
        {Transport::text, "text", "character(5)", "c", "bpchar", ""},
        {Transport::text, "inet", "inet", "", "", ""},
        {Transport::text, "xml", "xml", "", "", ""},
        {Transport::text, "text", "CLOB", "", "", ""},
        {Transport::bytea, "bytea", "blob", "x", "bytea", "text"},
        {Transport::uuid, "uuid", "uniqueidentifier", "u", "uuid", "text"},
        {Transport::float4, "real", "float", "", "", ""},
        {Transport::float8, "double precision", "double", "", "", ""},
        {Transport::jsonb, "jsonb", "json", "", "", ""},
    };
    auto each = [](std::string_view list, auto&& body) {
        while (!list.empty()) {
            const std::string_view word = list.substr(0, list.find(' '));
            // int8 is a name; numeric2 a type and its digits.
            const bool digits = !word.starts_with("int") && !word.starts_with("float") && isdigit(word.back());
            body(digits ? word.substr(0, word.size() - 1) : word, digits ? word.back() - '0' : -1);
            list.remove_prefix(std::min(list.size(), word.size() + 1));
        }
    };
    for (const Case& c : cases) {
        const std::optional<ValueFormat> format = value_format(c.type, c.pg_type, c.source_type);
        const std::string text = format ? to_text(RowFormat{HashKind::crc32, {*format}}).substr(6) : "";
        EXPECT_EQ(text, c.format) << c.source_type;
        if (!format) continue;
        each(c.kept, [&](std::string_view type, int digits) {
            EXPECT_TRUE(keeps_text(*format, type, digits)) << c.source_type << " -> " << type << digits;
        });
        each(c.lost, [&](std::string_view type, int digits) {
            EXPECT_FALSE(keeps_text(*format, type, digits)) << c.source_type << " -> " << type << digits;
        });
    }
}

TEST(ValueFormat, OfARowIsReadBack) {
    using Kind = ValueFormat::Kind;
    const RowFormat row{HashKind::md5_utf16, {{Kind::integer}, {Kind::numeric, 2}, {Kind::numeric}, {Kind::padded}}};
    EXPECT_EQ(to_text(row), "md5_utf16:i,n2,n,c");
    EXPECT_EQ(parse_row_format("md5_utf16:i,n2,n,c"), row);
    for (const char* text :
         {"", "crc32", "crc32:", "crc:i", "crc32:i,", "crc32:,i", "crc32:n2x", "crc32:n-2", "crc32:y"}) {
        EXPECT_EQ(parse_row_format(text), std::nullopt) << text;
    }
}

TEST(Crc32, IsThatOfZlib) {
    EXPECT_EQ(crc32_of(""), 0u);
    EXPECT_EQ(crc32_of("123456789"), 0xCBF43926u);
    EXPECT_EQ(crc32_of("The quick brown fox jumps over the lazy dog"), 0x414FA339u);
}

}  // namespace
}  // namespace insync
