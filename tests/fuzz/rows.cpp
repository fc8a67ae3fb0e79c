// Rows frames: what Batch takes is whole and safe to decode, what it refuses leaves it as it was, and rows that the
// protocol allows are never refused.
#include "bgworker/protocol/batch.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

std::vector<SourceColumn> take_columns(fuzz::Input& input) {
    std::vector<SourceColumn> columns(1 + input.below(6));
    for (auto& column : columns) column.transport = static_cast<Transport>(input.below(15));
    return columns;
}

// What batch_relation's decoder takes for granted.
void check_field(Transport type, const Field& field) {
    REQUIRE(field.length >= -1);
    if (field.length == -1) return;
    auto length = static_cast<std::size_t>(field.length);
    if (size_of(type) >= 0) REQUIRE(field.length == size_of(type));
    if (type == Transport::jsonb) REQUIRE(length >= 1 && field.data[0] == 1);
    if (type == Transport::numeric) {
        REQUIRE(length >= 8);
        REQUIRE(length == 8 + 2 * std::size_t{static_cast<std::uint16_t>(wire::get_int16(field.data))});
    }
}

void append_field(std::string& out, const Field& field) {
    wire::append_int32(out, field.length);
    if (field.length > 0) out.append(field.data, static_cast<std::size_t>(field.length));
}

// Fields of the columns' types with the input's bytes in them.
std::string make_rows(fuzz::Input& input, const std::vector<SourceColumn>& columns, std::size_t rows) {
    std::string payload;
    for (std::size_t row = 0; row < rows; row++) {
        wire::append_int16(payload, static_cast<std::int16_t>(columns.size()));
        for (const auto& column : columns) {
            std::size_t size = input.below(20);
            if (size == 19) {
                wire::append_int32(payload, -1);
                continue;
            }
            std::string value(input.bytes(size));
            if (size_of(column.transport) >= 0) value.resize(static_cast<std::size_t>(size_of(column.transport)));
            if (column.transport == Transport::jsonb) value.insert(0, 1, '\1');
            if (column.transport == Transport::numeric) {
                value.resize(8 + value.size() / 2 * 2);
                wire::put_int16(value.data(), static_cast<std::int16_t>(value.size() / 2 - 4));
            }
            append_field(payload, {value.data(), static_cast<std::int32_t>(value.size())});
        }
    }
    return payload;
}

// Every row of the batch as it came.
std::string written_again(const Batch& batch, const std::vector<SourceColumn>& columns) {
    std::string bytes;
    std::vector<Field> fields(columns.size());
    for (std::size_t row = 0; row < batch.rows(); row++) {
        batch.read_row(row, fields.data());
        wire::append_int16(bytes, static_cast<std::int16_t>(columns.size()));
        for (std::size_t i = 0; i < columns.size(); i++) {
            check_field(columns[i].transport, fields[i]);
            append_field(bytes, fields[i]);
        }
    }
    return bytes;
}

FUZZ_TARGET(rows) {
    auto columns = take_columns(input);
    Batch batch;
    std::string taken;
    for (std::size_t frame = input.below(4); frame > 0; frame--) {
        std::size_t rows = input.below(4);
        std::string payload = make_rows(input, columns, rows);
        std::size_t before = batch.rows();
        batch.append_rows(payload, columns);
        REQUIRE(batch.rows() == before + rows);
        taken += payload;
    }
    std::size_t rows = batch.rows(), bytes = batch.bytes();
    std::string_view payload = input.rest();
    try {
        batch.append_rows(payload, columns);
        taken += payload;
    } catch (const ProtocolError&) {
        REQUIRE(batch.rows() == rows && batch.bytes() == bytes);
    }
    REQUIRE(batch.bytes() == taken.size());
    REQUIRE(written_again(batch, columns) == taken);
    batch.clear();
    REQUIRE(batch.rows() == 0 && batch.bytes() == 0);
}

}  // namespace
}  // namespace insync
