// Runs a program's one target under libFuzzer.
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/support/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        insync::fuzz::targets().front().run(insync::fuzz::Input({reinterpret_cast<const char*>(data), size}));
    } catch (const insync::fuzz::Broken& broken) {
        std::fprintf(stderr, "property does not hold: %s\n", broken.what.c_str());
        std::abort();
    }
    return 0;
}
