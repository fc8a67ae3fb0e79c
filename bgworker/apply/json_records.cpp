// Encodes records; see json_records.hpp.
#include "bgworker/apply/json_records.hpp"

#include "bgworker/protocol/wire.hpp"

namespace insync {

namespace {

// A column of a record in its binary form.
std::string send_expression(const SourceColumn& column) {
    std::string field = "r." + pg::quote_identifier(column.field);
    switch (column.transport) {
        case Transport::text:
            return "convert_to(" + field + ", 'UTF8')";
        case Transport::jsonb:
            return "'\\x01'::bytea || convert_to(" + field + "::text, 'UTF8')";
        case Transport::bytea:
            return field;
        case Transport::boolean:
            return "boolsend(" + field + ")";
        case Transport::int2:
        case Transport::int4:
        case Transport::int8:
        case Transport::float4:
        case Transport::float8:
            return std::string(name_of(column.transport)) + "send(" + field + ")";
        default:
            return std::string(name_of(column.transport)) + "_send(" + field + ")";
    }
}

std::string from_hex(const std::string& text) {
    auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    std::string bytes;
    for (std::size_t i = 2; i + 1 < text.size(); i += 2)
        bytes += static_cast<char>(digit(text[i]) << 4 | digit(text[i + 1]));
    return bytes;
}

}  // namespace

std::string record_types(const std::vector<SourceColumn>& columns) {
    std::string types;
    for (const auto& column : columns) {
        types += (types.empty() ? "" : ", ") + pg::quote_identifier(column.field) + " " +
                 std::string(name_of(column.transport));
    }
    return types;
}

std::string record_values(const std::vector<SourceColumn>& columns) {
    std::string values;
    for (const auto& column : columns) values += (values.empty() ? "" : ", ") + send_expression(column);
    return values;
}

void append_record(Batch& batch, const std::vector<SourceColumn>& columns, const std::vector<pg::Value>& values) {
    std::string bytes;
    wire::append_int16(bytes, static_cast<std::int16_t>(columns.size()));
    for (const auto& value : values) {
        std::string field = value ? from_hex(*value) : "";
        wire::append_int32(bytes, value ? static_cast<std::int32_t>(field.size()) : -1);
        bytes += field;
    }
    batch.append_rows(bytes, columns);
}

}  // namespace insync
