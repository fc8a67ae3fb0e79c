// Hashes rows and counts equal ones; see row_identity.hpp.
#include "bgworker/connector/values/row_identity.hpp"

#include <cstring>

#include "bgworker/protocol/wire_type.hpp"

namespace insync {

RowIdentity::RowIdentity(const std::vector<std::string>& names, std::size_t in_memory_bytes)
    : columns_{{names.at(0), Transport::uuid, "uuid", row_identity_type, false},
               {names.at(1), Transport::int4, "integer", row_identity_type, false}},
      memory_(in_memory_bytes) {}

void RowIdentity::add(std::string_view value) {
    add_byte(1);
    // The length first, so that ('a', 'bc') isn't ('ab', 'c').
    for (std::uint64_t length = value.size(), i = 0; i < 8; i++)
        add_byte(static_cast<unsigned char>(length >> (8 * i)));
    for (const char c : value) add_byte(static_cast<unsigned char>(c));
}

std::string RowIdentity::hash_bytes() const {
    std::string bytes(16, '\0');
    for (std::size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<char>(hash_ >> (8 * (15 - i)));
    return bytes;
}

std::string RowIdentity::hash_text() const {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const char c : hash_bytes()) {
        if (text.size() == 8 || text.size() == 13 || text.size() == 18 || text.size() == 23) text += '-';
        text += digits[static_cast<unsigned char>(c) >> 4];
        text += digits[static_cast<unsigned char>(c) & 15];
    }
    return text;
}

void RowIdentity::append_to(FrameWriter& out) const {
    const std::string bytes = hash_bytes();
    wire::put_int32(out.grow(4), static_cast<std::int32_t>(bytes.size()));
    std::memcpy(out.grow(bytes.size()), bytes.data(), bytes.size());
    wire::put_int32(out.grow(4), sizeof copy_);
    wire::put_int32(out.grow(4), copy_);
}

}  // namespace insync
