// The SQL of applying a batch, as text: pure functions of what is mapped to where.
//
// Everything that a name can bring in is quoted by whoever fills the structures (they hold SQL fragments); the
// expressions of `columns` and `filter` are the stream owner's own SQL and run with the owner's rights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/options/stream_options.hpp"

namespace insync {

// One target column and the SQL over `batch` that fills it.
struct MappedColumn {
    std::string name;        // quoted identifier of the target column
    std::string plain_name;  // the same, unquoted
    std::string type;        // its type as SQL, schema-qualified, with modifier
    std::string base_type;   // the same without modifier, and of a domain the type beneath, which can always be NULL
    // For types with a length, whose explicit cast would cut without a word: the function that checks the length
    // (pg_catalog."varchar"), its type, and the length's modifier; as an assignment would.
    std::string length_function, length_type;
    int length_modifier = -1;
    std::string expression;    // SQL over `batch`
    std::string field;         // the batch's column that it takes as it is, cast to its type; empty: it is computed
    std::string source;        // the same, quoted
    std::string fit;           // SQL over `batch`: false where the value doesn't survive; empty: each does
    bool keeps_apart = false;  // values of that column that differ, byte by byte, do so here, too
    // Of a key column: its collation, where equal texts may have other bytes, and whether its type has a hash.
    std::string collation;
    bool is_hashable = false;
    bool key = false;
    // Of a key that is wider than the source's: the column isn't part of what identifies the row there, so that its
    // value can change.
    bool moves = false;
    // How two values are compared: `=` of the type as OPERATOR(schema.=), or empty: by IS DISTINCT FROM in pg_catalog.
    std::string equality;
    bool compare_as_text =
        false;  // types without an equality of their own, and text whose equality is looser than its bytes
};

// What the apply statement of a stream is built from.
struct ApplyShape {
    std::string target;  // schema-qualified, quoted
    std::vector<MappedColumn> columns;
    std::string filter;  // SQL over `batch`; empty: all rows
    // Rows that the filter leaves out are the source's all the same: a comparison of keys doesn't miss them.
    bool filter_keeps = false;
    // SQL over `batch`, part of delete_condition: the row doesn't pass the filter of the stream; empty: `filter` says
    // what becomes of it.
    std::string leave_condition;
    // Deletes marked by the source: a boolean SQL expression over `batch`; empty: none.
    std::string delete_condition;
    DeleteMode deletes = DeleteMode::ignore;
    // Soft deletes: the target column that says so, and its values for a deleted and a living row.
    std::string deleted_column, deleted_value, living_value;
    // The quoted target column that tells older rows from newer ones, where they can come in any order: an older one
    // than the target's is left out. Empty: what comes last counts.
    std::string version;
    // The quoted target column by whose values rows are counted into slices, and its type without domains; empty: they
    // aren't counted, or not by the statement itself.
    std::string slice_column, slice_type;
    // SQL over `batch`: the row has changed so lately that it needn't be here yet; empty: none has.
    std::string unsettled;
    // SQL over `batch`: the source's key as text, where different ones may be the same key in the target; empty: they
    // can't, or nobody knows which columns are the source's key.
    std::string source_key;
    bool override_identity = false;  // the target has a mapped GENERATED ALWAYS AS IDENTITY column
};

// In which order the rows of `batch` stand.
enum class RowOrder {
    any,
    by_key,  // strictly ascending, so that no key is there twice, and nothing has to be sorted out
};

// What the column gets of a row of `batch`: the expression in the column's type.
std::string converted(const MappedColumn& column);

// Can a row of the source get another key here?
bool has_moves(const ApplyShape& shape);

// SELECT of the mapped columns from `batch`, one row of each that the source has (the later one by version and arrival
// wins), ready to be applied.
std::string mapped_rows(const ApplyShape& shape);

// The MERGE that brings the target to what the batch says and touches no row that is already right.
std::string merge_statement(const ApplyShape& shape, RowOrder order = RowOrder::any);

// Before the MERGE, where rows can move: gives the target's rows of which the batch has a version with another key that
// key and all other values, so that they stay the same rows; and deletes or marks, by what identifies them at the
// source, those that were deleted there. Both return how many rows left and came to each `bucket` (SQL over t) as
// `number` writes it: bucket before, whether it was alive, bucket after (NULL: it is gone), count.
std::string move_statement(const ApplyShape& shape, const std::string& bucket,
                           std::string (*number)(const std::string&));
std::string withdraw_statement(const ApplyShape& shape, const std::string& bucket,
                               std::string (*number)(const std::string&));

// INSERT of the batch into a target that was empty when the run began.
std::string insert_statement(const ApplyShape& shape, RowOrder order = RowOrder::any);

// SELECT that evaluates every expression and cast for every row of the batch and writes nothing: it fails on the data
// that the apply statement would fail on before it can write.
std::string check_statement(const ApplyShape& shape);
// The same for one column.
std::string check_statement(const ApplyShape& shape, const MappedColumn& column);

// Counts the rows of the batch that the filter leaves out; empty without one.
std::string filtered_statement(const ApplyShape& shape);

// SELECT of the rows of the batch that hold a value which doesn't survive in its column: the row's number, which of the
// columns it is, and the value as text. Empty where there can't be one.
std::string misfit_statement(const ApplyShape& shape);

// For streams with a source key (see ApplyShape): SELECT of each row of the batch its number, a hash of its key that is
// the same for keys that are the same to the target, that key as text, and the source's key.
std::string origins_statement(const ApplyShape& shape);
// SELECT of the numbers of the rows of the batch whose key a living target row has.
std::string held_rows_statement(const ApplyShape& shape);

// SELECT of the batch's keys as the target has them; its result feeds `seen`.
std::string keys_statement(const ApplyShape& shape);

// Counts, and deletes or marks, the target rows in `scope` (SQL over t; empty: all) whose key isn't in the relation
// `seen`.
std::string count_vanished_statement(const ApplyShape& shape, const std::string& scope);
std::string count_scope_statement(const ApplyShape& shape, const std::string& scope);
// Selects `columns` (SQL over t) of the same rows.
std::string vanished_keys_statement(const ApplyShape& shape, const std::string& scope, const std::string& columns);
std::string delete_vanished_statement(const ApplyShape& shape, const std::string& scope);

// Takes the mark of a soft delete from the target rows in `scope` whose key is in the relation `seen`.
std::string undelete_present_statement(const ApplyShape& shape, const std::string& scope);

// The same row by row, where some of them may be refused. First a SELECT of the rows that the statement would write,
// for the relation `listed`: their number, `key` and `record` (jsonb; SQL over t), and the target's key; rows without a
// whole key aren't among them, and are written by the second statement alone. The third one writes those of `listed`
// with these numbers.
enum class Unseen { vanished, undeleted };
std::string list_statement(const ApplyShape& shape, Unseen which, const std::string& scope, const std::string& key,
                           const std::string& record);
std::string keyless_statement(const ApplyShape& shape, Unseen which, const std::string& scope);
std::string write_listed_statement(const ApplyShape& shape, Unseen which, std::int64_t first, std::int64_t last);
// For the relation `listed` as well: the target's rows in `scope` whose key is one of these records (a JSON array of
// objects by the target's names).
std::string list_by_key_statement(const ApplyShape& shape, const std::string& scope, const std::string& records);
// The target's key as an object (jsonb) by its own names; SQL over t.
std::string target_key(const ApplyShape& shape);

// Counts the rows of the batch, as the target is to have them, by `bucket` (SQL over t, which stands for such a row
// here).
std::string count_source_statement(const ApplyShape& shape, const std::string& bucket,
                                   std::string (*number)(const std::string&));

// Counts the living target rows that the batch deletes because they no longer pass the filter.
std::string count_leaving_statement(const ApplyShape& shape);

// Selects what the batch has otherwise than the target: bucket (SQL over s, the row as it is to be; of a row that is to
// be deleted `held_bucket`, SQL over t), kind (missing, changed, or extra) and key as jsonb. Rows that are unsettled
// are left out, and with `only_keys` those whose key is there.
std::string differences_statement(const ApplyShape& shape, const std::string& bucket, const std::string& held_bucket,
                                  bool only_keys);
// Selects key (jsonb) and whether it is unsettled of each row of the batch.
std::string present_keys_statement(const ApplyShape& shape);
// Selects bucket (SQL over t) and key of the rows that count_vanished_statement() counts.
std::string vanished_rows_statement(const ApplyShape& shape, const std::string& scope, const std::string& bucket);

// SQL over t: the row isn't marked as deleted.
std::string living_condition(const ApplyShape& shape);

// Counts the living target rows that have a key of the batch, by `bucket` (SQL over t) as `number` writes it.
std::string count_matches_statement(const ApplyShape& shape, const std::string& bucket,
                                    std::string (*number)(const std::string&));

// Counts the living target rows in `scope` (SQL over t; empty: all) by `bucket` (SQL over t) as `number` writes it.
std::string count_slices_statement(const ApplyShape& shape, const std::string& bucket,
                                   std::string (*number)(const std::string&), const std::string& scope);

// The relation of all keys that a full read has seen, and its columns k1, k2, …
inline constexpr const char* seen_relation_name = "seen";
// The relation of numbered target rows: insync_row, key, record, and the target's key as k1, k2, …
inline constexpr const char* listed_relation_name = "listed";

}  // namespace insync
