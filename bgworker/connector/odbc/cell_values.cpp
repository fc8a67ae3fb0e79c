// Values from a driver as fields and as literals; see fetch.hpp.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/odbc/fetch.hpp"

namespace insync::odbc {

namespace {

template <typename Value>
Value value_in(const Cell& cell) {
    Value value;
    std::memcpy(&value, cell.data.data(), sizeof value);
    return value;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Decodes hexadecimal digits at `out`, which has room for half of them.
bool decode_hex(std::string_view digits, char* out) {
    if (digits.size() % 2 != 0) return false;
    for (std::size_t i = 0; i < digits.size(); i += 2) {
        const int high = hex_digit(digits[i]);
        const int low = hex_digit(digits[i + 1]);
        if (high < 0 || low < 0) return false;
        *out++ = static_cast<char>(high << 4 | low);
    }
    return true;
}

bool is_marked(std::string_view text) {
    return text.substr(0, marked_prefix.size()) == marked_prefix;
}

Fault encode_hex(FrameWriter& out, std::string_view digits) {
    if (digits.substr(0, 2) == "0x") digits.remove_prefix(2);
    char* at = out.grow(4 + digits.size() / 2);
    wire::put_int32(at, static_cast<std::int32_t>(digits.size() / 2));
    return decode_hex(digits, at + 4) ? Fault::none : Fault::syntax;
}

std::string decode_marked(std::string_view text) {
    text.remove_prefix(marked_prefix.size());
    std::string bytes(text.size() / 2, '\0');
    decode_hex(text, bytes.data());
    return bytes;
}

// The time that a cell holds. The thousandths of a datetime are those that the server shows: .003 for 1/300 second.
SQL_TIMESTAMP_STRUCT timestamp_of(const Cell& cell, Fetch fetch) {
    auto value = value_in<SQL_TIMESTAMP_STRUCT>(cell);
    if (fetch == Fetch::datetime && value.fraction < 999500000) {
        value.fraction = (value.fraction + 500000) / 1000000 * 1000000;
    }
    return value;
}

// A key in the target stays as long as it came to be.
std::string_view without_padding(const SourceColumn& column, std::string_view text) {
    while (column.is_padded && !column.is_key && !text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

// Two keys with bytes that aren't text would be one with the same sign in their place.
EncodeOptions options_for(const SourceColumn& column, EncodeOptions options) {
    options.replace_text = options.replace_text && !column.is_key;
    return options;
}

std::int64_t microseconds_of(const SQL_TIMESTAMP_STRUCT& value) {
    const std::int64_t seconds = days_from_2000(value.year, value.month, value.day) * std::int64_t{86400} +
                                 value.hour * 3600 + value.minute * 60 + value.second;
    return seconds * 1000000 + value.fraction / 1000;
}

}  // namespace

Fault encode_cell(FrameWriter& out, const SourceColumn& column, const Cell& cell, const EncodeOptions& options,
                  std::size_t max_bytes) {
    if (cell.fault != Fault::none) return cell.fault;
    if (cell.is_null) {
        out.append_null();
        return Fault::none;
    }
    switch (column.fetch) {
        case Fetch::int64:
            return encode_integer(out, column.type, value_in<std::int64_t>(cell));
        case Fetch::float64:
            return encode_double(out, column.type, value_in<double>(cell));
        case Fetch::text:
            if (cell.data.size() > max_bytes) return Fault::too_long;
            return encode_text(out, column.type, without_padding(column, cell.data), options_for(column, options));
        case Fetch::marked_text:
            if (is_marked(cell.data))
                return encode_text(out, column.type, decode_marked(cell.data), options_for(column, options));
            if (cell.data.size() > max_bytes) return Fault::too_long;
            return encode_text(out, column.type, cell.data, options_for(column, options));
        case Fetch::hex:
            if (cell.data.size() / 2 > max_bytes) return Fault::too_long;
            return encode_hex(out, cell.data);
        case Fetch::binary:
            if (cell.data.size() > max_bytes) return Fault::too_long;
            if (column.type == Transport::uuid && cell.data.size() != 16) return Fault::syntax;
            return encode_bytes(out, cell.data);
        case Fetch::date: {
            const auto value = value_in<SQL_DATE_STRUCT>(cell);
            if (!is_date(value.year, value.month, value.day)) return Fault::datetime;
            return encode_microseconds(out, column.type,
                                       days_from_2000(value.year, value.month, value.day) * std::int64_t{86400000000});
        }
        case Fetch::rowversion: {
            const auto number = value_in<std::uint64_t>(cell);
            char bytes[8];
            for (int i = 0; i < 8; i++) bytes[i] = static_cast<char>(number >> (56 - 8 * i));
            return encode_bytes(out, {bytes, sizeof bytes});
        }
        case Fetch::timestamp:
        case Fetch::datetime: {
            const auto value = timestamp_of(cell, column.fetch);
            const bool is_time =
                value.hour < 24 && value.minute < 60 && value.second <= 60 && value.fraction < 1000000000;
            if (!is_time || !is_date(value.year, value.month, value.day)) return Fault::datetime;
            return encode_microseconds(out, column.type, microseconds_of(value));
        }
    }
    return Fault::syntax;
}

std::string literal_of(const SourceColumn& column, const Cell& cell) {
    if (cell.is_null) return "";
    char text[64];
    switch (column.fetch) {
        case Fetch::int64: {
            const auto end = std::to_chars(text, text + sizeof text, value_in<std::int64_t>(cell)).ptr;
            return std::string(text, end);
        }
        case Fetch::float64: {
            const auto end = std::to_chars(text, text + sizeof text, value_in<double>(cell)).ptr;
            return std::string(text, end);
        }
        case Fetch::binary: {
            std::string hex;
            for (unsigned char byte : cell.data) {
                std::snprintf(text, sizeof text, "%02X", byte);
                hex += text;
            }
            return hex;
        }
        case Fetch::date: {
            const auto value = value_in<SQL_DATE_STRUCT>(cell);
            std::snprintf(text, sizeof text, "%04d-%02d-%02d", value.year, value.month, value.day);
            return text;
        }
        case Fetch::rowversion:
            return rowversion_literal(std::to_string(value_in<std::int64_t>(cell)));
        case Fetch::timestamp:
        case Fetch::datetime: {
            const auto value = timestamp_of(cell, column.fetch);
            const int length =
                std::snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d.%09u", value.year, value.month,
                              value.day, value.hour, value.minute, value.second, static_cast<unsigned>(value.fraction));
            // As many digits as the column has; a literal with more would not compare equal everywhere.
            const int cut = column.fraction_digits == 0 ? 10 : 9 - std::clamp(column.fraction_digits, 0, 9);
            return std::string(text, static_cast<std::size_t>(length - cut));
        }
        case Fetch::marked_text:
            if (is_marked(cell.data)) return decode_marked(cell.data);
            return std::string(cell.data);
        default:
            return std::string(cell.data);
    }
}

}  // namespace insync::odbc
