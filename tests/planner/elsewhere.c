/* An extension of the kind that keeps the rows of a table in another one, for tests: its planner leads each statement
 * about a table whose name begins with one of these words, and which has a neighbour NAME_chunk of the same columns, to
 * that one.
 *
 *   hyper…   all statements; a CustomScan stands on top of those that write, as TimescaleDB has it
 *   packed…  the same, and MERGE is refused, as for compressed hypertables
 *   lost…    statements that write, and nothing tells: what was written is found by no query
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/extensible.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

PG_MODULE_MAGIC;

void _PG_init(void);

static planner_hook_type next_planner;

typedef struct {
    CmdType command;
    bool is_led;
} Leading;

static bool begins_with(const char* name, const char* word) {
    return strncmp(name, word, strlen(word)) == 0;
}

static Oid chunk_of(Oid relation, CmdType command) {
    char* name = get_rel_name(relation);

    if (name == NULL) return InvalidOid;
    if (!begins_with(name, "hyper") && !begins_with(name, "packed") &&
        !(begins_with(name, "lost") && command != CMD_SELECT))
        return InvalidOid;
    return get_relname_relid(psprintf("%s_chunk", name), get_rel_namespace(relation));
}

static bool lead(Node* node, void* context) {
    Leading* leading = context;

    if (node == NULL) return false;
    if (IsA(node, RangeTblEntry)) {
        RangeTblEntry* entry = (RangeTblEntry*)node;
        Oid chunk = entry->rtekind == RTE_RELATION ? chunk_of(entry->relid, leading->command) : InvalidOid;

        if (OidIsValid(chunk)) {
            if (leading->command == CMD_MERGE && begins_with(get_rel_name(entry->relid), "packed"))
                ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("packed tables know no MERGE")));
            LockRelationOid(chunk, entry->rellockmode);
            entry->relid = chunk;
            leading->is_led = true;
        }
        return false;
    }
    if (IsA(node, Query)) {
#if PG_VERSION_NUM >= 160000
        ListCell* cell;

        foreach (cell, ((Query*)node)->rteperminfos) {
            RTEPermissionInfo* info = lfirst(cell);
            Oid chunk = chunk_of(info->relid, leading->command);

            if (OidIsValid(chunk)) info->relid = chunk;
        }
#endif
        return query_tree_walker((Query*)node, lead, context, QTW_EXAMINE_RTES_BEFORE);
    }
    return expression_tree_walker(node, lead, context);
}

static void begin(CustomScanState* node, EState* estate, int flags) {
    CustomScan* scan = (CustomScan*)node->ss.ps.plan;

    node->custom_ps = list_make1(ExecInitNode(linitial(scan->custom_plans), estate, flags));
}

static TupleTableSlot* next(CustomScanState* node) {
    return ExecProcNode(linitial(node->custom_ps));
}

static void end(CustomScanState* node) {
    ExecEndNode(linitial(node->custom_ps));
}

static void rescan(CustomScanState* node) {
    ExecReScan(linitial(node->custom_ps));
}

static const CustomExecMethods execute_methods = {.CustomName = "Elsewhere",
                                                  .BeginCustomScan = begin,
                                                  .ExecCustomScan = next,
                                                  .EndCustomScan = end,
                                                  .ReScanCustomScan = rescan};

static Node* make_state(CustomScan* scan) {
    CustomScanState* state = (CustomScanState*)newNode(sizeof(CustomScanState), T_CustomScanState);

    state->methods = &execute_methods;
    return (Node*)state;
}

static const CustomScanMethods scan_methods = {.CustomName = "Elsewhere", .CreateCustomScanState = make_state};

static PlannedStmt* plan(Query* query, const char* text, int options, ParamListInfo parameters) {
    Leading leading = {query->commandType, false};
    PlannedStmt* planned;
    CustomScan* top;
    bool is_hidden = false;

    if (query->resultRelation != 0 && query->commandType != CMD_UTILITY)
        is_hidden = begins_with(get_rel_name(rt_fetch(query->resultRelation, query->rtable)->relid), "lost");
    lead((Node*)query, &leading);
    planned = next_planner ? next_planner(query, text, options, parameters)
                           : standard_planner(query, text, options, parameters);
    if (!leading.is_led || is_hidden || !IsA(planned->planTree, ModifyTable)) return planned;
    top = makeNode(CustomScan);
    top->scan.plan = *planned->planTree;
    top->scan.plan.type = T_CustomScan;
    top->scan.plan.lefttree = NULL;
    top->scan.plan.righttree = NULL;
    top->scan.plan.initPlan = NIL;
    top->custom_plans = list_make1(planned->planTree);
    top->methods = &scan_methods;
    planned->planTree = (Plan*)top;
    return planned;
}

void _PG_init(void) {
    next_planner = planner_hook;
    planner_hook = plan;
    RegisterCustomScanMethods(&scan_methods);
}
