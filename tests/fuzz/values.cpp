// The connector's encoding of texts: every value becomes a field that the worker takes, or a fault; what can be read
// back is the value that was written.
#include "bgworker/connector/values/decimal.hpp"
#include "bgworker/connector/values/row_encoder.hpp"
#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/protocol/batch.hpp"
#include "tests/fuzz/support/frames.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

// UTF-8 as the standard writes it down, one code point after the other.
bool is_utf8_without_nul(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        auto first = static_cast<unsigned char>(text[at]);
        std::size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
        if (length == 0 || text.size() - at < length) return false;
        std::uint32_t point = length == 1 ? first : first & (0x7Fu >> length);
        for (std::size_t i = 1; i < length; i++) {
            auto next = static_cast<unsigned char>(text[at + i]);
            if (next >> 6 != 2) return false;
            point = point << 6 | (next & 0x3F);
        }
        static constexpr std::uint32_t lowest[] = {0, 1, 0x80, 0x800, 0x10000};
        if (point < lowest[length] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return false;
        at += length;
    }
    return true;
}

void check_utf8(std::string_view text) {
    bool valid = is_valid_utf8(text);
    REQUIRE(valid == is_utf8_without_nul(text));
    std::string repaired = replaced_utf8(text);
    REQUIRE(is_valid_utf8(repaired));
    REQUIRE(!valid || repaired == text);
    for (std::size_t limit : {std::size_t{0}, std::size_t{1}, text.size() / 2, text.size()}) {
        auto prefix = utf8_prefix(text, limit);
        REQUIRE(prefix.size() <= limit && text.substr(0, prefix.size()) == prefix);
        if (valid) REQUIRE(is_valid_utf8(prefix) && std::min(limit, text.size()) - prefix.size() < 4);
    }
}

// A number as sign, significant digits without zeros around them, and the power of ten of the last of them.
struct Number {
    bool negative = false;
    std::string digits;
    long exponent = 0;

    friend bool operator==(const Number&, const Number&) = default;
    void trim() {
        digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
        while (!digits.empty() && digits.back() == '0') digits.pop_back(), exponent++;
        if (digits.empty()) *this = {};
    }
};

// What SQL calls a numeric literal, with a sign and spaces around it.
std::optional<Number> number_in(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    Number number;
    std::size_t at = 0;
    auto digits = [&](std::string& into) {
        for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; at++) into += text[at];
    };
    auto sign = [&](bool& negative) {
        if (at < text.size() && (text[at] == '-' || text[at] == '+')) negative = text[at++] == '-';
    };
    sign(number.negative);
    digits(number.digits);
    std::string fraction;
    if (at < text.size() && text[at] == '.') at++, digits(fraction);
    number.digits += fraction;
    number.exponent = -static_cast<long>(fraction.size());
    if (number.digits.empty()) return std::nullopt;
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        bool negative = false;
        std::string exponent;
        sign(negative), digits(exponent);
        if (exponent.empty()) return std::nullopt;
        exponent.erase(0, std::min(exponent.find_first_not_of('0'), exponent.size() - 1));
        if (exponent.size() > 9) exponent = "999999999";  // too large for any type
        number.exponent += negative ? -std::stol(exponent) : std::stol(exponent);
    }
    if (at != text.size()) return std::nullopt;
    number.trim();
    return number;
}

// A numeric's bytes read as PostgreSQL reads them.
Number number_of(const std::string& field) {
    int groups = static_cast<std::uint16_t>(wire::get_int16(field.data()));
    int weight = wire::get_int16(field.data() + 2);
    Number number;
    number.negative = wire::get_int16(field.data() + 4) == 0x4000;
    for (int i = 0; i < groups; i++) {
        int group = wire::get_int16(field.data() + 8 + 2 * i);
        REQUIRE(group >= 0 && group < 10000);
        std::string digits = std::to_string(group);
        number.digits += std::string(4 - digits.size(), '0') + digits;
    }
    number.exponent = 4L * (weight - groups + 1);
    number.trim();
    return number;
}

