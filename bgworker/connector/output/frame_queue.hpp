// Frames on their way to the worker: written at once where the pipe has room, and otherwise by a thread of their own.
//
// So the source is read while the worker applies a batch and looks at no pipe: what a pipe holds is less than a batch,
// and to wait at a full one costs more than reading does. What is taken is bounded; beyond it put() waits for the
// worker. Bytes leave in the order in which they came, and those of a process that dies are lost as if it had died
// earlier.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>

#include "bgworker/connector/output/frame_writer.hpp"

namespace insync {

// Writes at once, in the caller's thread. Where the reader has gone away, ends the process quietly: the worker is the
// only one we work for.
FrameWriter::Output to_descriptor(int descriptor);

class Outbox {
  public:
    // Two batches of the default 10,000 rows, at 200 bytes a row.
    static constexpr std::size_t default_room = 4u << 20;

    // Writes to `descriptor`, which stays the caller's and no longer blocks; holds at most `room` bytes.
    explicit Outbox(int descriptor, std::size_t room = default_room);
    // Waits until everything is written.
    ~Outbox();
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    // Takes the bytes; waits while there is no room for them.
    void put(const char* data, std::size_t count);
    // Waits until everything that was put is written.
    void drain();

  private:
    void work();

    const int descriptor_;
    const std::size_t room_;
    const std::unique_ptr<char[]> ring_;
    std::size_t begin_ = 0, size_ = 0;  // of the bytes in the ring
    bool closing_ = false;
    std::mutex mutex_;
    std::condition_variable came_, went_;
    std::thread writer_;
};

}  // namespace insync
