// Network-order integers and frame headers; see wire.hpp.
#include "bgworker/wire.hpp"

namespace insync::wire {

bool is_frame_type(char byte) {
    return std::string_view("HCRPJGLETDW").find(byte) != std::string_view::npos;
}

namespace {
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
}  // namespace

void put_int16(char* out, std::int16_t value) {
    put(out, static_cast<std::uint16_t>(value));
}
void put_int32(char* out, std::int32_t value) {
    put(out, static_cast<std::uint32_t>(value));
}
void put_int64(char* out, std::int64_t value) {
    put(out, static_cast<std::uint64_t>(value));
}

std::int16_t get_int16(const char* in) {
    return static_cast<std::int16_t>(get<std::uint16_t>(in));
}
std::int32_t get_int32(const char* in) {
    return static_cast<std::int32_t>(get<std::uint32_t>(in));
}
std::int64_t get_int64(const char* in) {
    return static_cast<std::int64_t>(get<std::uint64_t>(in));
}

void append_int16(std::string& out, std::int16_t value) {
    char bytes[2];
    put_int16(bytes, value);
    out.append(bytes, sizeof bytes);
}

void append_int32(std::string& out, std::int32_t value) {
    char bytes[4];
    put_int32(bytes, value);
    out.append(bytes, sizeof bytes);
}

void append_int64(std::string& out, std::int64_t value) {
    char bytes[8];
    put_int64(bytes, value);
    out.append(bytes, sizeof bytes);
}

void put_header(char* out, FrameType type, std::uint32_t length) {
    out[0] = static_cast<char>(type);
    put_int32(out + 1, static_cast<std::int32_t>(length));
}

}  // namespace insync::wire
