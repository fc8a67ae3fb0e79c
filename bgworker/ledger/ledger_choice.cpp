// Looks at the data of date and time columns; see ledger_choice.hpp.
#include "bgworker/ledger/ledger_choice.hpp"

extern "C" {
#include "utils/timestamp.h"
}

#include <algorithm>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/ledger/ledger.hpp"
#include "bgworker/ledger/ledgers.hpp"
#include "bgworker/ledger/slices.hpp"
#include "bgworker/options/expression_words.hpp"
#include "bgworker/pg/as_of.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/pg/time_zone.hpp"
#include "bgworker/target/owned_rows.hpp"
#include "bgworker/target/shape.hpp"

namespace insync {

namespace {

// Of so many of the newest rows it is seen whether their times follow their keys.
constexpr const char* rows_to_compare = "100000";
constexpr std::int64_t disorder_share = 50;  // one of so many rows may be out of order

struct Known {
    Ledger ledger;
    bool is_judged = false, is_steady = false;
    std::int64_t moved = 0;
};

std::optional<Known> load_known(int stream_id) {
    auto ledger = Ledgers::load(stream_id);
    if (!ledger || !ledger->complete) return std::nullopt;
    Bookkeeping bookkeeping;
    auto row = pg::query("SELECT l.steady, l.moved FROM insync.ledger AS l WHERE l.stream_id = $1::integer",
                         {std::to_string(stream_id)});
    return Known{*ledger, row.first()[0].has_value(), row.first()[0] == "t", std::stoll(*row.first()[1])};
}

// The rows of each slice, as wall time, and of none.
struct Counted {
    Series series;
    std::int64_t without_time = 0, rows = 0;
};

Counted series_of(const SliceChanges& slices, const Ledger& ledger) {
    Counted counted;
    counted.series.unit = ledger.unit;
    const std::int64_t now_us = judged_now_us();
    counted.series.now = now_us + offset_at(now_us, clock_of(ledger.zone));
    for (const auto& [bucket, rows] : slices) {
        counted.rows += rows;
        const bool is_finite = !TIMESTAMP_NOT_FINITE(bucket);
        if (!is_finite) {
            counted.without_time += rows;
        } else if (to_unix_us(bucket) <= latest_wall && to_unix_us(bucket) >= earliest_wall) {
            Slice slice;
            slice.begin = to_unix_us(bucket), slice.rows = rows;
            counted.series.slices.push_back(slice);
        }
    }
    return counted;
}

SliceChanges load_counts(int stream_id) {
    Bookkeeping bookkeeping;
    SliceChanges slices;
    for (const auto& row : pg::query("SELECT " + bucket_number("s.bucket") +
                                         ", s.rows FROM insync.slice AS s WHERE s.stream_id = $1::integer",
                                     {std::to_string(stream_id)})
                               .rows)
        slices[std::stoll(*row[0])] = std::stoll(*row[1]);
    return slices;
}

// What the owner's target says; its members run SQL as the owner.
class OwnersTarget {
  public:
    explicit OwnersTarget(const Stream& stream)
        : stream_(stream), is_shared_(target_is_shared(stream)), scope_(stream.owner_oid) {
        auto target = describe_target(stream.target_schema, stream.target_table);
        if (!target) throw pg::Error(ERRCODE_UNDEFINED_TABLE, "the target is gone");
        target_ = *target;
        shape_ = build_shape(stream, stream.source_columns, target_);
        rows_ = stream_scope(shape_, stream.source_columns);
    }

    // Nothing tells the stream's rows from others'.
    bool cannot_count() const { return is_shared_ && rows_.empty(); }
    std::vector<Ledger> possible() const { return possible_ledgers(stream_, target_, shape_); }

    SliceChanges count(const Ledger& ledger) const {
        SliceChanges slices;
        for (const auto& row : pg::query(count_slices_statement(shape_, bucket_of(ledger), bucket_number, rows_)).rows)
            slices[std::stoll(*row[0])] = std::stoll(*row[1]);
        return slices;
    }

    // Do later times go with higher keys, as those of rows that are written once do? Unknown where keys aren't numbers:
    // then, yes.
    bool follows_key(const Ledger& ledger) const {
        std::string keys, reversed;
        for (const auto& column : shape_.columns) {
            if (!column.key || is_constant(column.expression, stream_.source_columns)) continue;
            if (column.base_type != "smallint" && column.base_type != "integer" && column.base_type != "bigint" &&
                column.base_type != "numeric")
                return true;
            keys += (keys.empty() ? "t." : ", t.") + column.name;
            reversed += (reversed.empty() ? "t." : ", t.") + column.name + " DESC";
        }
        if (keys.empty()) return true;
        auto row = pg::query(
            "SELECT count(*) FILTER (WHERE x.bucket < x.previous), count(*) FROM (SELECT t.bucket, "
            "lag(t.bucket) OVER (ORDER BY " +
            keys + ") AS previous FROM (SELECT t.*, " + bucket_of(ledger) + " AS bucket FROM " + shape_.target +
            " AS t WHERE " + (rows_.empty() ? "true" : rows_) + " ORDER BY " + reversed + " LIMIT " + rows_to_compare +
            ") AS t) AS x");
        return std::stoll(*row.first()[0]) * disorder_share <= std::stoll(*row.first()[1]);
    }

