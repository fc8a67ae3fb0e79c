// Memory for what grows with the rows of a read: up to a limit in memory, and beyond it in a temporary file that is
// mapped, so that the system can write it out and take the memory back.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <string>
#include <vector>

namespace insync {

// Hands out whole pages: to be the upstream of a resource that asks for large pieces. Raises Failure (transient) where
// there is no room for the file, and std::bad_alloc.
class SpillMemory : public std::pmr::memory_resource {
  public:
    // The file, if it comes to one, is in the first of `directories` that takes it.
    explicit SpillMemory(std::size_t in_memory_bytes, std::vector<std::string> directories = {"/var/tmp", "/tmp"})
        : in_memory_bytes_(in_memory_bytes), directories_(std::move(directories)) {}
    ~SpillMemory() override;
    SpillMemory(const SpillMemory&) = delete;
    SpillMemory& operator=(const SpillMemory&) = delete;

    std::size_t file_bytes() const { return file_bytes_; }

  private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* piece, std::size_t bytes, std::size_t alignment) override;
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
    void open_file();
    // Makes the file longer; returns where the new piece begins.
    std::size_t extend_file(std::size_t bytes);

    const std::size_t in_memory_bytes_;
    const std::vector<std::string> directories_;
    std::size_t used_bytes_ = 0, file_bytes_ = 0;
    int file_ = -1;
};

}  // namespace insync
