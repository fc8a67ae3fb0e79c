// What is told of SQL expressions by their words.
#include "bgworker/options/expression_words.hpp"

#include <gtest/gtest.h>

namespace insync {
namespace {

using Fields = std::optional<std::vector<std::string>>;

std::vector<SourceColumn> columns() {
    std::vector<SourceColumn> columns(4);
    const char* names[] = {"id", "sku", "order id", "año"};
    for (std::size_t i = 0; i < columns.size(); i++) columns[i].name = columns[i].field = names[i];
    return columns;
}

TEST(Expression, ConstantsReadNoField) {
    for (const char* text : {"'T01'", "7", "DATE '2025-01-01'", "'id'", "'(sku)'", "'it''s id'"}) {
        EXPECT_TRUE(is_constant(text, columns())) << text;
    }
    for (const char* text : {"id", "SKU", "upper('x')", "batch", "'a' || sku", "año"}) {
        EXPECT_FALSE(is_constant(text, columns())) << text;
    }
}

TEST(Expression, FieldsAreFoundByTheirWords) {
    EXPECT_EQ(fields_of("'T01'", columns()), Fields(std::in_place));
    EXPECT_EQ(fields_of(" Sku ", columns()), Fields({"sku"}));
    EXPECT_EQ(fields_of("upper(sku) || '-' || id::text", columns()), Fields({"sku", "id"}));
    EXPECT_EQ(fields_of("(SELECT s.number FROM local.shops AS s WHERE s.code = sku)", columns()), Fields({"sku"}));
    EXPECT_EQ(fields_of("skuid + sku_id", columns()), Fields(std::in_place)) << "other words";
    EXPECT_EQ(fields_of("año", columns()), Fields({"año"}));
}

TEST(Expression, WhereWordsDontTellNothingIsSaid) {
    for (const char* text : {"\"order id\"", "batch.sku", "md5(batch::text)", "E'\\'' || sku || ''",
                             "$$'$$ || sku || ''", "id -- '\n || sku", "id /* ' */ || sku", "insync_row"}) {
        EXPECT_EQ(fields_of(text, columns()), std::nullopt) << text;
    }
}

}  // namespace
TEST(Expression, AFieldAndNothingElse) {
    for (const char* text : {"id", " ID ", "batch.id", "Batch.Id", "\"id\"", "batch.\"id\""})
        EXPECT_TRUE(is_field(text, "id")) << text;
    for (const char* text : {"", "batch.", "id + 1", "lower(id)", "id::text", "batch.other", "\"ID\"", "id id"})
        EXPECT_FALSE(is_field(text, "id")) << text;
}

}  // namespace insync
