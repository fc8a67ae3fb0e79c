// Adds a trigger in memory; see same_rows.hpp.
#include "bgworker/target/same_rows.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "pgstat.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
}

namespace insync {

namespace {

// The columns that the statement's UPDATE sets, of one of its relations.
Bitmapset* assigned_columns(const ModifyTable* plan, int relation) {
    Bitmapset* columns = nullptr;
    ListCell *action, *number;
    foreach (action, static_cast<List*>(list_nth(plan->mergeActionLists, relation))) {
        auto* merge = static_cast<MergeAction*>(lfirst(action));
        foreach (number, merge->updateColnos) columns = bms_add_member(columns, lfirst_int(number));
    }
    return columns;
}

// That the row was touched is no change of it: a time of now, in a column that is nobody's but the trigger's.
bool is_touch(Form_pg_attribute column, const Bitmapset* assigned, Datum after) {
    return column->atttypid == TIMESTAMPTZOID && !bms_is_member(column->attnum, assigned) &&
           DatumGetTimestampTz(after) == GetCurrentTransactionStartTimestamp();
}

bool is_same(const TriggerData* data, const Bitmapset* assigned) {
    TupleDesc descriptor = RelationGetDescr(data->tg_relation);
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(descriptor, i);
        // Generated columns are computed of the others, and later.
        if (column->attisdropped || column->attgenerated != '\0') continue;
        bool old_is_null, new_is_null;
        Datum before = heap_getattr(data->tg_trigtuple, i + 1, descriptor, &old_is_null);
        Datum after = heap_getattr(data->tg_newtuple, i + 1, descriptor, &new_is_null);
        if (!new_is_null && is_touch(column, assigned, after)) continue;
        if (old_is_null != new_is_null) return false;
        if (!old_is_null && !datum_image_eq(before, after, column->attbyval, column->attlen)) return false;
    }
    return true;
}

// A trigger function: NULL has the row left alone.
Datum skip_same(FunctionCallInfo call) {
    auto* data = reinterpret_cast<TriggerData*>(call->context);
    return PointerGetDatum(is_same(data, static_cast<Bitmapset*>(call->flinfo->fn_extra)) ? nullptr
                                                                                          : data->tg_newtuple);
}

template <typename Item>
Item* one_more(const Item* items, int count) {
    auto* more = static_cast<Item*>(palloc0(sizeof(Item) * (count + 1)));
    if (items != nullptr) memcpy(static_cast<void*>(more), items, sizeof(Item) * count);
    return more;
}

}  // namespace

void leave_same_rows_alone(ModifyTableState* merge) {
    MemoryContext outer = MemoryContextSwitchTo(merge->ps.state->es_query_cxt);
    for (int i = 0; i < merge->mt_nrels; i++) {
        ResultRelInfo* relation = &merge->resultRelInfo[i];
        TriggerDesc* triggers = relation->ri_TrigDesc;  // this query's own copy
        if (triggers == nullptr || !triggers->trig_update_before_row || relation->ri_TrigInstrument != nullptr)
            continue;
        const int count = triggers->numtriggers;
        triggers->triggers = one_more(triggers->triggers, count);
        relation->ri_TrigFunctions = one_more(relation->ri_TrigFunctions, count);
        relation->ri_TrigWhenExprs = one_more(relation->ri_TrigWhenExprs, count);
        triggers->numtriggers = count + 1;
        Trigger& last = triggers->triggers[count];
        last.tgname = pstrdup("insync_same_row");
        last.tgfoid = F_SUPPRESS_REDUNDANT_UPDATES_TRIGGER;
        last.tgtype = TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE;
        last.tgenabled = TRIGGER_FIRES_ALWAYS;
        // Known already, so that PostgreSQL doesn't look its own function up, which compares toasted values as they
        // lie.
        FmgrInfo& function = relation->ri_TrigFunctions[count];
        function.fn_addr = skip_same;
        function.fn_oid = F_SUPPRESS_REDUNDANT_UPDATES_TRIGGER;
        function.fn_stats = TRACK_FUNC_ALL;  // nothing to count
        function.fn_mcxt = CurrentMemoryContext;
        function.fn_extra = assigned_columns(castNode(ModifyTable, merge->ps.plan), i);
    }
    MemoryContextSwitchTo(outer);
}

}  // namespace insync
