// Frame types and headers; see wire.hpp.
#include "bgworker/protocol/wire.hpp"

namespace insync::wire {

bool is_frame_type(char byte) {
    return std::string_view("HCRPJGLETDW").find(byte) != std::string_view::npos;
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