void check_numeric(std::string_view text, const std::string* field) {
    auto number = number_in(text);
    bool special = field != nullptr && (wire::get_int16(field->data() + 4) & 0xC000) == 0xC000;
    if (special) return REQUIRE(!number);
    REQUIRE(field == nullptr || number.has_value());
    if (field != nullptr) REQUIRE(number_of(*field) == *number);
    // Only what numeric can't hold may be refused.
    if (number && field == nullptr) {
        long first = number->exponent + static_cast<long>(number->digits.size());
        REQUIRE(first > 131072 || number->exponent < -16000 || text.size() > 100 ||
                text.find_first_of("eE") != text.npos);
    }
}

void check_integer(std::string_view text, const std::string* field) {
    auto number = number_in(text);
    if (field == nullptr) return;
    REQUIRE(number && number->exponent >= 0 && text.find_first_of(".eE") == std::string_view::npos);
    std::int64_t value = field->size() == 2   ? wire::get_int16(field->data())
                         : field->size() == 4 ? wire::get_int32(field->data())
                                              : wire::get_int64(field->data());
    std::string digits = std::to_string(value);
    REQUIRE(number_in(digits) == number);
}

FUZZ_TARGET(values) {
    Column column;
    column.name = "c";
    column.type = static_cast<Transport>(input.below(15));
    EncodeOptions options;
    std::uint8_t flags = input.byte();
    options.replace_text = (flags & 1) != 0;
    options.null_zero_dates = (flags & 2) != 0;
    options.source_has_zero_dates = (flags & 4) != 0;
    std::string text(input.rest());

    static fuzz::Frames frames;  // its buffer is large
    frames.writer.begin_row(1);
    Fault fault = encode_text(frames.writer, column.type, text, options);
    std::optional<std::string> field;
    if (fault == Fault::none) {
        frames.writer.end_row();
        SourceColumn announced;
        announced.transport = column.type;
        Batch batch;
        auto sent = frames.take();
        REQUIRE(sent.size() == 1 && sent[0].type == wire::FrameType::rows);
        batch.append_rows(sent[0].payload, {announced});  // throws what is a finding
        REQUIRE(batch.rows() == 1);
        Field taken{};
        batch.read_row(0, &taken);
        if (taken.length >= 0) field.emplace(taken.data, static_cast<std::size_t>(taken.length));
        REQUIRE(field || options.source_has_zero_dates);
    } else {
        frames.writer.drop_row();
        REQUIRE(frames.take().empty());
        REQUIRE(std::string_view(sqlstate_of(fault)).size() == 5);
        REQUIRE(describe_fault(fault, column).find("\"c\"") != std::string::npos);
    }
    const std::string* value = field ? &*field : nullptr;
    switch (column.type) {
        case Transport::text:
            REQUIRE(value == nullptr ? !options.replace_text && !is_valid_utf8(text) : is_valid_utf8(*value));
            break;
        case Transport::bytea:
            REQUIRE(value != nullptr && *value == text);
            break;
        case Transport::jsonb:
            REQUIRE(value == nullptr || (is_valid_utf8(text) && nlohmann::json::accept(text)));
            REQUIRE((value != nullptr) == is_storable_json(text));
            break;
        case Transport::numeric:
            check_numeric(text, value);
            break;
        case Transport::int2:
        case Transport::int4:
        case Transport::int8:
            check_integer(text, value);
            break;
        case Transport::boolean:
            REQUIRE(value == nullptr || (*value)[0] == 0 || (*value)[0] == 1);
            break;
        case Transport::float4:
        case Transport::float8: {
            bool has_letter = text.find_first_of("iInN") != std::string::npos;  // infinity and NaN
            REQUIRE(value == nullptr || has_letter || number_in(text));
            break;
        }
        case Transport::date:
        case Transport::timestamp:
        case Transport::timestamptz: {
            // Never a guess: four digits of a year, or infinity.
            auto first = text.find_first_not_of(' ');
            REQUIRE(value == nullptr || text.find_first_not_of("0123456789", first) >= first + 4 ||
                    text.find("infinity") != std::string::npos);
            break;
        }
        default:
            break;  // the form was checked by the batch
    }
    check_utf8(text);
}

}  // namespace
}  // namespace insync
