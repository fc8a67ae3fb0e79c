// A FrameWriter into memory, and the frames that the worker would read of it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "bgworker/connector/output/frame_queue.hpp"
#include "bgworker/connector/output/frame_writer.hpp"
#include "bgworker/protocol/frame.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync::fuzz {

// A file in memory, one for the whole program: making one for each input would take longer than the input.
class MemoryFile {
  public:
    MemoryFile() : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) { REQUIRE(descriptor_ >= 0); }
    ~MemoryFile() { close(descriptor_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    int descriptor() const { return descriptor_; }

    // Makes `bytes` all that is in it, to be read from the start.
    void fill(std::string_view bytes) {
        clear();
        REQUIRE(pwrite(descriptor_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    }
    void clear() {
        REQUIRE(ftruncate(descriptor_, 0) == 0);
        REQUIRE(lseek(descriptor_, 0, SEEK_SET) == 0);
    }
    // All that was written to it, which it then has no more.
    FrameReader drain() {
        FrameReader reader;
        auto size = static_cast<std::size_t>(lseek(descriptor_, 0, SEEK_END));
        if (size > 0) {
            REQUIRE(pread(descriptor_, reader.reserve(size), size, 0) == static_cast<ssize_t>(size));
            reader.commit(size);
        }
        clear();
        return reader;
    }

  private:
    int descriptor_;
};

inline std::vector<Frame> frames_in(MemoryFile& file) {
    FrameReader reader = file.drain();
    std::vector<Frame> frames;
    while (auto frame = reader.next(wire::max_payload)) frames.push_back(std::move(*frame));
    REQUIRE(reader.pending() == 0);
    return frames;
}

class Frames {
  public:
    Frames() : writer(to_descriptor(file().descriptor())) { file().clear(); }

    // All frames since the last call.
    std::vector<Frame> take() {
        writer.flush_rows();
        return frames_in(file());
    }

  private:
    static MemoryFile& file() {
        static MemoryFile memory;
        return memory;
    }

  public:
    FrameWriter writer;
};

}  // namespace insync::fuzz
