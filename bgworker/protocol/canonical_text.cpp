// Formats of values; see canonical_text.hpp.
#include "bgworker/protocol/canonical_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "bgworker/protocol/text.hpp"

namespace insync {

namespace {

constexpr std::array<std::string_view, 4> hash_kinds = {"crc32", "hashtext", "md5", "md5_utf16"};
constexpr std::string_view kinds = "inbdhtzscxu";

// The number behind the last comma or the parenthesis: 2 of numeric(12,2), 0 of timestamp(0); -1 where there is none.
int last_argument(std::string_view type) {
    const std::size_t close = type.rfind(')');
    if (close == std::string_view::npos) return -1;
    const std::size_t begin = type.find_last_of("(,", close);
    int number = -1;
    if (begin != std::string_view::npos) std::from_chars(type.data() + begin + 1, type.data() + close, number);
    return number;
}

// The type's name in lower case, without arguments.
std::string base_name(std::string_view type) {
    std::string base(type.substr(0, type.find('(')));
    std::transform(base.begin(), base.end(), base.begin(), [](unsigned char c) { return std::tolower(c); });
    while (!base.empty() && base.back() == ' ') base.pop_back();
    return base;
}

bool is_time(ValueFormat::Kind kind) {
    return kind == ValueFormat::Kind::time || kind == ValueFormat::Kind::timestamp ||
           kind == ValueFormat::Kind::timestamptz;
}

}  // namespace

std::optional<ValueFormat> value_format(Transport type, std::string_view pg_type, std::string_view source_type) {
    using Kind = ValueFormat::Kind;
    // The source's own text of a value isn't the one of the type that was declared for it.
    if (source_type.find(read_as) != std::string_view::npos) return std::nullopt;
    const std::string base = base_name(source_type);
    switch (type) {
        case Transport::int2:
        case Transport::int4:
        case Transport::int8:
            return ValueFormat{Kind::integer};
        case Transport::numeric:
            return ValueFormat{Kind::numeric, last_argument(pg_type)};
        case Transport::boolean:
            return ValueFormat{Kind::boolean};
        case Transport::date:
            return ValueFormat{Kind::date};
        case Transport::time:
            return ValueFormat{Kind::time, last_argument(pg_type)};
        case Transport::timestamp:
            return ValueFormat{Kind::timestamp, last_argument(pg_type)};
        case Transport::timestamptz:
            return ValueFormat{Kind::timestamptz, last_argument(pg_type)};
        case Transport::uuid:
            return ValueFormat{Kind::uuid};
        case Transport::bytea:
            return ValueFormat{Kind::bytes};
        case Transport::text:
            // What is no text at the source has a text of its engine's own making; Oracle's large ones can't be hashed.
            if (pg_type != "text" || is_one_of(base, {"clob", "nclob", "bfile", "long", "long raw", "sql_variant"})) {
                return std::nullopt;
            }
            if (is_one_of(base, {"char", "nchar", "character", "bpchar"})) return ValueFormat{Kind::padded};
            return ValueFormat{Kind::text};
        case Transport::float4:
        case Transport::float8:
        case Transport::jsonb:
            break;
    }
    return std::nullopt;
}

bool keeps_text(const ValueFormat& format, std::string_view type, int digits) {
    using Kind = ValueFormat::Kind;
    const bool has_room = digits < 0 || (format.digits >= 0 && digits >= format.digits);
    switch (format.kind) {
        case Kind::integer:
            return is_one_of(type, {"int2", "int4", "int8", "numeric"});
        case Kind::numeric:
            return (type == "numeric" && has_room) || (format.digits == 0 && is_one_of(type, {"int2", "int4", "int8"}));
        case Kind::boolean:
            return type == "bool";
        case Kind::date:
            return type == "date";
        case Kind::time:
            return type == "time" && (has_room || digits == 6);
        case Kind::timestamp:
            return type == "timestamp" && (has_room || digits == 6);
        case Kind::timestamptz:
            return type == "timestamptz" && (has_room || digits == 6);
        case Kind::text:
            return is_one_of(type, {"text", "varchar"});
        case Kind::padded:
            return is_one_of(type, {"text", "varchar", "bpchar"});
        case Kind::bytes:
            return type == "bytea";
        case Kind::uuid:
            return type == "uuid";
    }
    return false;
}

std::string_view name_of(HashKind kind) {
    return hash_kinds[static_cast<std::size_t>(kind)];
}

std::optional<HashKind> hash_kind_of(std::string_view name) {
    const auto found = std::find(hash_kinds.begin(), hash_kinds.end(), name);
    if (found == hash_kinds.end()) return std::nullopt;
    return static_cast<HashKind>(found - hash_kinds.begin());
}

std::string to_text(const RowFormat& format) {
    std::string text(name_of(format.kind));
    char separator = ':';
    for (const ValueFormat& column : format.columns) {
        text += separator;
        separator = ',';
        text += static_cast<char>(column.kind);
        // How finely the source tells the time is of no concern to the text.
        if (column.digits >= 0 && !is_time(column.kind)) text += std::to_string(column.digits);
    }
    return text;
}

std::optional<RowFormat> parse_row_format(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const std::optional<HashKind> kind = hash_kind_of(text.substr(0, colon));
    if (!kind) return std::nullopt;
    RowFormat format{*kind, {}};
    text.remove_prefix(colon + 1);
    while (true) {
        const std::string_view column = text.substr(0, text.find(','));
        if (column.empty() || kinds.find(column[0]) == std::string_view::npos) return std::nullopt;
        ValueFormat value{static_cast<ValueFormat::Kind>(column[0])};
        if (column.size() > 1) {
            const auto [end, error] = std::from_chars(column.data() + 1, column.data() + column.size(), value.digits);
            if (error != std::errc() || end != column.data() + column.size() || value.digits < 0) return std::nullopt;
        }
        format.columns.push_back(value);
        if (column.size() == text.size()) return format;
        text.remove_prefix(column.size() + 1);
    }
}

}  // namespace insync
