// The table of options is sound, and what is wrong with an option or a set of them is said in PostgreSQL's style.
#include "bgworker/options/table.hpp"

#include <gtest/gtest.h>

#include <cctype>
#include <set>

#include "bgworker/options/presets.hpp"

namespace insync {
namespace {

OptionProblem problem(Where where, std::string_view name, std::string_view value) {
    auto found = check_option(where, Kind::odbc, name, value);
    return found ? *found : OptionProblem{"no problem", "", ""};
}

OptionProblem set_problem(Where where, const OptionMap& options) {
    auto found = check_option_set(where, Kind::odbc, options);
    return found ? *found : OptionProblem{"no problem", "", ""};
}

std::string all_of(const OptionProblem& problem) {
    return problem.message + "|" + problem.detail + "|" + problem.hint;
}

// The table

TEST(OptionTable, NamesAreUnique) {
    std::set<std::string_view> names;
    for (const Option& option : all_options()) {
        EXPECT_TRUE(names.insert(option.name).second) << option.name;
    }
}

TEST(OptionTable, EveryOptionAppliesSomewhereAndIsDescribedInOneSentence) {
    for (const Option& option : all_options()) {
        EXPECT_NE(option.where, 0u) << option.name;
        EXPECT_NE(option.kinds, 0u) << option.name;
        ASSERT_GT(option.description.size(), 10u) << option.name;
        EXPECT_EQ(option.description.back(), '.') << option.name;
        EXPECT_EQ(option.description.find(". "), std::string_view::npos) << option.name;
        EXPECT_NE(type_text(option), "") << option.name;
        EXPECT_NE(applies_to_text(option), "") << option.name;
    }
}

TEST(OptionTable, EveryDefaultIsAValidValue) {
    for (const Option& option : all_options()) {
        if (option.default_text.empty()) continue;
        for (Where where : {Where::server, Where::mapping, Where::stream}) {
            for (Kind kind : {Kind::odbc, Kind::rest}) {
                if (!option.applies(where, kind)) continue;
                const auto found = check_option(where, kind, option.name, option.default_text);
                EXPECT_FALSE(found) << option.name << ": " << found->detail;
            }
        }
    }
}

TEST(OptionTable, OnlyEnumerationsHaveValues) {
    for (const Option& option : all_options()) {
        EXPECT_EQ(option.type == ValueType::enumeration, !option.values.empty()) << option.name;
        EXPECT_LE(option.min, option.max) << option.name;
    }
}

TEST(OptionTable, WhatNamesADriverNeedsASuperuser) {
    for (const char* name : {"driver", "dsn", "connection_string", "driver_options"}) {
        EXPECT_TRUE(find_option(Where::server, name)->superuser_only) << name;
    }
}

TEST(OptionTable, FindsByPlaceAndName) {
    EXPECT_EQ(find_option(Where::server, "host")->name, "host");
    EXPECT_EQ(find_option(Where::stream, "host"), nullptr);
    EXPECT_EQ(find_option(Where::server, "Host"), nullptr);
    EXPECT_EQ(find_option(Where::server, "query_timeout"), find_option(Where::stream, "query_timeout"));
    EXPECT_EQ(find_option(Where::other, "host"), nullptr);
}

TEST(OptionTable, ShowsTypesWithTheirLimits) {
    EXPECT_EQ(type_text(*find_option(Where::server, "port")), "integer (1 to 65535)");
    EXPECT_EQ(type_text(*find_option(Where::server, "connect_timeout")), "duration (1 second to 1 hour)");
    EXPECT_EQ(type_text(*find_option(Where::stream, "batch_bytes")), "size (64 kB to 1 GB)");
    EXPECT_EQ(type_text(*find_option(Where::stream, "mode")), "auto, incremental or full");
    EXPECT_EQ(applies_to_text(*find_option(Where::stream, "query_timeout")), "server, stream (ODBC)");
    EXPECT_EQ(applies_to_text(*find_option(Where::stream, "rows_path")), "server, stream (REST)");
    EXPECT_EQ(applies_to_text(*find_option(Where::mapping, "user")), "user mapping");
}

// Names

TEST(OptionName, SuggestsANearMiss) {
    auto found = problem(Where::server, "drivr", "x");
    EXPECT_EQ(found.message, "invalid option \"drivr\"");
    EXPECT_EQ(found.detail, "");
    EXPECT_EQ(found.hint, "Perhaps you meant the option \"driver\".");
}

TEST(OptionName, SuggestsWhatOtherWrappersCallDifferently) {
    EXPECT_EQ(problem(Where::server, "dbname", "x").hint, "Perhaps you meant the option \"database\".");
    EXPECT_EQ(problem(Where::mapping, "username", "x").hint, "Perhaps you meant the option \"user\".");
    EXPECT_EQ(problem(Where::server, "PWD", "x").hint,
              "Perhaps you meant the option \"password\". Put it in the user mapping: CREATE USER MAPPING FOR ... "
              "SERVER ... OPTIONS (password '...').");
}

TEST(OptionName, ListsTheValidOnesWhenNothingIsNear) {
    EXPECT_EQ(problem(Where::mapping, "zzzzzz", "x").hint,
              "Valid options in this context are: user, password. See SELECT * FROM sync_options().");
}

TEST(OptionName, IsCaseSensitiveButSuggestsTheRightCase) {
    EXPECT_EQ(problem(Where::server, "HOST", "x").hint, "Perhaps you meant the option \"host\".");
}

TEST(OptionName, TellsWhereAKnownOptionBelongs) {
    auto password = problem(Where::server, "password", "hunter2");
    EXPECT_EQ(password.message, "invalid option \"password\"");
    EXPECT_EQ(password.detail, "\"password\" is an option of a user mapping, not of a server.");
    EXPECT_EQ(password.hint,
              "Put it in the user mapping: CREATE USER MAPPING FOR ... SERVER ... OPTIONS (password '...').");
    EXPECT_EQ(problem(Where::mapping, "host", "x").hint,
              "Put it in the server: ALTER SERVER ... OPTIONS (ADD host '...').");
    EXPECT_EQ(problem(Where::server, "lookback", "1").hint,
              "Put it in the stream: sync_create(..., options => '{\"lookback\": \"...\"}').");
    EXPECT_EQ(problem(Where::other, "host", "x").detail,
              "\"host\" is an option of a server, not of a foreign-data wrapper or foreign table.");
}

TEST(OptionName, TellsThatNoneIsValidOnAForeignTable) {
    EXPECT_EQ(problem(Where::other, "colour", "x").hint, "There are no valid options in this context.");
}

TEST(OptionName, PointsOutArgumentsOfSyncCreate) {
    auto found = problem(Where::stream, "schedule", "1 min");
    EXPECT_EQ(found.detail, "\"schedule\" is an argument of sync_create(), not an option.");
    EXPECT_EQ(found.hint, "Write sync_create(..., schedule => '...').");
}

TEST(OptionName, SurvivesHostileNames) {
    EXPECT_EQ(problem(Where::server, "", "x").message, "invalid option \"\"");
    EXPECT_EQ(problem(Where::server, std::string_view("host\0", 5), "x").message, "invalid option \"host?\"");
    EXPECT_LT(all_of(problem(Where::stream, std::string(1'000'000, 'a'), "x")).size(), 2000u);
}

// Values

struct ValueCase {
    Where where;
    const char* name;
    const char* value;
};

TEST(OptionValue, AcceptsWhatUsersWrite) {
    const ValueCase cases[] = {
        {Where::server, "driver", "MariaDB Unicode"},
        {Where::server, "host", "127.0.0.1"},
        {Where::server, "port", "3307"},
        {Where::server, "database", "/srv/shop one.sqlite"},
        {Where::server, "driver_options", "TrustServerCertificate=yes;Encrypt={yes}"},
        {Where::server, "driver_options", "Servername=tienda"},
        {Where::server, "connection_string", "DRIVER={FreeTDS};SERVER=10.0.0.1;PORT=1433"},
        {Where::server, "connection_string", "DSN=shop"},
        {Where::server, "query_timeout", "30 s"},
        {Where::mapping, "password", "a;b={}\n"},
        {Where::mapping, "password", ""},
        {Where::stream, "lookback", "10 minutes"},
        {Where::stream, "lookback", "1000"},
        {Where::stream, "columns", "{\"total\": \"round(quantity * price, 2)\", \"shop\": \"'T01'\"}"},
        {Where::stream, "filter", "price > 0\nAND NOT void"},
        {Where::stream, "batch_bytes", "16MB"},
        {Where::stream, "max_deletes", "20%"},
        {Where::stream, "columns_only", "true"},
        {Where::stream, "max_retries", "0"},
        {Where::stream, "open_days", "Mon-Sat"},
        {Where::stream, "short_below", "25 %"},
        {Where::stream, "gap_critical", "3"},
    };
    for (const auto& [where, name, value] : cases) {
        EXPECT_EQ(all_of(problem(where, name, value)), "no problem||") << name << " " << value;
    }
}

TEST(OptionValue, OutOfRangeNamesTheRange) {
    auto found = problem(Where::server, "port", "70000");
    EXPECT_EQ(found.message, "invalid value for option \"port\": \"70000\"");
    EXPECT_EQ(found.detail, "It is out of range.");
    EXPECT_EQ(found.hint, "Valid values are 1 to 65535.");
    EXPECT_EQ(problem(Where::server, "connect_timeout", "0").hint, "Valid values are 1 second to 1 hour.");
    EXPECT_EQ(problem(Where::stream, "batch_bytes", "2GB").hint, "Valid values are 64 kB to 1 GB.");
}

TEST(OptionValue, ExplainsUnreadableValues) {
    auto found = problem(Where::stream, "retry_delay", "1 minuet");
    EXPECT_EQ(found.detail, "\"minuet\" is not a unit of time.");
    EXPECT_EQ(found.hint, "Write it as '30 s', '10 minutes' or '1 hour 30 minutes'.");
    EXPECT_EQ(problem(Where::server, "port", "abc").detail, "\"abc\" is not an integer.");
    EXPECT_EQ(all_of(problem(Where::stream, "open_days", "lun-sab")),
              "invalid value for option \"open_days\": \"lun-sab\"|\"lun\" is not a weekday.|Write it as 'mon-sat' or "
              "'mon,wed,fri'.");
    EXPECT_EQ(problem(Where::stream, "short_below", "25").detail, "It is not a share.");
    EXPECT_EQ(problem(Where::stream, "short_below", "125%").detail, "A share is between 0% and 100%.");
}

TEST(OptionValue, EnumerationsListTheirValuesAndSuggestOne) {
    EXPECT_EQ(problem(Where::stream, "mode", "Incrementel").hint,
              "Perhaps you meant \"incremental\". Valid values are auto, incremental or full.");
    EXPECT_EQ(problem(Where::stream, "deletes", "").hint, "Valid values are ignore, soft or hard.");
}

TEST(OptionValue, ColumnsMustBeAnObjectOfExpressions) {
    EXPECT_EQ(problem(Where::stream, "columns", "[1]").detail, "It is not a JSON object.");
    EXPECT_EQ(problem(Where::stream, "columns", "{\"a\":").detail, "It is not a JSON object.");
    for (const char* zero : {"{\"a\": \"1\\u0000\"}", "{\"a\\u0000\": \"1\"}"}) {
        EXPECT_EQ(problem(Where::stream, "columns", zero).detail, "It contains a zero byte.") << zero;
    }
    EXPECT_EQ(problem(Where::stream, "columns", "{\"a\": 1}").detail,
              "The value of \"a\" is not a text with an SQL expression.");
    EXPECT_EQ(problem(Where::stream, "columns", "{\"a\": \" \"}").detail,
              "The value of \"a\" is not a text with an SQL expression.");
}

TEST(OptionValue, DeeplyNestedJsonIsRefused) {
    EXPECT_EQ(problem(Where::stream, "columns", std::string(1'000'000, '[')).detail, "It is not a JSON object.");
    std::string nested = "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
    EXPECT_EQ(problem(Where::stream, "columns", nested).detail,
              "The value of \"a\" is not a text with an SQL expression.");
}

TEST(OptionValue, RefusesEmptyLongAndBinaryTexts) {
    EXPECT_EQ(problem(Where::server, "host", " ").detail, "It is empty.");
    EXPECT_EQ(problem(Where::server, "host", std::string_view("a\0b", 3)).detail, "It contains a zero byte.");
    EXPECT_EQ(problem(Where::server, "host", "a\nb").detail, "It contains a control character.");
    EXPECT_EQ(problem(Where::server, "host", std::string(9000, 'a')).detail, "It is longer than 8192 bytes.");
    EXPECT_EQ(problem(Where::stream, "deleted_column", std::string(256, 'a')).detail, "It is longer than 255 bytes.");
    EXPECT_EQ(problem(Where::mapping, "password", std::string_view("a\0b", 3)).detail, "It contains a zero byte.");
}

TEST(OptionValue, HugeNumbersAreOutOfRange) {
    for (const char* name : {"batch_rows", "page_rows", "max_retries", "batch_bytes", "run_timeout"}) {
        EXPECT_NE(problem(Where::stream, name, "99999999999999999999999").message, "no problem") << name;
        EXPECT_NE(problem(Where::stream, name, "-1").message, "no problem") << name;
    }
}

TEST(OptionValue, LongValuesAreClippedInMessages) {
    EXPECT_LT(problem(Where::server, "port", std::string(1'000'000, '1')).message.size(), 150u);
}

// Connection strings

TEST(ConnectionStringOption, RefusesCredentials) {
    for (const char* text : {"DSN=a;UID=sa", "DSN=a;pwd=hunter2", "DSN=a;User Id=sa", "DSN=a;Password={hunter2}",
                             "DSN=a;PASS_WORD=hunter2"}) {
        auto found = problem(Where::server, "connection_string", text);
        EXPECT_EQ(found.message, "invalid value for option \"connection_string\"") << text;
        EXPECT_NE(found.detail.find("holds a credential"), std::string::npos) << text;
        EXPECT_NE(found.hint.find("CREATE USER MAPPING"), std::string::npos) << text;
    }
}

TEST(ConnectionStringOption, MustNameADriverOrDataSource) {
    EXPECT_EQ(problem(Where::server, "connection_string", "Server=a").detail,
              "It names neither a driver nor a data source.");
}

TEST(ConnectionStringOption, RefusesTheSameKeywordTwice) {
    EXPECT_EQ(problem(Where::server, "connection_string", "DSN=a;Encrypt=yes;ENCRYPT=no").detail,
              "The keyword \"ENCRYPT\" occurs twice.");
}

TEST(ConnectionStringOption, RefusesFiles) {
    EXPECT_NE(problem(Where::server, "connection_string", "FILEDSN=/tmp/x").message, "no problem");
    EXPECT_NE(problem(Where::server, "connection_string", "DSN=a;SaveFile=/tmp/x").message, "no problem");
}

TEST(DriverOptions, RefusesWhatHasAnOptionOfItsOwn) {
    const std::pair<const char*, const char*> cases[] = {
        {"Driver={x}", "driver"}, {"DSN=x", "dsn"},           {"SERVER=x", "host"},
        {"Port=1", "port"},       {"Database=x", "database"}, {"HostName=x", "host"},
    };
    for (const auto& [text, option] : cases) {
        EXPECT_EQ(problem(Where::server, "driver_options", text).hint, "Use the option " + std::string(option) + ".");
    }
}

TEST(DriverOptions, RefusesCredentials) {
    EXPECT_NE(problem(Where::server, "driver_options", "UID=sa").detail.find("credential"), std::string::npos);
}

TEST(Secrets, NeverAppearInProblems) {
    const std::string secret = "hunter2";
    const OptionProblem problems[] = {
        problem(Where::server, "password", secret),
        problem(Where::stream, "password", secret),
        problem(Where::server, "pasword", secret),
        problem(Where::mapping, "pasword", secret),
        problem(Where::mapping, "password", std::string_view("hunter2\0", 8)),
        problem(Where::mapping, "password", secret + std::string(10'000, 'x')),
        problem(Where::server, "connection_string", "DSN=a;PWD=hunter2"),
        problem(Where::server, "connection_string", "DSN=a;hunter2"),
        problem(Where::server, "connection_string", "DSN=a;PWD={hunter2"),
        problem(Where::server, "connection_string", "DSN=a;PWD=x;hunter2=y;hunter2=z"),
        problem(Where::server, "connection_string", "DSN=a\n;x=hunter2"),
        problem(Where::server, "driver_options", "PWD=hunter2"),
        problem(Where::server, "driver_options", "x={hunter2}hunter2"),
    };
    for (const OptionProblem& found : problems) {
        EXPECT_NE(found.message, "no problem");
        EXPECT_EQ(all_of(found).find(secret), std::string::npos) << all_of(found);
    }
}

// Sets

TEST(ServerSet, AcceptsEachWayOfNamingASource) {
    EXPECT_EQ(set_problem(Where::server, {{"driver", "SQLite3"}, {"database", "/srv/a"}}).message, "no problem");
    EXPECT_EQ(set_problem(Where::server, {{"dsn", "shop"}, {"database", "shop"}}).message, "no problem");
    EXPECT_EQ(set_problem(Where::server, {{"connection_string", "DSN=a"}, {"connections", "2"}}).message, "no problem");
}

TEST(ServerSet, RequiresOneWayOfNamingASource) {
    EXPECT_EQ(set_problem(Where::server, {{"host", "a"}}).message,
              "one of the options \"driver\", \"dsn\" and \"connection_string\" is required");
    EXPECT_NE(set_problem(Where::server, {}).message, "no problem");
}

TEST(ServerSet, RefusesTwoWaysOfNamingASource) {
    EXPECT_EQ(set_problem(Where::server, {{"driver", "a"}, {"dsn", "b"}}).message,
              "options \"driver\" and \"dsn\" exclude each other");
}

TEST(ServerSet, AConnectionStringIsComplete) {
    for (const char* name : {"host", "port", "database", "driver_options"}) {
        const char* value = std::string_view(name) == "port" ? "1" : "a=b";
        EXPECT_EQ(set_problem(Where::server, {{"connection_string", "DSN=a"}, {name, value}}).message,
                  "options \"connection_string\" and \"" + std::string(name) + "\" exclude each other");
    }
}

TEST(ServerSet, ServernameAndHostExcludeEachOther) {
    OptionMap options = {{"driver", "FreeTDS"}, {"driver_options", "Servername=a"}};
    EXPECT_EQ(set_problem(Where::server, options).message, "no problem");
    options["host"] = "b";
    EXPECT_NE(set_problem(Where::server, options).message, "no problem");
}

TEST(OptionSet, ChecksEachOptionToo) {
    EXPECT_EQ(set_problem(Where::server, {{"driver", "a"}, {"port", "x"}}).message,
              "invalid value for option \"port\": \"x\"");
    EXPECT_EQ(set_problem(Where::mapping, {{"host", "x"}}).message, "invalid option \"host\"");
}

TEST(OptionSet, NoOptionIsRequiredOfMappingsAndStreams) {
    EXPECT_EQ(set_problem(Where::mapping, {}).message, "no problem");
    EXPECT_EQ(set_problem(Where::stream, {}).message, "no problem");
    EXPECT_EQ(set_problem(Where::other, {}).message, "no problem");
}

TEST(StreamSet, AcceptsCombinationsThatMakeSense) {
    const OptionMap sets[] = {
        {{"deletes", "soft"}, {"deleted_column", "deleted_at"}},
        {{"deletes", "hard"}, {"operation_column", "op"}, {"delete_values", "D"}},
        {{"deletes", "hard"}, {"max_deletes", "5%"}},
        {{"columns_only", "true"}, {"columns", "{\"a\": \"b\"}"}},
        {{"columns_only", "false"}},
        {{"mode", "incremental"}, {"initial_watermark", "2024-01-01"}},
    };
    for (const OptionMap& options : sets) {
        EXPECT_EQ(all_of(set_problem(Where::stream, options)), "no problem||");
    }
}

TEST(StreamSet, RefusesCombinationsThatDoNot) {
    const std::pair<OptionMap, const char*> cases[] = {
        {{{"deletes", "soft"}}, "option \"deletes\" set to \"soft\" requires the option \"deleted_column\""},
        {{{"deleted_column", "d"}}, "option \"deleted_column\" requires the option \"deletes\""},
        {{{"deletes", "hard"}, {"deleted_column", "d"}}, "option \"deleted_column\" requires the option \"deletes\""},
        {{{"operation_column", "op"}}, "option \"operation_column\" requires the option \"deletes\""},
        {{{"deletes", "hard"}, {"delete_values", "D"}},
         "option \"delete_values\" requires the option \"operation_column\""},
        {{{"columns_only", "on"}}, "option \"columns_only\" requires the option \"columns\""},
        {{{"reconcile_by", "keys"}, {"deletes", "hard"}}, "option \"reconcile_by\" requires the option \"reconcile\""},
        {{{"reconcile_by", "keys"}, {"reconcile", "1 day"}}, "option \"reconcile_by\" requires the option \"deletes\""},
        {{{"reconcile_by", "keys"}, {"reconcile", "1 day"}, {"deletes", "hard"}, {"operation_column", "op"}},
         "option \"reconcile_by\" set to \"keys\" and \"operation_column\" exclude each other"},
        {{{"gap_warning", "5"}}, "option \"gap_critical\" must not be less than option \"gap_warning\""},
        {{{"mode", "full"}, {"initial_watermark", "1"}},
         "option \"initial_watermark\" is not allowed when \"mode\" is \"full\""},
    };
    for (const auto& [options, message] : cases) {
        EXPECT_EQ(set_problem(Where::stream, options).message, message);
    }
}

TEST(RestOptions, AParentsOptionsAreFlat) {
    auto problem_of_parent = [](const std::string& value) {
        auto found = check_option(Where::stream, Kind::rest, "parent", value);
        return found ? found->detail : "no problem";
    };
    EXPECT_EQ(problem_of_parent(R"({"source": "orders", "params": {"status": "any"}, "page_size": 50})"), "no problem");
    EXPECT_EQ(problem_of_parent(R"({"source": "orders", "parent": {"source": "shops"}})"), "It has a parent itself.");
    const std::string deep = std::string(200000, '[') + std::string(200000, ']');
    EXPECT_EQ(problem_of_parent("{\"source\": \"orders\", \"params\": " + deep + "}"),
              "The value of \"params\" is nested too deep.");
}

TEST(RestOptions, AFeedOfDeletesTellsWhoseRowAndWhen) {
    auto problem_of_feed = [](const std::string& value) {
        auto found = check_option(Where::stream, Kind::rest, "delete_feed", value);
        return found ? found->detail : "no problem";
    };
    EXPECT_EQ(problem_of_feed(R"({"source": "events", "key": ["/data/id", "shop"], "watermark": "created"})"),
              "no problem");
    EXPECT_EQ(problem_of_feed(R"({"source": "events", "watermark": "created"})"),
              "It names no key, the field that identifies the deleted row.");
    EXPECT_EQ(problem_of_feed(R"({"source": "events", "key": "id"})"),
              "It names no watermark, the field with the time of the delete.");
    EXPECT_EQ(problem_of_feed(R"({"source": "events", "key": [], "watermark": "created"})"),
              "The value of \"key\" is neither a name nor a list of names.");
    EXPECT_EQ(problem_of_feed(R"({"source": "events", "key": "id", "watermark": ["a", "b"]})"),
              "It has more than one watermark.");
    EXPECT_EQ(problem_of_feed(R"({"source": "events", "key": "id", "watermark": "t", "parent": {"source": "x"}})"),
              "It has a parent itself.");
}

TEST(RestOptions, AScanOfKeysLaysOptionsOverTheStreams) {
    auto problem_of_scan = [](const std::string& value) {
        auto found = check_option(Where::server, Kind::rest, "key_scan", value);
        return found ? found->detail : "no problem";
    };
    EXPECT_EQ(problem_of_scan(R"({"params": {"select": "{keys}"}, "page_size": 5000})"), "no problem");
    EXPECT_EQ(problem_of_scan(R"({})"), "no problem");
    EXPECT_EQ(problem_of_scan(R"({"key": "id"})").substr(0, 20), "invalid option \"key\"");
    EXPECT_EQ(problem_of_scan(R"({"delete_feed": {"source": "x"}})"), "It has a delete_feed itself.");
}

TEST(RestOptions, StatusesHaveMeanings) {
    auto problem_of_statuses = [](const std::string& value) {
        auto found = check_option(Where::server, Kind::rest, "on_status", value);
        return found ? found->detail : "no problem";
    };
    EXPECT_EQ(problem_of_statuses(R"({"404": "empty", "5xx": "fail", "4XX": "retry", "410": ""})"), "no problem");
    EXPECT_EQ(problem_of_statuses(R"({"404": "emtpy"})"), "A status means fail, retry or empty.");
    EXPECT_EQ(problem_of_statuses(R"({"404": 1})"), "A status means fail, retry or empty.");
    for (const char* name : {"", "4", "40", "4044", "abc", "604", "x04", "4x4"}) {
        EXPECT_EQ(problem_of_statuses("{\"" + std::string(name) + "\": \"empty\"}"),
                  "\"" + std::string(name) + "\" is neither a status nor a class of them.");
    }
    EXPECT_EQ(problem_of_statuses("[]"), "It is not a JSON object.");
}

// Message, detail and hint, or nothing.
std::string problem_of(Where where, std::string_view name, const std::string& value) {
    const auto found = check_option(where, Kind::rest, name, value);
    return found ? found->message + " | " + found->detail + " | " + found->hint : "";
}

TEST(RestOptions, MisspelledPlaceholdersAreFoundWhereTheyAreWritten) {
    EXPECT_EQ(
        problem_of(Where::server, "params", R"({"since": "{sinze}"})"),
        "invalid value for option \"params\": \"{\"since\": \"{sinze}\"}\" | In the value of \"since\", placeholder "
        "{sinze} is not known. | Perhaps you meant {since}.");
    EXPECT_EQ(
        problem_of(Where::stream, "path", "{sorce}.json"),
        "invalid value for option \"path\": \"{sorce}.json\" | Placeholder {sorce} is not known. | Perhaps you meant "
        "{source}.");
    for (const char* name :
         {"path", "body", "rows_path", "next_path", "more_path", "total_path", "response_watermark"}) {
        for (const char* value : {"/{sorce}", "/{source", "/[[{source}", "/{since:iso_sm}"}) {
            EXPECT_NE(problem_of(Where::stream, name, value), "") << name << " " << value;
        }
        EXPECT_EQ(problem_of(Where::stream, name, "/{source}"), "") << name;
    }
    for (const char* name : {"params", "headers", "slice_query"}) {
        EXPECT_NE(problem_of(Where::server, name, R"({"X-{sorce}": "x"})"), "") << name;
        EXPECT_NE(problem_of(Where::server, name, R"({"X-Since": "[[{since}"})"), "") << name;
        EXPECT_EQ(problem_of(Where::server, name, R"({"X-{source}": "[[{since}]]", "n": 1})"), "") << name;
    }
    // Words of a slice are words like any others elsewhere.
    EXPECT_NE(problem_of(Where::stream, "slice_query", R"({"a": "[[{from:is}]]"})"), "");
    EXPECT_EQ(problem_of(Where::stream, "slice_query", R"({"{slice_column}_min": "[[{from:iso}]]"})"), "");
    EXPECT_EQ(problem_of(Where::stream, "params", R"({"route": "{from:x} {form}"})"), "");
    EXPECT_NE(problem_of(Where::server, "key_scan", R"({"params": {"fields": "{keyz}"}})").find("{keyz}"),
              std::string::npos);
    EXPECT_NE(problem_of(Where::stream, "parent", R"({"source": "a/{sorce}"})").find("In the value of \"source\""),
              std::string::npos);
    EXPECT_EQ(problem_of(Where::stream, "select", "{sorce}"), "");
}

TEST(RestOptions, HeadersThatNoRequestCanSend) {
    EXPECT_EQ(problem_of(Where::server, "headers", R"({"X-Shop": "a\r\nX-Other: s3cr3t"})"),
              "invalid value for option \"headers\" | In the value of \"X-Shop\" is a line break or another control "
              "character. | The value of a header is one line.");
    for (const char* name : {"", "X Shop", "X-Shop:", "X-\\nShop", "[[X]]", "X-{key} "}) {
        EXPECT_NE(problem_of(Where::server, "headers", "{\"" + std::string(name) + "\": \"x\"}"), "") << name;
    }
    for (const char* name : {"Accept", "x-shop_1", "X-{key}", "{source}"}) {
        EXPECT_EQ(problem_of(Where::server, "headers", "{\"" + std::string(name) + "\": \"x\"}"), "") << name;
    }
    // What may hold a secret isn't repeated.
    EXPECT_EQ(
        problem_of(Where::server, "headers", R"({"X-Shop": "a", "x-shop": "b"})"),
        "invalid value for option \"headers\" | It has the header \"x-shop\" twice. | Upper and lower case are the "
        "same.");
    EXPECT_EQ(problem_of(Where::server, "headers", R"({"X-Token": "s3cr3t {sinze}"})").find("s3cr3t"),
              std::string::npos);
    EXPECT_EQ(problem_of(Where::server, "key_scan", R"({"headers": {"X-Token": "s3cr3t\n"}})").find("s3cr3t"),
              std::string::npos);
}

TEST(RestOptions, EveryPresetIsRight) {
    for (const PresetRow& row : preset_rows()) {
        const Where where = find_option(Where::server, row.option) != nullptr ? Where::server : Where::stream;
        ASSERT_NE(find_option(where, row.option), nullptr) << row.option;
        if (row.value.empty()) continue;
        EXPECT_EQ(problem_of(where, row.option, std::string(row.value)), "") << row.preset << " " << row.option;
    }
}

TEST(OptionProblem, FollowsTheMessageStyle) {
    const OptionProblem problems[] = {
        problem(Where::server, "zzz", "x"),
        problem(Where::server, "port", "x"),
        problem(Where::server, "password", "x"),
        problem(Where::stream, "mode", "x"),
        set_problem(Where::server, {}),
        set_problem(Where::stream, {{"columns_only", "1"}}),
        set_problem(Where::stream, {{"mode", "full"}, {"initial_watermark", "1"}}),
    };
    for (const OptionProblem& found : problems) {
        EXPECT_TRUE(std::islower(static_cast<unsigned char>(found.message.front()))) << found.message;
        EXPECT_NE(found.message.back(), '.') << found.message;
        for (const std::string& sentence : {found.detail, found.hint}) {
            EXPECT_TRUE(sentence.empty() || sentence.back() == '.') << sentence;
        }
    }
}

}  // namespace
}  // namespace insync
