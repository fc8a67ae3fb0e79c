// What leaves an Outbox: every byte, once, in order, however slow the reader is.
#include <algorithm>
#include <random>
#include <string>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bgworker/connector/output/frame_queue.hpp"

namespace insync {
namespace {

std::string pattern(std::size_t count) {
    std::mt19937 random(1);
    std::string bytes(count, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
}

TEST(Outbox, KeepsOrderThroughASmallRingAndASlowReader) {
    const std::string sent = pattern(300'000);
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    (void)fcntl(ends[1], F_SETPIPE_SZ, 4096);
    std::string received;
    std::thread reader([&] {
        char buffer[777];
        for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
            received.append(buffer, static_cast<std::size_t>(got));
    });
    {
        Outbox outbox(ends[1], 1000);
        std::mt19937 random(2);
        for (std::size_t at = 0; at < sent.size();) {
            // Larger than the ring now and then.
            const std::size_t count = std::min<std::size_t>(random() % 3000, sent.size() - at);
            outbox.put(sent.data() + at, count);
            at += count;
        }
    }
    close(ends[1]);
    reader.join();
    close(ends[0]);
    EXPECT_TRUE(received == sent) << received.size() << " of " << sent.size() << " bytes, or others";
}

TEST(Outbox, TakesWhatThereIsRoomForWithoutAReader) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const int pipe_holds = fcntl(ends[1], F_GETPIPE_SZ);
    const std::string sent = pattern(static_cast<std::size_t>(pipe_holds) + 500'000);
    std::string received;
    {
        Outbox outbox(ends[1], 1'000'000);
        outbox.put(sent.data(), sent.size());  // returns although the pipe is full and nobody reads
        std::string buffer(sent.size(), '\0');
        while (received.size() < sent.size()) {
            const ssize_t got = read(ends[0], buffer.data(), buffer.size());
            ASSERT_GT(got, 0);
            received.append(buffer, 0, static_cast<std::size_t>(got));
        }
        outbox.drain();
    }
    close(ends[0]), close(ends[1]);
    EXPECT_TRUE(received == sent);
}

TEST(Outbox, DrainsWhatWasPut) {
    const int file = memfd_create("frames", MFD_CLOEXEC);
    Outbox outbox(file);
    const std::string sent = pattern(100'000);
    outbox.put(sent.data(), sent.size());
    outbox.drain();
    EXPECT_EQ(lseek(file, 0, SEEK_END), static_cast<off_t>(sent.size()));
    close(file);
}

}  // namespace
}  // namespace insync
