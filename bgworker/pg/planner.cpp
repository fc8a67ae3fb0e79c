// Sets the planner's switches for single statements; see planner.hpp.
#include "bgworker/pg/planner.hpp"

#include "bgworker/pg/guard.hpp"

extern "C" {
#include "optimizer/planner.h"
#include "utils/guc.h"
}

#include <cstring>

namespace insync::pg {

namespace {

planner_hook_type next_planner;
Plans choice = Plans::any;
const char* own;  // nullptr: no statement of ours is run at present, or it is being planned

struct Switch {
    const char* name;
    bool is_on_for_scans;
};
constexpr Switch switches[] = {{"enable_seqscan", true},
                               {"enable_hashjoin", true},
                               {"enable_mergejoin", true},
                               {"enable_material", true},
                               {"jit", false}};

// Below is a part of the C side of the wall: plain calls, and errors pass through. An abort takes the settings back.
PlannedStmt* plan_next(Query* query, const char* text, int options, ParamListInfo parameters) {
    return next_planner != nullptr ? next_planner(query, text, options, parameters)
                                   : standard_planner(query, text, options, parameters);
}

PlannedStmt* plan(Query* query, const char* text, int options, ParamListInfo parameters) {
    if (own == nullptr || choice == Plans::any || text == nullptr || strcmp(text, own) != 0)
        return plan_next(query, text, options, parameters);
    const char* statement = own;
    own = nullptr;  // what the planner evaluates plans its own statements
    const int level = NewGUCNestLevel();
    for (const Switch& item : switches) {
        const bool is_on = choice == Plans::scans && item.is_on_for_scans;
        (void)set_config_option(item.name, is_on ? "on" : "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                                false);
    }
    PlannedStmt* planned = plan_next(query, text, options, parameters);
    AtEOXact_GUC(false, level);
    own = statement;
    return planned;
}

}  // namespace

void install_planner() {
    next_planner = planner_hook;
    planner_hook = plan;
}

PlanChoice::PlanChoice(Plans plans) : before_(choice) {
    choice = plans;
}

PlanChoice::~PlanChoice() {
    choice = before_;
}

OwnStatement::OwnStatement(const char* text) : before_(own) {
    own = text;
}

OwnStatement::~OwnStatement() {
    own = before_;
}

}  // namespace insync::pg
