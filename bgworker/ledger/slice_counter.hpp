// Which rows came to and went from which slice, noted by the apply statement itself while it runs.
//
// MERGE tells nobody what it did to which row (RETURNING came with PostgreSQL 17, its old values with 18), and to join
// the batch with the target before and after would cost as much as the MERGE. So each of its actions carries, as the
// last condition, a call of insync.note(): it is evaluated for the rows that the action is taken for, once more where a
// row has changed meanwhile and the action is chosen anew; the last note of a row of the batch is the one that counts.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "bgworker/ledger/slicer.hpp"

namespace insync {

// Rows that came (positive) or went, by bucket; also such as balance out, whose slice was touched all the same.
using SliceChanges = std::map<Timestamp, std::int64_t>;

// Takes the notes of one statement at a time of this backend.
class SliceNotes {
  public:
    explicit SliceNotes(SliceRule rule) : rule_(rule) {}
    ~SliceNotes();
    SliceNotes(const SliceNotes&) = delete;
    SliceNotes& operator=(const SliceNotes&) = delete;

    SliceRule& rule() { return rule_; }

    // From here on notes of rows 0 … rows - 1 are taken; what was noted before is forgotten.
    void begin(std::size_t rows);
    // No more notes. Adds what was noted to `changes`.
    void end(SliceChanges& changes);
    // No more notes, and none of them counts: what the statement did was undone.
    void cancel() { current_ = nullptr; }

    // For insync.note(): a row of the batch is in the target before and after, or not, with these values.
    void note(std::int64_t row, bool was, Datum before, bool before_is_null, bool is, Datum after,
              bool after_is_null) noexcept;
    // The one that takes notes now; nullptr: none does.
    static SliceNotes* current() { return current_; }

  private:
    struct Note {
        bool was = false, is = false;
        Timestamp before = 0, after = 0;
    };
    static SliceNotes* current_;
    SliceRule rule_;
    std::vector<Note> notes_;
};

}  // namespace insync
