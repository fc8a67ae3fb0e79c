// The frames between the connector and the worker, for both sides.
//
// A frame is a type byte, an int32 length in network order that counts the payload only, and the payload. Requests go
// the other way as JSON lines. This file knows bytes alone; what a payload means is said by whoever reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace insync::wire {

// Raised when either side could misunderstand the other; sent in the hello frame beside the build id.
inline constexpr int protocol_version = 2;

// Size of a frame's header: type byte and payload length.
inline constexpr std::size_t header_size = 5;

// No frame may announce more than this; the worker checks it before it takes memory.
inline constexpr std::uint32_t max_payload = 1u << 30;

enum class FrameType : char {
    hello = 'H',
    columns = 'C',
    rows = 'R',
    position = 'P',
    reject = 'J',
    progress = 'G',
    log = 'L',
    error = 'E',
    result = 'T',
    done = 'D',
    permit = 'W',  // asks for leave to send a request; the one frame that is answered, by a line of JSON
};

// True if `byte` is one of FrameType's values.
bool is_frame_type(char byte);

namespace detail {
template <typename Unsigned>
void put(char* out, Unsigned value) {
    for (std::size_t i = 0; i < sizeof(Unsigned); i++) {
        out[i] = static_cast<char>(value >> (8 * (sizeof(Unsigned) - 1 - i)));
    }
}

template <typename Unsigned>
Unsigned get(const char* in) {
    Unsigned value = 0;
    for (std::size_t i = 0; i < sizeof(Unsigned); i++) {
        value = static_cast<Unsigned>(value << 8 | static_cast<unsigned char>(in[i]));
    }
    return value;
}
}  // namespace detail

// Writes `value` in network order at `out`. These and their counterparts run for each field of each row, so they stand
// where a compiler can make one instruction of them.
inline void put_int16(char* out, std::int16_t value) {
    detail::put(out, static_cast<std::uint16_t>(value));
}
inline void put_int32(char* out, std::int32_t value) {
    detail::put(out, static_cast<std::uint32_t>(value));
}
inline void put_int64(char* out, std::int64_t value) {
    detail::put(out, static_cast<std::uint64_t>(value));
}

// Reads a value in network order from `in`.
inline std::int16_t get_int16(const char* in) {
    return static_cast<std::int16_t>(detail::get<std::uint16_t>(in));
}
inline std::int32_t get_int32(const char* in) {
    return static_cast<std::int32_t>(detail::get<std::uint32_t>(in));
}
inline std::int64_t get_int64(const char* in) {
    return static_cast<std::int64_t>(detail::get<std::uint64_t>(in));
}

// Appends a value in network order.
void append_int16(std::string& out, std::int16_t value);
void append_int32(std::string& out, std::int32_t value);
void append_int64(std::string& out, std::int64_t value);

// The five header bytes of a frame whose payload has `length` bytes.
void put_header(char* out, FrameType type, std::uint32_t length);

}  // namespace insync::wire
