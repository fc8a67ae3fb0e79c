// The connector's side of the pipe: frames, and rows gathered into frames of a useful size.
//
// Rows are encoded straight into the frame that will carry them: begin_row(), fields through bytes(), then end_row() or
// drop_row(). Frames that say something about the rows before them (position, done, error) flush the rows first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include <nlohmann/json.hpp>

#include "bgworker/protocol/wire.hpp"

namespace insync {

class FrameWriter {
  public:
    // Where the bytes go.
    using Output = std::function<void(const char* data, std::size_t count)>;

    explicit FrameWriter(Output output) : output_(std::move(output)) {}
    FrameWriter(const FrameWriter&) = delete;
    FrameWriter& operator=(const FrameWriter&) = delete;

    // Writes one JSON frame. Invalid UTF-8 in its strings is replaced, never an error.
    void send(wire::FrameType type, const nlohmann::json& payload);

    // A log frame; `level` is debug, notice or warning.
    void log(std::string_view level, std::string_view message);

    // Starts a row of `fields` fields.
    void begin_row(std::int16_t fields) {
        row_start_ = used_;
        wire::put_int16(grow(2), fields);
    }

    // Room for the next `count` bytes of the row; valid until the next call.
    char* grow(std::size_t count) {
        if (used_ + count > capacity_) enlarge(count);
        char* at = data_.get() + used_;
        used_ += count;
        return at;
    }

    // Gives back the last `count` bytes of the row.
    void shrink(std::size_t count) { used_ -= count; }

    // Bytes of the row so far, to check it against the frame's limit.
    std::size_t row_bytes() const { return used_ - row_start_; }

    void append_null() { wire::put_int32(grow(4), -1); }

    // Keeps the row. Flushes when the frame is large enough.
    void end_row() {
        row_start_ = used_;
        if (used_ >= flush_size) flush_rows();
    }

    // Forgets the row that begin_row() started.
    void drop_row() { used_ = row_start_; }

    void flush_rows();

    // Bytes written since the start, headers included.
    std::uint64_t bytes_sent() const { return bytes_sent_; }

    // Bytes of rows that have not been flushed yet.
    std::size_t pending_bytes() const { return used_ - wire::header_size; }

  private:
    // Larger frames save system calls, and much larger ones only memory.
    static constexpr std::size_t flush_size = 128 * 1024;

    void enlarge(std::size_t count);
    void write(const char* data, std::size_t count);

    Output output_;
    std::unique_ptr<char[]> data_;
    std::size_t capacity_ = 0;
    std::size_t used_ = wire::header_size;  // the header's place is kept free in front of the rows
    std::size_t row_start_ = wire::header_size;
    std::uint64_t bytes_sent_ = 0;
};

}  // namespace insync
