// Formats of hashed rows, as anybody may write them: what is read is written and read as the same; and any type's name
// gives a format that can be written.
#include "bgworker/protocol/canonical_text.hpp"

#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

void check(const RowFormat& format) {
    const std::string text = to_text(format);
    const auto again = parse_row_format(text);
    REQUIRE(again);
    REQUIRE(again->kind == format.kind && again->columns.size() == format.columns.size());
    for (std::size_t i = 0; i < format.columns.size(); i++) REQUIRE(again->columns[i].kind == format.columns[i].kind);
    REQUIRE(to_text(*again) == text);
}

FUZZ_TARGET(row_format) {
    if (const auto format = parse_row_format(input.line())) {
        REQUIRE(!format->columns.empty());
        for (const ValueFormat& column : format->columns) REQUIRE(column.digits >= -1);
        check(*format);
    }
    const auto transport = static_cast<Transport>(input.below(16));
    const std::string pg_type(input.line()), source_type(input.line());
    const auto value = value_format(transport, pg_type, source_type);
    if (!value) return;
    check({HashKind::crc32, {*value, *value}});
    keeps_text(*value, input.line(), static_cast<int>(input.byte()) - 1);
}

}  // namespace
}  // namespace insync
