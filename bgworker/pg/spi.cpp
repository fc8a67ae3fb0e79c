// SPI from C++; see spi.hpp.
#include "bgworker/pg/spi.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/plancache.h"
#include "utils/queryenvironment.h"
}

namespace insync::pg {

namespace {

// A result as plain pointers, in SPI's procedure context, until C++ has copied it.
struct PlainRows {
    std::uint64_t processed, rows;
    int columns;
    char** cells;
};

// Only inside pg::call.
PlainRows take_result(int status) {
    if (status < 0) elog(ERROR, "SPI failed: %s", SPI_result_code_string(status));
    PlainRows plain{SPI_processed, 0, 0, nullptr};
    if (SPI_tuptable != nullptr) {
        plain.rows = SPI_tuptable->numvals;
        plain.columns = SPI_tuptable->tupdesc->natts;
        plain.cells = static_cast<char**>(palloc0(sizeof(char*) * (plain.rows * plain.columns + 1)));
        for (std::uint64_t row = 0; row < plain.rows; row++) {
            for (int column = 0; column < plain.columns; column++) {
                plain.cells[row * plain.columns + column] =
                    SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 1);
            }
        }
        SPI_freetuptable(SPI_tuptable);
    }
    return plain;
}

Rows to_rows(const PlainRows& plain) {
    Rows result;
    result.processed = plain.processed;
    result.rows.reserve(plain.rows);
    for (std::uint64_t row = 0; row < plain.rows; row++) {
        auto& values = result.rows.emplace_back();
        for (int column = 0; column < plain.columns; column++) {
            char* cell = plain.cells[row * plain.columns + column];
            if (cell == nullptr) {
                values.emplace_back(std::nullopt);
            } else {
                values.emplace_back(cell);
                pfree(cell);
            }
        }
    }
    pfree(plain.cells);
    return result;
}

}  // namespace

Spi::Spi(bool nonatomic) : exceptions_(std::uncaught_exceptions()) {
    call([&] {
        if (SPI_connect_ext(nonatomic ? SPI_OPT_NONATOMIC : 0) != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    });
}

Spi::~Spi() {
    if (std::uncaught_exceptions() == exceptions_) SPI_finish();
}

Rows query(const std::string& sql, const std::vector<Value>& parameters, Sees sees) {
    int count = static_cast<int>(parameters.size());
    const Value* values = parameters.data();
    const char* text = sql.c_str();
    const OwnStatement statement(text);
    PlainRows plain = call([&] {
        Oid* types = static_cast<Oid*>(palloc(sizeof(Oid) * (count + 1)));
        Datum* datums = static_cast<Datum*>(palloc0(sizeof(Datum) * (count + 1)));
        char* nulls = static_cast<char*>(palloc(count + 1));
        for (int i = 0; i < count; i++) {
            types[i] = TEXTOID;
            nulls[i] = values[i] ? ' ' : 'n';
            if (values[i]) datums[i] = PointerGetDatum(cstring_to_text_with_len(values[i]->data(), values[i]->size()));
        }
        return take_result(SPI_execute_with_args(text, count, types, datums, nulls, sees == Sees::pushed_snapshot, 0));
    });
    return plain.cells != nullptr ? to_rows(plain) : Rows{{}, plain.processed};
}

Plan::Plan(const std::string& sql) : sql_(sql), plan_(nullptr) {
    const char* text = sql_.c_str();
    plan_ = call([&] {
        SPIPlanPtr plan = SPI_prepare(text, 0, nullptr);
        if (plan == nullptr) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
        SPI_keepplan(plan);
        return plan;
    });
}

Plan::~Plan() {
    SPI_freeplan(plan_);
}

std::uint64_t Plan::execute() {
    const OwnStatement statement(sql_.c_str());
    return call([&] {
        PlainRows plain = take_result(SPI_execute_plan(plan_, nullptr, nullptr, false, 0));
        return plain.processed;
    });
}

Rows Plan::fetch() {
    const OwnStatement statement(sql_.c_str());
    PlainRows plain = call([&] { return take_result(SPI_execute_plan(plan_, nullptr, nullptr, false, 0)); });
    return plain.cells != nullptr ? to_rows(plain) : Rows{{}, plain.processed};
}

void Plan::execute_into(Tuplestorestate* store, TupleDesc descriptor) {
    const OwnStatement statement(sql_.c_str());
    call([&] {
        int status = SPI_execute_plan(plan_, nullptr, nullptr, false, 0);
        if (status < 0 || SPI_tuptable == nullptr) elog(ERROR, "SPI failed: %s", SPI_result_code_string(status));
        if (SPI_tuptable->tupdesc->natts != descriptor->natts)
            elog(ERROR, "the result has another shape than expected");
        for (std::uint64_t row = 0; row < SPI_tuptable->numvals; row++)
            tuplestore_puttuple(store, SPI_tuptable->vals[row]);
        SPI_freetuptable(SPI_tuptable);
    });
}

bool Plan::writes_plainly() const {
    const OwnStatement statement(sql_.c_str());
    return call([&] {
        CachedPlan* cached = SPI_plan_get_cached_plan(plan_);
        if (cached == nullptr) return false;  // several statements, as rules make of one
        bool plain = list_length(cached->stmt_list) == 1;
        if (plain) {
            const ::Plan* top = linitial_node(PlannedStmt, cached->stmt_list)->planTree;
            plain = top != nullptr && IsA(top, ModifyTable);
        }
        ReleaseCachedPlan(cached, CurrentResourceOwner);
        return plain;
    });
}

TupleDesc Plan::descriptor() const {
    return call([&] {
        List* sources = SPI_plan_get_plan_sources(plan_);
        auto* source = static_cast<CachedPlanSource*>(linitial(sources));
        if (source->resultDesc == nullptr) elog(ERROR, "the statement returns no rows");
        return CreateTupleDescCopy(source->resultDesc);
    });
}

void register_relation(const char* name, TupleDesc descriptor, Tuplestorestate* store, double estimate) {
    call([&] {
        auto* relation = static_cast<EphemeralNamedRelation>(palloc0(sizeof(EphemeralNamedRelationData)));
        relation->md.name = pstrdup(name);
        relation->md.reliddesc = InvalidOid;
        relation->md.tupdesc = descriptor;
        relation->md.enrtype = ENR_NAMED_TUPLESTORE;
        relation->md.enrtuples = estimate;
        relation->reldata = store;
        int status = SPI_register_relation(relation);
        if (status < 0) elog(ERROR, "could not register relation \"%s\": %s", name, SPI_result_code_string(status));
    });
}

void unregister_relation(const char* name) noexcept {
    insync_free_error(
        insync_try([](void* text) noexcept { (void)SPI_unregister_relation(static_cast<const char*>(text)); },
                   const_cast<char*>(name)));
}

void commit_and_chain() {
    call([] { SPI_commit(); });
}

void rollback_and_chain() {
    call([] { SPI_rollback(); });
}

std::string quote_identifier(const std::string& name) {
    const char* text = name.c_str();
    const char* quoted = call([&] { return ::quote_identifier(text); });
    std::string result = quoted;
    if (quoted != text) pfree(const_cast<char*>(quoted));
    return result;
}

std::string quote_literal(const std::string& text) {
    const char* raw = text.c_str();
    char* quoted = call([&] { return ::quote_literal_cstr(raw); });
    std::string result = quoted;
    pfree(quoted);
    return result;
}

}  // namespace insync::pg
