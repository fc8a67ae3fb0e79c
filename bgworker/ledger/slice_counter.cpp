// Notes of rows, and insync.note(); see slice_counter.hpp.
#include "bgworker/ledger/slice_counter.hpp"

extern "C" {
#include "fmgr.h"
}

namespace insync {

SliceNotes* SliceNotes::current_ = nullptr;

SliceNotes::~SliceNotes() {
    if (current_ == this) current_ = nullptr;
}

void SliceNotes::begin(std::size_t rows) {
    notes_.assign(rows, {});
    current_ = this;
}

void SliceNotes::end(SliceChanges& changes) {
    current_ = nullptr;
    for (const Note& note : notes_) {
        if (note.was) changes[note.before]--;
        if (note.is) changes[note.after]++;
    }
}

void SliceNotes::note(std::int64_t row, bool was, Datum before, bool before_is_null, bool is, Datum after,
                      bool after_is_null) noexcept {
    if (row < 0 || static_cast<std::size_t>(row) >= notes_.size()) return;
    Note& note = notes_[static_cast<std::size_t>(row)];
    note.was = was;
    note.is = is;
    if (was) note.before = before_is_null ? SliceRule::no_time : rule_.bucket_of(before);
    if (is) note.after = after_is_null ? SliceRule::no_time : rule_.bucket_of(after);
}

}  // namespace insync

extern "C" {

// Exported whatever the server's headers say of it.
extern PGDLLEXPORT Datum insync_note(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(insync_note);

// note(row bigint, was boolean, before anyelement, is boolean, after anyelement): always true. Outside an apply
// statement it notes nothing.
Datum insync_note(PG_FUNCTION_ARGS) {
    auto* notes = insync::SliceNotes::current();
    if (notes != nullptr && !PG_ARGISNULL(0) && get_fn_expr_argtype(fcinfo->flinfo, 2) == notes->rule().type()) {
        notes->note(PG_GETARG_INT64(0), !PG_ARGISNULL(1) && PG_GETARG_BOOL(1), PG_GETARG_DATUM(2), PG_ARGISNULL(2),
                    !PG_ARGISNULL(3) && PG_GETARG_BOOL(3), PG_GETARG_DATUM(4), PG_ARGISNULL(4));
    }
    PG_RETURN_BOOL(true);
}
}
