// Options of servers, user mappings and streams: any name and value is accepted or refused with a reason; what is
// accepted can be used as its type says; no reason shows a secret.
#include "bgworker/options/table.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bgworker/options/connection_string.hpp"
#include "bgworker/options/values_rest.hpp"
#include "bgworker/options/weekdays.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

template <typename Value>
void check_range(const Option& option, Value value) {
    if (option.min != 0 || option.max != 0) REQUIRE(value >= option.min && value <= option.max);
}

// What whoever uses an accepted value relies on.
void check_accepted(const Option& option, std::string_view value) {
    switch (option.type) {
        case ValueType::integer:
            check_range(option, parse_integer(value).value.value());
            break;
        case ValueType::duration: {
            auto duration = parse_duration(value).value.value();
            check_range(option, duration.count());
            REQUIRE(*parse_duration(format_duration(duration)) == duration);
            break;
        }
        case ValueType::size: {
            auto bytes = parse_size(value).value.value();
            check_range(option, bytes);
            REQUIRE(*parse_size(format_size(bytes)) == bytes);
            break;
        }
        case ValueType::boolean:
            REQUIRE(parse_boolean(value));
            break;
        case ValueType::enumeration:
            REQUIRE(std::find(option.values.begin(), option.values.end(), value) != option.values.end());
            break;
        case ValueType::share_or_count: {
            auto limit = parse_share_or_count(value).value.value();
            REQUIRE(limit.count >= 0 && (!limit.share || (*limit.share >= 0 && *limit.share <= 1)));
            break;
        }
        case ValueType::share:
            REQUIRE(parse_share_or_count(value).value.value().share);
            break;
        case ValueType::weekdays:
            REQUIRE(parse_weekdays(value).value.value().any());
            break;
        case ValueType::lookback:
            REQUIRE(parse_lookback(value));
            break;
        case ValueType::rate:
            REQUIRE(parse_rate(value).value.value().count() > 0);
            break;
        case ValueType::pointer:
            // What the connector hands to the JSON library, which refuses others by an exception.
            (void)nlohmann::json::json_pointer(std::string(value.substr(value.starts_with('!') ? 1 : 0)));
            break;
        case ValueType::text_map:
        case ValueType::json_options: {
            const auto object = nlohmann::json::parse(value);
            REQUIRE(object.is_object());
            const bool is_map = option.type == ValueType::text_map;
            for (const auto& member : object) REQUIRE(!is_map || (member.is_primitive() && !member.is_null()));
            break;
        }
        case ValueType::json_object: {
            auto object = nlohmann::json::parse(value);
            for (const auto& [name, expression] : object.items()) {
                auto text = expression.get<std::string>();
                REQUIRE(!trim(text).empty());
                // It is cut at a zero byte when it becomes SQL.
                REQUIRE(text.find('\0') == std::string::npos && name.find('\0') == std::string::npos);
            }
            break;
        }
        case ValueType::connection_string: {
            auto keywords = parse_connection_string(value);
            REQUIRE(keywords);
            for (const auto& [keyword, text] : *keywords) {
                auto meant = option_of_keyword(keyword);
                REQUIRE(meant != "user" && meant != "password");
            }
            [[fallthrough]];
        }
        case ValueType::text:
        case ValueType::name:
            REQUIRE(value.find('\0') == std::string_view::npos);
            REQUIRE(option.secret || !trim(value).empty());
            REQUIRE(option.type != ValueType::name || value.find_first_of("\n\r\t") == std::string_view::npos);
    }
}

void check_problem(const OptionProblem& problem) {
    REQUIRE(!problem.message.empty());
    REQUIRE(problem.detail.empty() || problem.detail.back() == '.');
    REQUIRE(problem.hint.empty() || problem.hint.back() == '.');
}

// What is wrong with a secret tells nothing of it. Its marks can't stand in the words of a hint by chance.
void check_hidden(Where where, Kind kind, std::string_view name, std::string_view value) {
    const std::string secret = "s3cr3t" + std::string(value) + "s3cr3t";
    const auto problem = check_option(where, kind, name, secret);
    if (!problem) return;
    for (const std::string& text : {problem->message, problem->detail, problem->hint}) {
        REQUIRE(text.find("s3cr3t") == std::string::npos);
    }
}

// A value that means the same as the given one for the parsers of values, which ignore what surrounds it.
void check_values(std::string_view text) {
    std::string padded = " \t" + std::string(text) + "\n";
    REQUIRE(parse_integer(padded).value == parse_integer(text).value);
    REQUIRE(parse_duration(padded).value == parse_duration(text).value);
    REQUIRE(parse_size(padded).value == parse_size(text).value);
    REQUIRE(parse_share_or_count(padded).value == parse_share_or_count(text).value);
    if (auto number = parse_integer(text)) REQUIRE(*parse_integer(std::to_string(*number)) == *number);
    if (auto duration = parse_duration(text)) REQUIRE(duration->count() >= 0 && *duration <= longest_duration);
    if (auto bytes = parse_size(text)) REQUIRE(*bytes >= 0);
    std::string quoted = quote_for_message(text);
    REQUIRE(quoted.size() <= 66 && quoted.find_first_of("\n\r\t\0") == std::string::npos);
}

FUZZ_TARGET(options) {
    static constexpr Where places[] = {Where::server, Where::mapping, Where::stream, Where::other};
    const auto place = input.below(8);
    Where where = places[place % 4];
    const Kind kind = place < 4 ? Kind::odbc : Kind::rest;
    OptionMap options;
    bool all_accepted = true;
    for (int given = 0; given < 4 && !input.empty(); given++) {
        // A number stands for the option of that place in the table; a name for itself.
        auto name = input.line();
        auto number = parse_integer(name);
        if (number && *number >= 0) name = all_options()[static_cast<std::size_t>(*number) % all_options().size()].name;
        auto value = input.line();
        const Option* option = find_option(where, name);
        auto problem = check_option(where, kind, name, value);
        REQUIRE(problem || option != nullptr);
        if (problem) {
            check_problem(*problem);
        } else {
            check_accepted(*option, value);
        }
        if (option != nullptr && option->secret) check_hidden(where, kind, name, value);
        check_values(value);
        // A set is accepted only where each of its members is.
        if (options.emplace(name, value).second) all_accepted = all_accepted && !problem;
    }
    auto problem = check_option_set(where, kind, options);
    REQUIRE(problem || all_accepted);
    if (problem) check_problem(*problem);
}

}  // namespace
}  // namespace insync
