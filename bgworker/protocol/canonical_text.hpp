// The text of a value by which a row is hashed, and between which columns that text can be the same on both sides; for
// the connector and the worker. Pure.
//
// A row's text is that of its columns, joined by "|". A NULL is "N", which no value's text is. In front of a text
// stands its number of characters and "|", so that no text can look like the beginning of the next column. Numbers are
// decimal, with the source's scale; dates and times as PostgreSQL writes them, those with a zone in UTC; booleans 0 and
// 1; bytes as hexadecimal digits. Floating point numbers have no text that two engines agree on.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bgworker/protocol/wire_type.hpp"

namespace insync {

struct ValueFormat {
    enum class Kind : char {
        integer = 'i',
        numeric = 'n',
        boolean = 'b',
        date = 'd',
        time = 'h',
        timestamp = 't',
        timestamptz = 'z',
        text = 's',
        padded = 'c',  // a text whose blanks at the end don't count
        bytes = 'x',
        uuid = 'u',
    };
    Kind kind;
    // Of a numeric its scale, of a time how many digits of a second the source can have; -1: any number.
    int digits = -1;
    bool operator==(const ValueFormat&) const = default;
};

// How the values of a source's column are written; nothing where they have no text of their own. `pg_type` and
// `source_type` are those of a columns frame.
// Stands in a source type before the type that the user declared the column to be read as.
inline constexpr std::string_view read_as = ", read as ";
std::optional<ValueFormat> value_format(Transport type, std::string_view pg_type, std::string_view source_type);

// Whether a target's column keeps every value in such a form that its text is the same: `type` is its name in pg_type
// (int8, bpchar), `digits` its declared scale or fraction of seconds, -1 where none is declared.
bool keeps_text(const ValueFormat& format, std::string_view type, int digits = -1);

// How the text of a row becomes a number, which is never negative. Each engine has one that it reckons fast.
enum class HashKind {
    crc32,      // of the UTF-8 text: MySQL, MariaDB
    hashtext,   // PostgreSQL's hashtextextended(), without its sign; times without zeros at the end of their fractions
    md5,        // the first seven bytes, of the UTF-8 text: Oracle
    md5_utf16,  // the same of the text in UTF-16 (low byte first), of whose units characters are counted: SQL Server
};
std::string_view name_of(HashKind kind);
std::optional<HashKind> hash_kind_of(std::string_view name);

// What both sides must know of a row: "crc32:i,n2,t,s".
struct RowFormat {
    HashKind kind = HashKind::crc32;
    std::vector<ValueFormat> columns;
    bool operator==(const RowFormat&) const = default;
};
std::string to_text(const RowFormat& format);
std::optional<RowFormat> parse_row_format(std::string_view text);

}  // namespace insync