  private:
    std::string bucket_of(const Ledger& ledger) const {
        const TargetColumn& column = *target_.find(ledger.column);
        return bucket_expression(ledger, column.base_type, "t." + pg::quote_identifier(column.name));
    }

    const Stream& stream_;
    bool is_shared_;
    pg::OwnerScope scope_;
    Target target_;
    ApplyShape shape_;
    std::string rows_;
};

Steadiness changes_with_its_rows(const std::string& how) {
    return {Steadiness::Kind::unsteady, "it is the time of the last change, as " + how};
}

struct Choice {
    Ledger ledger;
    SliceChanges counts;
    Steadiness found;
};

// The steadiest of the other columns.
std::optional<Choice> find_another(const Stream& stream, const std::string& known) {
    OwnersTarget target(stream);
    if (target.cannot_count()) return std::nullopt;
    std::optional<Choice> best;
    for (const Ledger& ledger : target.possible()) {
        if (ledger.column == known) continue;
        Choice choice{ledger, target.count(ledger), {}};
        const Counted counted = series_of(choice.counts, ledger);
        choice.found = judge_steadiness(counted.series, counted.without_time);
        if (choice.found.kind != Steadiness::Kind::steady) continue;
        if (best && best->found.empty <= choice.found.empty) continue;
        if (is_filled_by_watermark(stream, ledger.column) && !target.follows_key(ledger)) continue;
        best = std::move(choice);
    }
    return best;
}

Steadiness judge_known(const Stream& stream, const Known& known) {
    const Counted counted = series_of(load_counts(stream.id), known.ledger);
    const bool is_watermark = is_filled_by_watermark(stream, known.ledger.column);
    if (moves_too_much(known.moved, counted.rows, is_watermark)) {
        if (is_watermark) return changes_with_its_rows("rows that change move to another one");
        return {Steadiness::Kind::unsteady, std::to_string(known.moved) + " rows were moved to another one"};
    }
    if (known.is_steady) return {};  // what is lost later doesn't make it unsteady
    Steadiness found = judge_steadiness(counted.series, counted.without_time);
    if (found.kind == Steadiness::Kind::steady && is_watermark && !OwnersTarget(stream).follows_key(known.ledger))
        return changes_with_its_rows("later ones do not go with higher keys");
    return found;
}

void judge(const Stream& stream, const Known& known) {
    const Steadiness found = judge_known(stream, known);
    if (found.kind == Steadiness::Kind::too_few) return;
    if (found.kind == Steadiness::Kind::steady) return Ledgers::note_steadiness(stream.id, found, judged_now_us());
    // From here on nobody adds to the ledger, so that what is counted is what there is.
    Ledgers::lock(stream.id);
    const auto another = find_another(stream, known.ledger.column);
    if (!another) return Ledgers::note_steadiness(stream.id, found, judged_now_us());
    replace_ledger(stream.id, another->ledger);
    (void)Slices::add(stream.id, another->ledger, another->counts, "");
    Ledgers::note_steadiness(stream.id, another->found, judged_now_us());
}

}  // namespace

bool is_filled_by_watermark(const Stream& stream, const std::string& column) {
    std::string field = column;
    if (stream.options.columns.value.contains(column))
        field = stream.options.columns.value.at(column).get<std::string>();
    return std::any_of(stream.watermark.begin(), stream.watermark.end(), [&](const std::string& name) {
        return fold_name(name) == column || fold_name(name) == field || name == field;
    });
}

void judge_ledger(const Stream& stream, bool again) {
    if (!stream.options.slice_column.text.empty()) return;
    const auto known = load_known(stream.id);
    if (!known) return;
    const bool is_done = known->is_steady ? known->moved == 0 : known->is_judged && !again;
    if (is_done) return;
    pg::Subtransaction subtransaction;
    try {
        judge(stream, *known);
        subtransaction.commit();
    } catch (const pg::Error& error) {
        if (error.is_interrupt()) throw;
        subtransaction.rollback();
        Ledgers::note_steadiness(stream.id, {Steadiness::Kind::unsteady, "it cannot be examined: " + error.message},
                                 judged_now_us());
    }
}

}  // namespace insync
