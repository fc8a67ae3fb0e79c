// Pages from memory or from a file; see spill_memory.hpp.
#include "bgworker/connector/output/spill_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "bgworker/connector/output/failure.hpp"

namespace insync {

namespace {

std::size_t whole_pages(std::size_t bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    if (bytes > SIZE_MAX - page) throw std::bad_alloc();
    return (bytes + page - 1) / page * page;
}

[[noreturn]] void fail(const char* what, int code) {
    throw Failure(FailureClass::transient, std::string(what) + ": " + std::strerror(code), "",
                  "Data about the rows of a read is written there when it does not fit in memory.");
}

}  // namespace

SpillMemory::~SpillMemory() {
    if (file_ >= 0) close(file_);
}

// Without a name from the beginning, so that nothing is left behind however this process ends.
void SpillMemory::open_file() {
    int code = ENOENT;
    for (const std::string& directory : directories_) {
        std::string name = directory + "/pg_insync.XXXXXX";
        file_ = mkostemp(name.data(), O_CLOEXEC);
        if (file_ >= 0) {
            unlink(name.c_str());
            return;
        }
        code = errno;
    }
    fail("could not create a temporary file", code);
}

std::size_t SpillMemory::extend_file(std::size_t bytes) {
    if (file_ < 0) open_file();
    // Taken now: a page for which the disk has no room later would end the process.
    int code = 0;
    do {
        code = posix_fallocate(file_, static_cast<off_t>(file_bytes_), static_cast<off_t>(bytes));
    } while (code == EINTR);
    if (code != 0) fail("could not extend a temporary file", code);
    file_bytes_ += bytes;
    return file_bytes_ - bytes;
}

void* SpillMemory::do_allocate(std::size_t bytes, std::size_t) {
    bytes = whole_pages(bytes);
    const bool in_file = used_bytes_ + bytes > in_memory_bytes_;
    const std::size_t at = in_file ? extend_file(bytes) : 0;
    void* piece = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, in_file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS,
                       in_file ? file_ : -1, static_cast<off_t>(at));
    if (piece == MAP_FAILED) throw std::bad_alloc();
    used_bytes_ += bytes;
    return piece;
}

// A file only shrinks when it ends, with this.
void SpillMemory::do_deallocate(void* piece, std::size_t bytes, std::size_t) {
    munmap(piece, whole_pages(bytes));
}

}  // namespace insync
