// Every input that the fuzzer's corpus keeps, through the target that it belongs to: what was found once stays found,
// with any compiler and without a fuzzer.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/support/target.hpp"

namespace insync::fuzz {
namespace {

class FuzzReplay : public testing::TestWithParam<Target> {};

TEST_P(FuzzReplay, Corpus) {
    int inputs = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(FUZZ_CORPUS) / GetParam().name)) {
        std::ifstream file(entry.path(), std::ios::binary);
        std::string bytes{std::istreambuf_iterator<char>(file), {}};
        ASSERT_TRUE(file.good() || file.eof()) << entry.path();
        SCOPED_TRACE(entry.path().string());
        try {
            GetParam().run(Input(bytes));
        } catch (const Broken& broken) {
            ADD_FAILURE() << broken.what;
        }
        inputs++;
    }
    EXPECT_GT(inputs, 0) << "the target has no corpus";
}

// Targets add themselves before main(), in an order of their own between files: read the list when the tests are made.
INSTANTIATE_TEST_SUITE_P(Targets, FuzzReplay, testing::ValuesIn(targets()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace insync::fuzz
