// The options table towards SQL: the wrapper's validator, and sync_options().
#include "extension/options.hpp"

#include "extension/pg/guard.hpp"

extern "C" {
#include "access/reloptions.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "miscadmin.h"
}

#include "extension/connection_string.hpp"
#include "extension/pg/guard.hpp"
#include "extension/result_set.hpp"
#include "extension/settings.hpp"
#include "extension/stream_options.hpp"

using namespace insync;

namespace insync {

void raise_problem(const OptionProblem& problem) {
    throw pg::Error(ERRCODE_FDW_INVALID_OPTION_NAME, problem.message, problem.detail, problem.hint);
}

}  // namespace insync

namespace {

// Names of drivers, files and raw connection text decide what code a process of the server loads and opens.
void require_superuser(const OptionMap& options) {
    if (pg::call([] { return superuser(); })) return;
    for (const auto& [name, value] : options) {
        const Option* option = find_option(Where::server, name);
        if (option != nullptr && option->superuser_only) {
            throw pg::Error(
                ERRCODE_INSUFFICIENT_PRIVILEGE, "only a superuser may set option \"" + name + "\" of a server", "",
                "A superuser creates the server; GRANT USAGE ON FOREIGN SERVER … TO … lets others make streams on it.");
        }
    }
}

void require_allowed_driver(const OptionMap& options) {
    auto found = options.find("driver");
    if (found == options.end() || settings::driver_allowed(found->second)) return;
    throw pg::Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "ODBC driver \"" + found->second + "\" is not allowed",
                    "The allowed drivers are: " + settings::odbc_drivers() + ".",
                    "A superuser can add it to the setting insync.odbc_drivers.");
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(insync_odbc_validator);
INSYNC_SQL_FUNCTION(sync_options);

Datum insync_odbc_validator(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
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
        if (where == Where::other && options.empty()) return Datum(0);
        if (auto problem = check_option_set(where, Kind::odbc, options)) raise_problem(*problem);
        if (where == Where::server) {
            require_superuser(options);
            require_allowed_driver(options);
        }
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
}
