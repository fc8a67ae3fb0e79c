// Checks stream options; see stream_checks.hpp.
#include "bgworker/catalog/stream_checks.hpp"

extern "C" {
#include "postgres.h"

#include "pgtime.h"
}

#include "bgworker/clock/schedule.hpp"
#include "bgworker/clock/zone_name.hpp"
#include "bgworker/pg/guard.hpp"

namespace insync {

namespace {

void check_zone(const Text& option) {
    if (!option.is_given) return;
    const std::string &zone = option.text, name(option.name);
    if (const auto problem = zone_problem(zone))
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                        "time zone \"" + zone + "\" in option " + name + " is ambiguous", problem->detail,
                        problem->hint);
    const std::string known = server_zone(zone);
    const char* text = known.c_str();
    if (pg::call([&] { return pg_tzset(text) != nullptr; })) return;
    throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "time zone \"" + zone + "\" in option " + name + " does not exist",
                    "", "SELECT name FROM pg_timezone_names lists them.");
}

}  // namespace

void check_stream_options(const nlohmann::json& options, Kind kind) {
    if (!options.is_object())
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "options must be a JSON object", "",
                        "For example '{\"lookback\": \"1 hour\"}'.");
    OptionMap map;
    for (const auto& [name, value] : options.items())
        map[name] = value.is_string() ? value.get<std::string>() : value.dump();
    if (auto problem = check_option_set(Where::stream, kind, map)) raise_problem(*problem);
    const StreamOptions parsed(options);
    for (const Text* zone : {&parsed.time_zone, &parsed.source_time_zone, &parsed.slice_time_zone}) check_zone(*zone);
    if (parsed.verify_schedule.is_given) check_schedule(parsed.verify_schedule.text);
}

void check_schedule(const std::string& schedule) {
    auto parsed = parse_schedule(schedule);
    // A number alone is understood where there are such schedules, but it may have been meant as anything.
    const bool has_unit = trim(schedule).find_first_not_of("0123456789.") != std::string_view::npos;
    if (parsed && !has_unit) {
        const std::string number(trim(schedule));
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "invalid schedule " + quote_for_message(schedule),
                        "A number alone has no unit of time.",
                        "Write '" + number + " minutes', or '" + number + " seconds' if those are meant.");
    }
    if (parsed) return;
    throw pg::Error(
        ERRCODE_INVALID_PARAMETER_VALUE, "invalid schedule " + quote_for_message(schedule), parsed.error,
        "A schedule is an interval, such as '10 minutes', or a cron expression, such as '*/15 8-20 * * 1-6'.");
}

std::vector<std::string> parse_name_list(const std::string& text) {
    std::string_view rest = trim(text);
    if (rest.size() >= 2 && rest.front() == '{' && rest.back() == '}') rest = rest.substr(1, rest.size() - 2);
    std::vector<std::string> names;
    std::string name;
    bool quoted = false, any = false;
    auto finish = [&] {
        std::string item = any ? name : std::string(trim(name));
        if (item.empty())
            throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "invalid list of columns " + quote_for_message(text), "",
                            "Write it as 'a' or 'a, b'.");
        names.push_back(item);
        name.clear();
        any = false;
    };
    for (std::size_t i = 0; i < rest.size(); i++) {
        char c = rest[i];
        if (c == '"' && quoted && i + 1 < rest.size() && rest[i + 1] == '"') {
            name += '"';
            i++;
        } else if (c == '"') {
            if (!quoted && !any) name.clear();
            quoted = !quoted;
            any = true;
        } else if (c == ',' && !quoted) {
            finish();
        } else if (quoted || !any) {
            name += c;
        }
    }
    if (quoted)
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "unterminated quoted name in " + quote_for_message(text));
    finish();
    return names;
}

}  // namespace insync
