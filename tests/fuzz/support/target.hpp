// What a fuzz target is made of.
//
// A target is one file, tests/fuzz/NAME.cpp: FUZZ_TARGET(NAME) with a body that takes an Input and states properties
// with REQUIRE. Built with INSYNC_FUZZ it becomes the program fuzz_NAME; unit_tests replay tests/fuzz/corpus/NAME
// through the same function. A target must be deterministic, and keep nothing from one input to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace insync::fuzz {

// A property that didn't hold. No std::exception, so that no code under test takes it for one of its own.
struct Broken {
    std::string what;
};

[[noreturn]] inline void broken(const char* file, int line, const char* property) {
    throw Broken{std::string(file) + ":" + std::to_string(line) + ": " + property};
}

// The fuzzer's bytes, taken from the front. What isn't there any more reads as zero or empty.
class Input {
  public:
    explicit Input(std::string_view bytes) : rest_(bytes) {}

    bool empty() const { return rest_.empty(); }
    std::uint8_t byte() { return bytes(1).empty() ? 0 : static_cast<std::uint8_t>(last_[0]); }
    bool flag() { return (byte() & 1) != 0; }
    // A number below `limit`, which is at most 256.
    std::size_t below(std::size_t limit) { return byte() % limit; }
    std::int64_t int64() {
        std::uint64_t value = 0;
        for (int i = 0; i < 8; i++) value = value << 8 | byte();
        return static_cast<std::int64_t>(value);
    }
    // At most `count` bytes.
    std::string_view bytes(std::size_t count) {
        last_ = rest_.substr(0, count);
        rest_.remove_prefix(last_.size());
        return last_;
    }
    // The bytes up to the next line end, or all; seeds of such targets can be written with an editor.
    std::string_view line() {
        std::string_view text = bytes(rest_.find('\n'));
        bytes(1);
        return text;
    }
    std::string_view rest() { return bytes(rest_.size()); }

  private:
    std::string_view rest_, last_;
};

struct Target {
    const char* name;
    void (*run)(Input input);
};

// All targets of this program.
inline std::vector<Target>& targets() {
    static std::vector<Target> all;
    return all;
}

inline bool add_target(Target target) {
    targets().push_back(target);
    return true;
}

}  // namespace insync::fuzz

#define FUZZ_TARGET(name)                                                                            \
    static void run_##name(insync::fuzz::Input input);                                               \
    [[maybe_unused]] static const bool added_##name = insync::fuzz::add_target({#name, run_##name}); \
    static void run_##name([[maybe_unused]] insync::fuzz::Input input)

#define REQUIRE(property) ((property) ? void() : insync::fuzz::broken(__FILE__, __LINE__, #property))
