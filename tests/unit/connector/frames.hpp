// Reads back what a FrameWriter wrote: frames, and the fields of rows.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "bgworker/connector/output/frame_queue.hpp"
#include "bgworker/connector/output/frame_writer.hpp"
#include "bgworker/protocol/wire.hpp"

namespace insync::test {

struct Frame {
    char type;
    std::string payload;
    nlohmann::json json() const { return nlohmann::json::parse(payload); }
};

using Fields = std::vector<std::optional<std::string>>;

inline std::vector<Fields> rows_of(const std::string& payload) {
    std::vector<Fields> rows;
    std::size_t at = 0;
    while (at < payload.size()) {
        Fields fields;
        const int count = wire::get_int16(payload.data() + at);
        at += 2;
        for (int i = 0; i < count; i++) {
            const int length = wire::get_int32(payload.data() + at);
            at += 4;
            if (length < 0) {
                fields.emplace_back(std::nullopt);
                continue;
            }
            fields.emplace_back(payload.substr(at, static_cast<std::size_t>(length)));
            at += static_cast<std::size_t>(length);
        }
        rows.push_back(std::move(fields));
    }
    return rows;
}

// A writer into memory.
class Capture {
  public:
    Capture() : descriptor_(memfd_create("frames", MFD_CLOEXEC)), writer(to_descriptor(descriptor_)) {
        if (descriptor_ < 0) throw std::runtime_error("memfd_create");
    }
    ~Capture() { close(descriptor_); }

    // All frames since the last call.
    std::vector<Frame> frames() {
        writer.flush_rows();
        std::string bytes(static_cast<std::size_t>(lseek(descriptor_, 0, SEEK_END)) - read_, '\0');
        if (pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(read_)) !=
            static_cast<ssize_t>(bytes.size())) {
            throw std::runtime_error("pread");
        }
        read_ += bytes.size();
        std::vector<Frame> frames;
        for (std::size_t at = 0; at < bytes.size();) {
            const auto length = static_cast<std::size_t>(wire::get_int32(bytes.data() + at + 1));
            frames.push_back({bytes[at], bytes.substr(at + wire::header_size, length)});
            at += wire::header_size + length;
        }
        return frames;
    }

    // The fields of the rows written since the last call.
    std::vector<Fields> rows() {
        std::vector<Fields> all;
        for (const Frame& frame : frames()) {
            if (frame.type != 'R') continue;
            for (Fields& fields : rows_of(frame.payload)) all.push_back(std::move(fields));
        }
        return all;
    }

  private:
    int descriptor_;
    std::size_t read_ = 0;

  public:
    FrameWriter writer;
};

}  // namespace insync::test
