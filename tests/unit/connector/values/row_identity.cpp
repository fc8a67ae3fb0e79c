// What tells rows of a source without a key apart.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bgworker/connector/values/row_identity.hpp"

namespace insync {
namespace {

using Row = std::vector<std::optional<std::string>>;

std::pair<std::string, int> identify(RowIdentity& identity, const Row& row) {
    identity.begin();
    for (const auto& value : row) {
        if (value) {
            identity.add(*value);
        } else {
            identity.add_null();
        }
    }
    identity.end();
    return {identity.hash_text(), identity.copy()};
}

TEST(RowIdentity, EqualRowsAreNumberedAndOthersHaveOtherHashes) {
    RowIdentity identity({"row_hash", "row_copy"});
    const Row rows[] = {{"a", "bc"}, {"ab", "c"}, {"abc", ""}, {"abc", std::nullopt}, {std::nullopt, "abc"}, {"abc"}};
    std::vector<std::string> hashes;
    for (const Row& row : rows) {
        const auto [hash, copy] = identify(identity, row);
        EXPECT_EQ(copy, 1);
        for (const std::string& other : hashes) EXPECT_NE(hash, other);
        hashes.push_back(hash);
    }
    EXPECT_EQ(identify(identity, rows[0]), std::pair(hashes[0], 2));
    EXPECT_EQ(identify(identity, rows[1]), std::pair(hashes[1], 2));
    EXPECT_EQ(identify(identity, rows[0]), std::pair(hashes[0], 3));
}

TEST(RowIdentity, AValueThatCannotBeHadIsNeitherNullNorEmpty) {
    RowIdentity identity({"row_hash", "row_copy"});
    const std::string null = identify(identity, {std::nullopt}).first, empty = identify(identity, {""}).first;
    identity.begin();
    identity.add_fault();
    identity.end();
    EXPECT_NE(identity.hash_text(), null);
    EXPECT_NE(identity.hash_text(), empty);
    EXPECT_EQ(identity.copy(), 1);
}

// The same in each process and version: the target's key is made of it.
TEST(RowIdentity, TheHashIsFowlerNollVo) {
    RowIdentity identity({"row_hash", "row_copy"});
    EXPECT_EQ(identify(identity, {}).first, "6c62272e-07bb-0142-62b8-21756295c58d");
    EXPECT_EQ(identify(identity, {std::nullopt}).first, "d228cb69-101a-8caf-7891-2b704e4a147f");
}

TEST(RowIdentity, MoreRowsThanFitInMemoryAreCounted) {
    RowIdentity identity({"row_hash", "row_copy"}, 1u << 20);
    constexpr int rows = 100000;
    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < rows; i++) ASSERT_EQ(identify(identity, {std::to_string(i)}).second, round);
    }
}

}  // namespace
}  // namespace insync
