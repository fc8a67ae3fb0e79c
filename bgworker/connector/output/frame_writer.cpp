// Buffers and writes frames; see frame_writer.hpp.
#include "bgworker/connector/output/frame_writer.hpp"

#include <cstring>
#include <string>

namespace insync {

void FrameWriter::send(wire::FrameType type, const nlohmann::json& payload) {
    // Log and progress frames say nothing about the rows, and rejects only belong before the next position.
    if (type != wire::FrameType::log && type != wire::FrameType::progress && type != wire::FrameType::reject) {
        flush_rows();
    }
    std::string frame(wire::header_size, '\0');
    frame += payload.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    wire::put_header(frame.data(), type, static_cast<std::uint32_t>(frame.size() - wire::header_size));
    write(frame.data(), frame.size());
}

void FrameWriter::log(std::string_view level, std::string_view message) {
    send(wire::FrameType::log, {{"level", level}, {"message", message}});
}

void FrameWriter::flush_rows() {
    if (used_ > wire::header_size) {
        wire::put_header(data_.get(), wire::FrameType::rows, static_cast<std::uint32_t>(used_ - wire::header_size));
        write(data_.get(), used_);
    }
    used_ = row_start_ = wire::header_size;
    // One huge row must not keep its memory for the rest of the connection.
    if (capacity_ > 16 * flush_size) {
        data_.reset();
        capacity_ = 0;
    }
}

void FrameWriter::enlarge(std::size_t count) {
    std::size_t capacity = capacity_ == 0 ? 2 * flush_size : capacity_;
    while (capacity - used_ < count) capacity *= 2;
    std::unique_ptr<char[]> data(new char[capacity]);
    if (data_)
        std::memcpy(data.get(), data_.get(), used_);
    else
        std::memset(data.get(), 0, wire::header_size);
    data_ = std::move(data);
    capacity_ = capacity;
}

void FrameWriter::write(const char* data, std::size_t count) {
    bytes_sent_ += count;
    output_(data, count);
}

}  // namespace insync
