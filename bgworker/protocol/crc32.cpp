// CRC-32, eight bytes at a time; see crc32.hpp.
#include "bgworker/protocol/crc32.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace insync {

namespace {

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

// tables[n][b]: the remainder of byte b followed by n zero bytes.
constexpr Table make_tables() {
    Table tables{};
    for (std::uint32_t byte = 0; byte < 256; byte++) {
        std::uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++) rest = (rest >> 1) ^ ((rest & 1) != 0 ? 0xEDB88320u : 0u);
        tables[0][byte] = rest;
    }
    for (std::size_t n = 1; n < 8; n++) {
        for (std::size_t byte = 0; byte < 256; byte++) {
            const std::uint32_t before = tables[n - 1][byte];
            tables[n][byte] = (before >> 8) ^ tables[0][before & 0xFF];
        }
    }
    return tables;
}

constexpr Table tables = make_tables();

}  // namespace

std::uint32_t crc32_of(std::string_view bytes) noexcept {
    std::uint32_t rest = 0xFFFFFFFFu;
    if constexpr (std::endian::native == std::endian::little) {
        while (bytes.size() >= 8) {
            std::uint32_t low, high;
            std::memcpy(&low, bytes.data(), 4);
            std::memcpy(&high, bytes.data() + 4, 4);
            low ^= rest;
            rest = tables[7][low & 0xFF] ^ tables[6][low >> 8 & 0xFF] ^ tables[5][low >> 16 & 0xFF] ^
                   tables[4][low >> 24] ^ tables[3][high & 0xFF] ^ tables[2][high >> 8 & 0xFF] ^
                   tables[1][high >> 16 & 0xFF] ^ tables[0][high >> 24];
            bytes.remove_prefix(8);
        }
    }
    for (char c : bytes) rest = (rest >> 8) ^ tables[0][(rest ^ static_cast<unsigned char>(c)) & 0xFF];
    return ~rest;
}

}  // namespace insync
