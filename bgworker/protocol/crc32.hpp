// The CRC-32 of zlib, IEEE 802.3 and MySQL's CRC32(). Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace insync {

std::uint32_t crc32_of(std::string_view bytes) noexcept;

}  // namespace insync
