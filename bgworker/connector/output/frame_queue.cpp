// A ring between whoever reads the source and the pipe; see frame_queue.hpp.
#include "bgworker/connector/output/frame_queue.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace insync {

namespace {

// How many of the bytes were written; 0: it would have to wait.
std::size_t write_some(int descriptor, const char* data, std::size_t count) {
    while (true) {
        const ssize_t written = ::write(descriptor, data, count);
        if (written >= 0) return static_cast<std::size_t>(written);
        if (errno == EAGAIN) return 0;
        if (errno == EINTR) continue;
        // EPIPE above all: the worker has gone, there is nobody to tell. Anything else is a driver that closed what
        // isn't its own, and the worker is to see that this is no ordinary end.
        ::_exit(errno == EPIPE ? 0 : 1);
    }
}

void write_all(int descriptor, const char* data, std::size_t count) {
    while (count > 0) {
        const std::size_t written = write_some(descriptor, data, count);
        if (written == 0) {
            pollfd wanted{descriptor, POLLOUT, 0};
            (void)poll(&wanted, 1, -1);
        }
        data += written;
        count -= written;
    }
}

}  // namespace

FrameWriter::Output to_descriptor(int descriptor) {
    return [descriptor](const char* data, std::size_t count) { write_all(descriptor, data, count); };
}

Outbox::Outbox(int descriptor, std::size_t room) : descriptor_(descriptor), room_(room), ring_(new char[room]) {
    (void)fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    // Signals are for the thread that drivers know.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        writer_ = std::thread([this] { work(); });
    } catch (const std::system_error&) {
        // No room for a thread: put() writes.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Outbox::~Outbox() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    came_.notify_one();
    if (writer_.joinable()) writer_.join();
}

void Outbox::put(const char* data, std::size_t count) {
    if (!writer_.joinable()) return write_all(descriptor_, data, count);
    std::unique_lock lock(mutex_);
    // As long as the worker keeps up, nothing waits here: what a driver that crashes has read before is with the
    // worker.
    while (count > 0 && size_ == 0) {
        const std::size_t written = write_some(descriptor_, data, count);
        if (written == 0) break;
        data += written;
        count -= written;
    }
    while (count > 0) {
        went_.wait(lock, [&] { return size_ < room_; });
        const std::size_t at = (begin_ + size_) % room_;
        const std::size_t part = std::min({count, room_ - size_, room_ - at});
        std::memcpy(ring_.get() + at, data, part);
        size_ += part;
        data += part;
        count -= part;
        came_.notify_one();
    }
}

void Outbox::drain() {
    std::unique_lock lock(mutex_);
    went_.wait(lock, [&] { return size_ == 0; });
}

void Outbox::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        came_.wait(lock, [&] { return size_ > 0 || closing_; });
        if (size_ == 0) return;
        // Parts of a size that lets the other side begin, and makes room soon.
        constexpr std::size_t part_size = 256 * 1024;
        const char* data = ring_.get() + begin_;
        const std::size_t part = std::min({size_, room_ - begin_, part_size});
        lock.unlock();
        write_all(descriptor_, data, part);
        lock.lock();
        begin_ = (begin_ + part) % room_;
        size_ -= part;
        if (size_ == 0) begin_ = 0;  // so that pages that were used before are used again
        went_.notify_all();
    }
}

}  // namespace insync
