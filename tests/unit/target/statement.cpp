// The statements that apply a batch: what each shape of a stream turns into.
#include "bgworker/target/statement.hpp"

#include <gtest/gtest.h>

namespace insync {
namespace {

MappedColumn column(std::string name, std::string type, std::string expression, bool key = false) {
    MappedColumn made;
    made.name = std::move(name);
    made.type = std::move(type);
    made.expression = std::move(expression);
    made.key = key;
    return made;
}

ApplyShape sales() {
    ApplyShape shape;
    shape.target = "public.sales";
    shape.columns = {column("id", "bigint", "batch.id", true), column("total", "numeric", "quantity * price")};
    return shape;
}

ApplyShape with_deletes(DeleteMode mode) {
    ApplyShape shape = sales();
    shape.delete_condition = "batch.op = 'D'";
    shape.deletes = mode;
    if (mode == DeleteMode::soft) {
        shape.deleted_column = "gone";
        shape.deleted_value = "now()";
        shape.living_value = "NULL";
    }
    return shape;
}

bool holds(const std::string& statement, const std::string& part) {
    return statement.find(part) != std::string::npos;
}

// How often `part` stands in `statement`.
int count(const std::string& statement, const std::string& part) {
    int found = 0;
    for (auto at = statement.find(part); at != std::string::npos; at = statement.find(part, at + part.size())) found++;
    return found;
}

// MERGE and INSERT

TEST(Statement, MergeWritesOnlyWhatDiffers) {
    EXPECT_EQ(merge_statement(sales()),
              "MERGE INTO public.sales AS t USING (\n"
              "  SELECT DISTINCT ON (id) * FROM (\n"
              "  SELECT (batch.id\n)::bigint AS id,\n"
              "    (quantity * price\n)::numeric AS total,\n"
              "    insync_row\n"
              "  FROM batch\n"
              "  ) AS m ORDER BY id, insync_row DESC\n"
              ") AS s ON t.id = s.id\n"
              "WHEN MATCHED AND (t.total IS DISTINCT FROM s.total) THEN UPDATE SET total = s.total\n"
              "WHEN NOT MATCHED THEN INSERT (id, total) VALUES (s.id, s.total)");
}

TEST(Statement, InsertTakesOneRowAKey) {
    EXPECT_EQ(insert_statement(sales()),
              "INSERT INTO public.sales (id, total)\n"
              "SELECT id, total FROM (\n"
              "  SELECT DISTINCT ON (id) * FROM (\n"
              "  SELECT (batch.id\n)::bigint AS id,\n"
              "    (quantity * price\n)::numeric AS total,\n"
              "    insync_row\n"
              "  FROM batch\n"
              "  ) AS m ORDER BY id, insync_row DESC\n"
              ") AS s");
}

TEST(Statement, RowsInTheKeysOrderAreNotSortedAgain) {
    EXPECT_TRUE(merge_statement(sales(), RowOrder::by_key)
                    .starts_with("MERGE INTO public.sales AS t USING (\n"
                                 "  SELECT (batch.id\n)::bigint AS id,\n"
                                 "    (quantity * price\n)::numeric AS total,\n"
                                 "    insync_row\n"
                                 "  FROM batch OFFSET 0\n"
                                 ") AS s ON t.id = s.id\n"));
    EXPECT_EQ(insert_statement(sales(), RowOrder::by_key),
              "INSERT INTO public.sales (id, total)\n"
              "SELECT id, total FROM (\n"
              "  SELECT (batch.id\n)::bigint AS id,\n"
              "    (quantity * price\n)::numeric AS total,\n"
              "    insync_row\n"
              "  FROM batch\n"
              ") AS s");
}

TEST(Statement, EachActionNotesWhatItDoesToASlice) {
    ApplyShape shape = sales();
    shape.columns.push_back(column("day", "date", "day"));
    shape.slice_column = "day";
    shape.slice_type = "date";
    std::string merge = merge_statement(shape);
    EXPECT_TRUE(holds(merge, ") AND insync.note(s.insync_row, true, t.day::date, true, s.day::date) THEN UPDATE"));
    EXPECT_TRUE(holds(merge,
                      "WHEN NOT MATCHED AND insync.note(s.insync_row, false, NULL::date, true, s.day::date) THEN "
                      "INSERT"));
    EXPECT_TRUE(holds(merge,
                      "\nWHEN MATCHED AND insync.note(s.insync_row, false, NULL::date, false, NULL::date) THEN DO "
                      "NOTHING\nWHEN NOT MATCHED AND insync.note("));
    EXPECT_TRUE(insert_statement(shape).ends_with(
        ") AS s WHERE insync.note(s.insync_row, false, NULL::date, true, s.day::date)"));
    for (DeleteMode mode : {DeleteMode::hard, DeleteMode::soft}) {
        ApplyShape deletes = with_deletes(mode);
        deletes.columns.push_back(column("day", "date", "day"));
        deletes.slice_column = "day";
        deletes.slice_type = "date";
        merge = merge_statement(deletes);
        EXPECT_TRUE(holds(merge, "insync.note(s.insync_row, true, t.day::date, false, NULL::date) THEN " +
                                     std::string(mode == DeleteMode::hard ? "DELETE" : "UPDATE SET gone = now()")));
        EXPECT_EQ(holds(merge, "insync.note(s.insync_row, t.gone IS NOT DISTINCT FROM NULL, t.day::date, true"),
                  mode == DeleteMode::soft);
        EXPECT_TRUE(holds(insert_statement(deletes), "WHERE NOT insync_delete AND insync.note("));
    }
}

TEST(Statement, TheLaterOfTwoRowsWithOneKeyWins) {
    ApplyShape shape = sales();
    shape.columns.insert(shape.columns.begin(), column("shop", "text", "'T01'", true));
    EXPECT_TRUE(holds(mapped_rows(shape), "SELECT DISTINCT ON (shop, id) * FROM ("));
    EXPECT_TRUE(holds(mapped_rows(shape), "ORDER BY shop, id, insync_row DESC"));
    EXPECT_TRUE(holds(merge_statement(shape), "ON t.shop = s.shop AND t.id = s.id\n"));
}

TEST(Statement, KeysAreNeverUpdated) {
    std::string merge = merge_statement(sales());
    EXPECT_EQ(count(merge, "id = s.id"), 1) << "as the join only";
    EXPECT_FALSE(holds(merge, "t.id IS DISTINCT"));
}

TEST(Statement, ATargetOfKeysAloneIsOnlyInsertedInto) {
    ApplyShape shape = sales();
    shape.columns.pop_back();
    std::string merge = merge_statement(shape);
    EXPECT_FALSE(holds(merge, "WHEN MATCHED")) << merge;
    EXPECT_TRUE(holds(merge, "WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)"));
}

TEST(Statement, AFilterIsAppliedBeforeDuplicatesAreSettled) {
    ApplyShape shape = sales();
    shape.filter = "price > 0";
    std::string rows = mapped_rows(shape);
    EXPECT_LT(rows.find("WHERE (price > 0\n)"), rows.find(") AS m")) << rows;
}

TEST(Statement, AnIdentityColumnIsOverridden) {
    ApplyShape shape = sales();
    shape.override_identity = true;
    EXPECT_TRUE(holds(merge_statement(shape), "INSERT (id, total) OVERRIDING SYSTEM VALUE VALUES (s.id, s.total)"));
    EXPECT_TRUE(holds(insert_statement(shape), "(id, total) OVERRIDING SYSTEM VALUE\nSELECT"));
    EXPECT_FALSE(holds(merge_statement(sales()), "OVERRIDING"));
}

ApplyShape moving() {
    ApplyShape shape = sales();
    shape.columns.push_back(column("day", "date", "batch.day"));
    shape.columns.back().key = shape.columns.back().moves = true;
    return shape;
}

std::string as_it_is(const std::string& bucket) {
    return bucket;
}

TEST(Statement, AWiderKeyIsSettledByWhatIdentifiesTheRow) {
    EXPECT_FALSE(has_moves(sales()));
    EXPECT_TRUE(has_moves(moving()));
    EXPECT_TRUE(holds(mapped_rows(moving()), "SELECT DISTINCT ON (id) *")) << mapped_rows(moving());
    EXPECT_TRUE(holds(merge_statement(moving()), "AS s ON t.id = s.id AND t.day = s.day"));
}

TEST(Statement, ARowMovesWithAllItsValuesAndIsFoundByItsOldKey) {
    std::string move = move_statement(moving(), "'-infinity'::timestamp", as_it_is);
    EXPECT_TRUE(holds(move, "NOT EXISTS (SELECT FROM public.sales AS t WHERE t.id = s.id AND t.day = s.day)")) << move;
    EXPECT_TRUE(holds(move, "AS t ON t.id = s.id),")) << move;
    EXPECT_TRUE(holds(move,
                      "SET day = s.day, total = s.total FROM old AS s WHERE t.id = s.insync_key_1 AND t.day = "
                      "s.insync_key_2 RETURNING"))
        << move;
}

TEST(Statement, ADeletedRowIsFoundByWhatIdentifiesIt) {
    ApplyShape shape = with_deletes(DeleteMode::hard);
    shape.columns.push_back(column("day", "date", "batch.day"));
    shape.columns.back().key = shape.columns.back().moves = true;
    std::string withdraw = withdraw_statement(shape, "'-infinity'::timestamp", as_it_is);
    EXPECT_TRUE(holds(withdraw, "AS s WHERE s.insync_delete AND t.id = s.id RETURNING")) << withdraw;
    EXPECT_TRUE(holds(move_statement(shape, "'-infinity'::timestamp", as_it_is), "WHERE NOT s.insync_delete AND"));
}

// A comment at an expression's end, as somebody may leave it there.
TEST(Statement, ACommentSwallowsNothing) {
    ApplyShape shape = with_deletes(DeleteMode::hard);
    shape.columns[0].expression = "batch.id -- the number";
    shape.columns[1].expression = "quantity * price -- net";
    shape.filter = "price > 0 -- no gifts";
    shape.delete_condition = "op = 'D' -- dropped";
    for (const std::string& statement : {merge_statement(shape), insert_statement(shape), check_statement(shape),
                                         check_statement(shape, shape.columns[1]), keys_statement(shape)}) {
        for (const char* comment : {"-- the number", "-- net", "-- no gifts", "-- dropped"}) {
            EXPECT_EQ(count(statement, comment), count(statement, std::string(comment) + "\n)")) << statement;
        }
    }
}

// Comparing

TEST(Statement, AnOperatorElsewhereIsCalledByItsFullName) {
    ApplyShape shape = sales();
    shape.columns[0].equality = "OPERATOR(ext.=)";
    shape.columns[1].equality = "OPERATOR(ext.=)";
    std::string merge = merge_statement(shape);
    EXPECT_TRUE(holds(merge, "ON t.id OPERATOR(ext.=) s.id\n")) << merge;
    EXPECT_TRUE(
        holds(merge, "((t.total OPERATOR(ext.=) s.total) IS NOT TRUE AND NOT (t.total IS NULL AND s.total IS NULL))"))
        << merge;
    EXPECT_FALSE(holds(merge, "IS DISTINCT FROM"));
}

TEST(Statement, ValuesWithoutAStrictEqualityAreComparedAsText) {
    ApplyShape shape = sales();
    shape.columns[1].compare_as_text = true;
    shape.columns[1].equality = "OPERATOR(ext.=)";  // of citext, say: 'A' and 'a' are equal and must be told apart
    EXPECT_TRUE(
        holds(merge_statement(shape), "t.total::text COLLATE \"C\" IS DISTINCT FROM s.total::text COLLATE \"C\""));
}

TEST(Statement, ALengthIsCheckedAndNotCut) {
    ApplyShape shape = sales();
    MappedColumn& name = shape.columns[1];
    name = column("name", "character varying(5)", "batch.name");
    name.length_function = "pg_catalog.\"varchar\"";
    name.length_type = "pg_catalog.varchar";
    name.length_modifier = 9;
    EXPECT_TRUE(
        holds(mapped_rows(shape),
              "pg_catalog.\"varchar\"((batch.name\n)::pg_catalog.varchar, 9, false)::character varying(5) AS name"))
        << mapped_rows(shape);
}

// Deletes that the source marks

TEST(Statement, HardDeletes) {
    std::string merge = merge_statement(with_deletes(DeleteMode::hard));
    EXPECT_TRUE(holds(merge, "coalesce((batch.op = 'D'\n), false) AS insync_delete")) << merge;
    EXPECT_TRUE(holds(merge, "\nWHEN MATCHED AND s.insync_delete THEN DELETE\n"));
    EXPECT_TRUE(
        holds(merge, "\nWHEN MATCHED AND NOT s.insync_delete AND (t.total IS DISTINCT FROM s.total) THEN UPDATE"));
    EXPECT_TRUE(holds(merge, "\nWHEN NOT MATCHED AND NOT s.insync_delete THEN INSERT"));
}

TEST(Statement, SoftDeletesMarkOnceAndReviveWhatLivesAgain) {
    std::string merge = merge_statement(with_deletes(DeleteMode::soft));
    EXPECT_FALSE(holds(merge, "DELETE\n"));
    EXPECT_TRUE(
        holds(merge,
              "\nWHEN MATCHED AND s.insync_delete AND t.gone IS NOT DISTINCT FROM NULL THEN UPDATE SET gone = now()\n"))
        << merge;
    EXPECT_TRUE(holds(merge, "OR t.gone IS DISTINCT FROM NULL) THEN UPDATE SET total = s.total, gone = NULL\n"))
        << merge;
    EXPECT_TRUE(holds(merge, "\nWHEN NOT MATCHED AND NOT s.insync_delete THEN INSERT (id, total)"));
}

TEST(Statement, AnEmptyTargetGetsNoDeletedRows) {
    EXPECT_TRUE(holds(insert_statement(with_deletes(DeleteMode::hard)), ") AS s WHERE NOT insync_delete"));
    EXPECT_TRUE(holds(insert_statement(with_deletes(DeleteMode::soft)), ") AS s WHERE NOT insync_delete"));
}

TEST(Statement, IgnoredDeletesLeaveNoTrace) {
    std::string merge = merge_statement(with_deletes(DeleteMode::ignore));
    EXPECT_EQ(merge, merge_statement(sales()));
}

// Deletes that a full read finds

TEST(Statement, VanishedRowsAreThoseWhoseKeyWasNotSeen) {
    ApplyShape shape = sales();
    shape.deletes = DeleteMode::hard;
    shape.columns.insert(shape.columns.begin(), column("shop", "text", "'T01'", true));
    std::string unseen = "NOT EXISTS (SELECT FROM seen WHERE t.shop = seen.k1 AND t.id = seen.k2)";
    EXPECT_EQ(delete_vanished_statement(shape, ""), "DELETE FROM public.sales AS t WHERE " + unseen);
    EXPECT_EQ(count_vanished_statement(shape, ""), "SELECT count(*) FROM public.sales AS t WHERE " + unseen);
    EXPECT_EQ(keys_statement(shape), "SELECT ('T01'\n)::text AS k1, (batch.id\n)::bigint AS k2\n  FROM batch");
}

TEST(Statement, AScopeKeepsOthersRows) {
    ApplyShape shape = sales();
    shape.deletes = DeleteMode::hard;
    std::string scope = "t.shop = 'T01'";
    for (const std::string& statement : {delete_vanished_statement(shape, scope),
                                         count_vanished_statement(shape, scope), count_scope_statement(shape, scope)}) {
        EXPECT_TRUE(holds(statement, " AND " + scope)) << statement;
    }
}

TEST(Statement, SoftDeletesOfVanishedRowsMarkThemOnce) {
    ApplyShape shape = with_deletes(DeleteMode::soft);
    EXPECT_EQ(delete_vanished_statement(shape, ""),
              "UPDATE public.sales AS t SET gone = now() WHERE NOT EXISTS (SELECT FROM seen WHERE t.id = seen.k1)"
              " AND t.gone IS NOT DISTINCT FROM NULL");
    EXPECT_EQ(count_scope_statement(shape, ""),
              "SELECT count(*) FROM public.sales AS t WHERE t.gone IS NOT DISTINCT FROM NULL");
}

TEST(Statement, AMarkIsTakenOffWhereTheKeyWasSeen) {
    ApplyShape shape = with_deletes(DeleteMode::soft);
    EXPECT_EQ(undelete_present_statement(shape, "t.shop = 'T01'"),
              "UPDATE public.sales AS t SET gone = NULL WHERE t.gone IS DISTINCT FROM NULL AND EXISTS (SELECT FROM seen"
              " WHERE t.id = seen.k1) AND t.shop = 'T01'");
}

TEST(Statement, RowsThatMayBeRefusedAreListedAndWrittenByNumber) {
    ApplyShape shape = sales();
    shape.deletes = DeleteMode::hard;
    EXPECT_EQ(list_statement(shape, Unseen::vanished, "t.shop = 'T01'", "NULL::jsonb", "to_jsonb(t)"),
              "SELECT row_number() OVER () AS insync_row, NULL::jsonb AS key, to_jsonb(t) AS record, "
              "t.id AS k1 FROM public.sales AS t WHERE NOT EXISTS (SELECT FROM seen WHERE t.id = seen.k1) AND t.shop = "
              "'T01' AND NOT (t.id IS NULL)");
    EXPECT_EQ(
        write_listed_statement(shape, Unseen::vanished, 3, 5),
        "DELETE FROM public.sales AS t USING listed WHERE listed.insync_row BETWEEN 3 AND 5 AND t.id = listed.k1");
    EXPECT_TRUE(holds(keyless_statement(shape, Unseen::vanished, ""), "AND (t.id IS NULL)"));
    shape = with_deletes(DeleteMode::soft);
    EXPECT_EQ(write_listed_statement(shape, Unseen::undeleted, 1, 1),
              "UPDATE public.sales AS t SET gone = NULL FROM listed WHERE listed.insync_row BETWEEN 1 AND 1 AND t.id = "
              "listed.k1 AND t.gone IS DISTINCT FROM NULL");
}

// Checks

TEST(Statement, AChecksColumnsAreThoseThatWouldBeWritten) {
    ApplyShape shape = sales();
    shape.filter = "price > 0";
    EXPECT_EQ(check_statement(shape),
              "SELECT count(ROW((batch.id\n)::bigint,\n  (quantity * price\n)::numeric))\n  FROM batch\n  WHERE (price "
              "> 0\n)");
    EXPECT_EQ(check_statement(shape, shape.columns[1]),
              "SELECT count(ROW((quantity * price\n)::numeric))\n  FROM batch\n  WHERE (price > 0\n)");
    EXPECT_FALSE(holds(check_statement(shape), "MERGE"));
}

}  // namespace
}  // namespace insync
