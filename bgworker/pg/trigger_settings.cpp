// Changes settings around triggers; see trigger_settings.hpp.
#include "bgworker/pg/trigger_settings.hpp"

#include "bgworker/pg/spi.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace insync {

namespace {

needs_fmgr_hook_type next_needs;
fmgr_hook_type next_hook;
const TriggerSettings* current;  // nullptr: nothing is applied at present
bool inside;                     // a trigger, whose settings those that it fires have as well

// What is kept of a function while its caller's query lasts. Below are parts of the C side of the wall: plain calls,
// and errors pass through.
struct Call {
    Datum next_argument;
    bool is_known, is_trigger, has_config, is_switched;
    int level;
    uint32 own_config;  // settings that the function sets for itself, by their place in TriggerSettings
};

bool is_users_trigger(Oid function) {
    return function >= FirstNormalObjectId && get_func_rettype(function) == TRIGGEROID;
}

bool needs_hook(Oid function) {
    if (next_needs != nullptr && next_needs(function)) return true;
    return current != nullptr && !inside && is_users_trigger(function);
}

void look_at(Call& call, Oid function) {
    call.is_known = true;
    call.is_trigger = is_users_trigger(function);
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple)) return;
    bool is_null = true;
    Datum config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &is_null);
    if (!is_null) {
        call.has_config = true;
        Datum* items;
        int count;
        deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false, TYPALIGN_INT, &items, nullptr, &count);
        for (int i = 0; i < count; i++) {
            char* item = TextDatumGetCString(items[i]);
            if (char* equals = strchr(item, '=')) *equals = '\0';
            for (std::size_t at = 0; at < current->size(); at++) {
                if (pg_strcasecmp(item, (*current)[at].name) == 0) call.own_config |= 1U << at;
            }
        }
    }
    ReleaseSysCache(tuple);
}

void set(const char* name, const char* value, GucAction action) {
    (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, action, true, WARNING, false);
}

void enter(Call& call, Oid function) {
    if (!call.is_known) look_at(call, function);
    if (!call.is_trigger) return;
    call.is_switched = inside = true;
    // What the function sets for itself has a level already, which ends before this hook is called again.
    if (!call.has_config) call.level = NewGUCNestLevel();
    for (std::size_t at = 0; at < current->size(); at++) {
        const TriggerSetting& setting = (*current)[at];
        if (setting.differs && !(call.own_config & (1U << at))) set(setting.name, setting.own.c_str(), GUC_ACTION_SAVE);
    }
}

void leave(Call& call) {
    call.is_switched = inside = false;
    if (!call.has_config) AtEOXact_GUC(true, call.level);
    if (current == nullptr) return;
    // The statement goes on as it began, whatever the function has SET.
    for (const TriggerSetting& setting : *current) {
        const char* now = GetConfigOption(setting.name, true, false);
        if (now == nullptr || setting.pinned != now) set(setting.name, setting.pinned.c_str(), GUC_ACTION_SET);
    }
}

void on_function(FmgrHookEventType event, FmgrInfo* function, Datum* argument) {
    auto* call = reinterpret_cast<Call*>(DatumGetPointer(*argument));
    if (call == nullptr) {
        call = static_cast<Call*>(MemoryContextAllocZero(function->fn_mcxt, sizeof(Call)));
        *argument = PointerGetDatum(call);
    }
    if (event == FHET_START && current != nullptr && !inside) enter(*call, function->fn_oid);
    if (event == FHET_END && call->is_switched) leave(*call);
    // The settings go back with the subtransaction that is going to abort.
    if (event == FHET_ABORT && call->is_switched) call->is_switched = inside = false;
    if (next_hook != nullptr) next_hook(event, function, &call->next_argument);
}

// The role's own settings for this database, for all; the database's; those of all roles.
constexpr const char* login_settings = R"(
SELECT DISTINCT ON (x.name) x.name, pg_catalog.substr(x.item, pg_catalog.strpos(x.item, '=') + 1)
  FROM (SELECT pg_catalog.lower(pg_catalog.split_part(i.item, '=', 1)) AS name, i.item, s.setrole, s.setdatabase
          FROM pg_catalog.pg_db_role_setting AS s, pg_catalog.unnest(s.setconfig) AS i (item)
         WHERE s.setrole IN (0, $1::pg_catalog.oid)
           AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))) AS x
 ORDER BY x.name, x.setrole <> 0 DESC, x.setdatabase <> 0 DESC)";

}  // namespace

void install_trigger_settings() {
    next_needs = needs_fmgr_hook;
    needs_fmgr_hook = needs_hook;
    next_hook = fmgr_hook;
    fmgr_hook = on_function;
}

std::unique_ptr<TriggerSettings> trigger_settings(Oid role) {
    auto settings = std::make_unique<TriggerSettings>();
    const auto at_login = pg::query(login_settings, {std::to_string(role)});
    for (const char* name : pg::pinned_settings()) {
        const char* now = pg::call([&] { return pstrdup(GetConfigOption(name, false, false)); });
        const char* reset = pg::call([&] { return pstrdup(GetConfigOptionResetString(name)); });
        TriggerSetting setting{name, now, reset};
        for (const auto& row : at_login.rows) {
            if (pg_strcasecmp(row[0]->c_str(), name) == 0) setting.own = *row[1];
        }
        // Where the path doesn't have it, the session's temporary tables would come first of all.
        if (strcmp(name, "search_path") == 0 && setting.own.find("pg_temp") == std::string::npos)
            setting.own += setting.own.empty() ? "pg_temp" : ", pg_temp";
        setting.differs = setting.own != setting.pinned;
        settings->push_back(std::move(setting));
    }
    return settings;
}

TriggersAsOwner::TriggersAsOwner(const TriggerSettings& settings) : before_(current), was_inside_(inside) {
    current = &settings;
    inside = false;
}

TriggersAsOwner::~TriggersAsOwner() {
    current = before_;
    inside = was_inside_;
}

}  // namespace insync
