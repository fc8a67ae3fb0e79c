// The parsed options of streams and servers: defaults are the table's, each kind of value is read, and what can't be
// read falls back to the default.
#include <gtest/gtest.h>

#include <set>

#include "bgworker/options/server_options.hpp"
#include "bgworker/options/stream_options.hpp"

namespace insync {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

std::set<std::string_view> names_of(const std::vector<const Text*>& options) {
    std::set<std::string_view> names;
    for (const Text* option : options) EXPECT_TRUE(names.insert(option->name).second) << option->name;
    return names;
}

// A text that the option takes and that isn't its default.
std::string another_text(const Option& option) {
    switch (option.type) {
        case ValueType::enumeration:
            return std::string(option.values.back() == option.default_text ? option.values.front()
                                                                           : option.values.back());
        case ValueType::boolean:
            return option.default_text == "true" ? "false" : "true";
        case ValueType::integer:
            return "7";
        case ValueType::duration:
            return "77 minutes";
        case ValueType::size:
            return "123 kB";
        case ValueType::share:
        case ValueType::share_or_count:
            return "77%";
        case ValueType::weekdays:
            return "mon-tue";
        case ValueType::lookback:
            return "3 hours";
        case ValueType::json_object:
        case ValueType::json_options:
        case ValueType::text_map:
            return R"({"a":"b"})";
        default:
            return "other text";
    }
}

TEST(StreamOptions, DefaultsAreTheTables) {
    const StreamOptions options;
    for (const Text* option : options.all()) {
        const Option* row = find_option(Where::stream, option->name);
        ASSERT_NE(row, nullptr) << option->name;
        EXPECT_EQ(option->text, row->default_text) << option->name;
        EXPECT_FALSE(option->is_given) << option->name;
    }
}

// Every default of the table, given as text, makes the same values as not given; no option has a default of its own.
TEST(StreamOptions, DefaultValuesAreTheTablesTextsParsed) {
    const StreamOptions none;
    json given = json::object();
    for (const Option& row : all_options()) {
        if ((row.where & static_cast<unsigned>(Where::stream)) != 0 && !row.default_text.empty())
            given[std::string(row.name)] = std::string(row.default_text);
    }
    const StreamOptions all(given);
    EXPECT_EQ(none.mode.value, ReadMode::automatic);
    EXPECT_EQ(none.deletes.value, DeleteMode::ignore);
    EXPECT_EQ(none.new_columns.value, NewColumnPolicy::add);
    EXPECT_EQ(none.reconcile_by.value, Reconciled::rows);
    EXPECT_EQ(none.retry_backoff.value, RetryBackOff::doubled);
    EXPECT_EQ(none.mode.value, all.mode.value);
    EXPECT_EQ(none.deletes.value, all.deletes.value);
    EXPECT_EQ(none.new_columns.value, all.new_columns.value);
    EXPECT_EQ(none.reconcile_by.value, all.reconcile_by.value);
    EXPECT_EQ(none.retry_backoff.value, all.retry_backoff.value);
    EXPECT_EQ(none.columns_only.value, all.columns_only.value);
    EXPECT_EQ(none.auto_repair.value, all.auto_repair.value);
    EXPECT_EQ(none.page_rows.value, all.page_rows.value);
    EXPECT_EQ(none.max_retries.value, all.max_retries.value);
    EXPECT_EQ(none.gap_warning.value, all.gap_warning.value);
    EXPECT_EQ(none.gap_critical.value, all.gap_critical.value);
    EXPECT_EQ(none.verify_parts.value, all.verify_parts.value);
    EXPECT_EQ(none.retry_delay.value, all.retry_delay.value);
    EXPECT_EQ(none.min_age.value, all.min_age.value);
    EXPECT_EQ(none.max_deletes.value, all.max_deletes.value);
    EXPECT_EQ(none.short_below.value, all.short_below.value);
    EXPECT_EQ(none.open_days.value, all.open_days.value);
    EXPECT_TRUE(none.open_days.value.all());
    EXPECT_GT(none.retry_delay.value.count(), 0);
    EXPECT_GT(none.page_rows.value, 0);
}

// What is for databases, too, is read by the library; options of APIs alone may be the connector's.
TEST(StreamOptions, EveryOptionThatIsNotForApisAloneHasAMember) {
    const auto names = names_of(StreamOptions().all());
    for (const Option& row : all_options()) {
        if (!row.applies(Where::stream, Kind::odbc)) continue;
        EXPECT_TRUE(names.contains(row.name)) << row.name;
    }
}

TEST(StreamOptions, EveryMemberTakesWhatIsGiven) {
    json given = json::object();
    const StreamOptions defaults;
    for (const Text* option : defaults.all())
        given[std::string(option->name)] = another_text(*find_option(Where::stream, option->name));
    const StreamOptions options(given);
    for (const Text* option : options.all()) {
        EXPECT_TRUE(option->is_given) << option->name;
        EXPECT_EQ(option->text, given[std::string(option->name)].get<std::string>()) << option->name;
    }
    EXPECT_EQ(options.mode, ReadMode::full);
    EXPECT_EQ(options.deletes, DeleteMode::hard);
    EXPECT_EQ(options.filter_leaves, LeavePolicy::remove);
    EXPECT_EQ(options.new_columns, NewColumnPolicy::fail);
    EXPECT_EQ(options.reconcile_by, Reconciled::keys);
    EXPECT_EQ(options.retry_backoff, RetryBackOff::fixed);
    EXPECT_TRUE(options.columns_only && options.auto_repair);
    EXPECT_EQ(options.page_rows.value, 7);
    EXPECT_EQ(options.batch_rows.value, 7);
    EXPECT_EQ(options.batch_bytes.value, 123 * 1024);
    EXPECT_EQ(options.max_retries.value, 7);
    EXPECT_EQ(options.retry_delay.value, std::chrono::minutes(77));
    EXPECT_EQ(options.run_timeout.value, std::chrono::minutes(77));
    EXPECT_EQ(options.reconcile.value, std::chrono::minutes(77));
    EXPECT_EQ(options.min_age.value, std::chrono::minutes(77));
    EXPECT_EQ(options.lookback.value, Lookback(milliseconds(std::chrono::hours(3))));
    EXPECT_EQ(options.max_deletes.value.share, 0.77);
    EXPECT_EQ(options.max_rejects.value->share, 0.77);
    EXPECT_EQ(options.short_below.value.share, 0.77);
    EXPECT_EQ(options.open_days.value.count(), 2u);
    for (const json* object :
         {&options.columns.value, &options.parent.value, &options.fields.value, &options.delete_feed.value})
        EXPECT_EQ(*object, (json{{"a", "b"}}));
}

// The enumerators are positions in the table's list of values.
TEST(StreamOptions, EnumeratorsStandInTheOrderOfTheTable) {
    const auto values = [](const char* name) {
        const auto list = find_option(Where::stream, name)->values;
        return std::vector<std::string_view>(list.begin(), list.end());
    };
    using Values = std::vector<std::string_view>;
    EXPECT_EQ(values("mode"), (Values{"auto", "incremental", "full"}));
    EXPECT_EQ(values("deletes"), (Values{"ignore", "soft", "hard"}));
    EXPECT_EQ(values("filter_leaves"), (Values{"keep", "delete"}));
    EXPECT_EQ(values("new_columns"), (Values{"add", "ignore", "fail"}));
    EXPECT_EQ(values("reconcile_by"), (Values{"rows", "keys"}));
    EXPECT_EQ(values("retry_backoff"), (Values{"double", "fixed"}));
}

TEST(StreamOptions, ReadsJsonValuesAsTheyAreWritten) {
    const StreamOptions options(json::parse(
        R"({"max_retries": 9, "columns_only": true, "columns": "{\"a\": \"b + 1\"}", "max_deletes": 500})"));
    EXPECT_EQ(options.max_retries.value, 9);
    EXPECT_EQ(options.max_retries.text, "9");
    EXPECT_TRUE(options.columns_only);
    EXPECT_EQ(options.columns.value, (json{{"a", "b + 1"}}));
    EXPECT_TRUE(options.map()["columns"].is_object());
    EXPECT_FALSE(options.max_deletes.value.share);
    EXPECT_EQ(options.max_deletes.value.count, 500);
}

TEST(StreamOptions, GivenIsNotTheSameAsHavingAValue) {
    EXPECT_FALSE(StreamOptions(json{{"deletes", nullptr}}).deletes.is_given);
    const StreamOptions options(json{{"deletes", "ignore"}});
    EXPECT_TRUE(options.deletes.is_given);
    EXPECT_EQ(options.deletes, DeleteMode::ignore);
    EXPECT_FALSE(options.retry_delay.is_given);
    EXPECT_FALSE(options.filter_leaves.value);
    EXPECT_FALSE(options.max_rejects.value);
}

TEST(StreamOptions, WhatCannotBeReadHasTheDefault) {
    const StreamOptions options(json{{"max_retries", "many"},
                                     {"retry_delay", "soon"},
                                     {"deletes", "Hard"},
                                     {"max_rejects", "some"},
                                     {"columns", "a = b"},
                                     {"open_days", "never"}});
    const StreamOptions standard;
    EXPECT_EQ(options.max_retries.value, standard.max_retries.value);
    EXPECT_EQ(options.retry_delay.value, standard.retry_delay.value);
    EXPECT_EQ(options.deletes.value, standard.deletes.value);
    EXPECT_EQ(options.open_days.value, standard.open_days.value);
    EXPECT_FALSE(options.max_rejects.value);
    EXPECT_TRUE(options.columns.value.is_object() && options.columns.value.empty());
    EXPECT_EQ(options.retry_delay.text, "soon");
    EXPECT_EQ(StreamOptions(json(5)).deletes, DeleteMode::ignore);  // checked afterwards
}

TEST(StreamOptions, ASetOptionIsParsedAgain) {
    StreamOptions options(json{{"max_rejects", "5"}});
    options.set(&StreamOptions::max_rejects, nullptr);
    EXPECT_FALSE(options.max_rejects.value);
    options.set(&StreamOptions::deletes, "hard");
    EXPECT_EQ(options.deletes, DeleteMode::hard);
    EXPECT_EQ(options.map()["deletes"], "hard");
    options.remove(&StreamOptions::deletes);
    EXPECT_EQ(options.deletes, DeleteMode::ignore);
    EXPECT_FALSE(options.map().contains("deletes"));
    options.set_named("rows_path", "/items");  // the connector's
    EXPECT_EQ(options.map()["rows_path"], "/items");
}

TEST(ServerOptions, DefaultsAreTheTables) {
    const ServerOptions options;
    for (const Text* option : options.all()) {
        const Option* row = find_option(Where::server, option->name);
        ASSERT_NE(row, nullptr) << option->name;
        EXPECT_EQ(option->text, row->default_text) << option->name;
        EXPECT_FALSE(option->is_given) << option->name;
    }
    (void)names_of(options.all());
    auto standard = [](const char* name) { return find_option(Where::server, name)->default_text; };
    EXPECT_EQ(options.connections.value, *parse_integer(standard("connections")));
    EXPECT_EQ(options.timeout.value, *parse_duration(standard("timeout")));
    EXPECT_EQ(options.lock_timeout.value, *parse_duration(standard("lock_timeout")));
    EXPECT_FALSE(options.connect_timeout.value || options.query_timeout.value);
}

TEST(ServerOptions, ReadsWhatIsGivenAndFallsBackToTheDefault) {
    ServerOptions options(OptionMap{{"connections", "4"},
                                    {"connect_timeout", "soon"},
                                    {"lock_timeout", "soon"},
                                    {"host", "db.example.com"},
                                    {"immutable", "true"}});
    EXPECT_EQ(options.connections.value, 4);
    EXPECT_FALSE(options.connect_timeout.value);
    EXPECT_EQ(options.lock_timeout.value, ServerOptions().lock_timeout.value);
    EXPECT_EQ(options.host.text, "db.example.com");
    options.set(&ServerOptions::query_timeout, "5 s");
    EXPECT_EQ(options.query_timeout.value, milliseconds(5000));
    EXPECT_EQ(options.map().at("query_timeout"), "5 s");
    EXPECT_EQ(options.map().at("immutable"), "true");
}

}  // namespace
}  // namespace insync
