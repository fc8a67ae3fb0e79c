// The options table towards SQL: the wrappers' validators, and sync_options().
#include "bgworker/options/table.hpp"

#include "bgworker/pg/guard.hpp"

extern "C" {
#include "access/reloptions.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "miscadmin.h"
}

#include "bgworker/catalog/server.hpp"
#include "bgworker/catalog/stream_checks.hpp"
#include "bgworker/options/connection_string.hpp"
#include "bgworker/options/presets.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/pg/guard.hpp"
#include "bgworker/pg/settings.hpp"

using namespace insync;

namespace insync {

void raise_problem(const OptionProblem& problem) {
    throw pg::Error(ERRCODE_FDW_INVALID_OPTION_NAME, problem.message, problem.detail, problem.hint);
}

}  // namespace insync

namespace {

std::string name_of(Where where) {
    return where == Where::mapping ? "user mapping" : "server";
}

// Names of drivers, files and raw connection text decide what code a process of the server loads and opens.
void require_superuser(Where where, Kind kind, const OptionMap& options) {
    if (pg::call([] { return superuser(); })) return;
    for (const Option& option : all_options()) {
        if (!option.superuser_only || !option.applies(where, kind) || !options.contains(option.name)) continue;
        throw pg::Error(
            ERRCODE_INSUFFICIENT_PRIVILEGE,
            "only a superuser may set option \"" + std::string(option.name) + "\" of a " + name_of(where), "",
            "A superuser creates the server; GRANT USAGE ON FOREIGN SERVER ... TO ... lets others make streams on it.");
    }
}

void require_allowed_driver(const OptionMap& options) {
    const ServerOptions parsed(options);
    if (!parsed.driver.is_given || settings::driver_allowed(parsed.driver.text)) return;
    throw driver_not_allowed(parsed.driver.text);
}

// The body of both wrappers' validators.
void check_options(FunctionCallInfo fcinfo, Kind kind) {
    Datum list = PG_GETARG_DATUM(0);
    Oid catalog = PG_GETARG_OID(1);
    Where where = catalog == ForeignServerRelationId ? Where::server
                  : catalog == UserMappingRelationId ? Where::mapping
                                                     : Where::other;
    List* elements = pg::call([&] { return untransformRelOptions(list); });
    OptionMap options;
    for (int i = 0; elements != nullptr && i < elements->length; i++) {
        auto* element = static_cast<DefElem*>(list_nth(elements, i));
        options[element->defname] = pg::call([&] { return defGetString(element); });
    }
    if (where == Where::other && options.empty()) return;
    if (auto problem = check_option_set(where, kind, options)) raise_problem(*problem);
    require_superuser(where, kind, options);
    if (where == Where::server && kind == Kind::odbc) require_allowed_driver(options);
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(insync_odbc_validator);
INSYNC_SQL_FUNCTION(insync_rest_validator);
INSYNC_SQL_FUNCTION(sync_options);
INSYNC_SQL_FUNCTION(sync_presets);

Datum insync_odbc_validator(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        check_options(fcinfo, Kind::odbc);
        return Datum(0);
    });
}

Datum insync_rest_validator(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        check_options(fcinfo, Kind::rest);
        return Datum(0);
    });
}

Datum sync_options(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        ResultSet result(fcinfo);
        for (const Option& option : all_options()) {
            result.add({std::string(option.name), type_text(option),
                        option.default_text.empty() ? pg::Value() : pg::Value(option.default_text),
                        applies_to_text(option), std::string(option.description)});
        }
        return Datum(0);
    });
}

Datum sync_presets(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        ResultSet result(fcinfo);
        for (const PresetRow& row : preset_rows())
            result.add({std::string(row.preset), std::string(row.option), std::string(row.value)});
        return Datum(0);
    });
}
}
