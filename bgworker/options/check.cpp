// The checks of single options and of whole sets of them; see table.hpp.
#include "bgworker/options/table.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "bgworker/options/check_json.hpp"
#include "bgworker/options/check_sets.hpp"
#include "bgworker/options/check_templates.hpp"
#include "bgworker/options/connection_string.hpp"
#include "bgworker/options/near_miss.hpp"
#include "bgworker/options/values_rest.hpp"
#include "bgworker/options/weekdays.hpp"

namespace insync {

namespace {
using Problem = std::optional<OptionProblem>;

// Names that other foreign-data wrappers, drivers, APIs and the other kind of server use for ours.
using Synonyms = std::span<const std::pair<std::string_view, std::string_view>>;
constexpr std::pair<std::string_view, std::string_view> odbc_synonyms[] = {
    {"address", "host"},           {"server", "host"},
    {"servername", "host"},        {"dbname", "database"},
    {"dbq", "database"},           {"uid", "user"},
    {"username", "user"},          {"user_name", "user"},
    {"pwd", "password"},           {"pass", "password"},
    {"odbc_driver", "driver"},     {"odbc_dsn", "dsn"},
    {"odbc_uid", "user"},          {"odbc_pwd", "password"},
    {"odbc_server", "host"},       {"odbc_port", "port"},
    {"odbc_database", "database"}, {"timeout", "query_timeout"},
};
constexpr std::pair<std::string_view, std::string_view> rest_synonyms[] = {
    {"url", "base_url"},          {"uri", "base_url"},       {"host", "base_url"},   {"endpoint", "base_url"},
    {"username", "user"},         {"user_name", "user"},     {"pass", "password"},   {"api_key", "token"},
    {"apikey", "token"},          {"access_token", "token"}, {"bearer", "token"},    {"secret", "client_secret"},
    {"parameters", "params"},     {"query", "params"},       {"limit", "page_size"}, {"page_rows", "page_size"},
    {"query_timeout", "timeout"}, {"rate_limit", "rate"},    {"ca_file", "tls_ca"},  {"cainfo", "tls_ca"},
};

// What sync_create() takes as arguments of its own.
constexpr std::string_view stream_arguments[] = {"server", "source", "target", "key", "watermark", "schedule"};

std::string place_name(Where where) {
    switch (where) {
        case Where::server:
            return "a server";
        case Where::mapping:
            return "a user mapping";
        case Where::stream:
            return "a stream";
        case Where::other:
            break;
    }
    return "a foreign-data wrapper or foreign table";
}

bool applies_at(const Option& option, Where where) {
    return (option.where & static_cast<unsigned>(where)) != 0;
}

// The statement that takes `option`, with '…' for what only the user knows, the value above all.
std::string where_to_put(const Option& option) {
    std::string name(option.name);
    if (applies_at(option, Where::mapping)) {
        return "Put it in the user mapping: CREATE USER MAPPING FOR ... SERVER ... OPTIONS (" + name + " '...').";
    }
    if (applies_at(option, Where::server)) {
        return "Put it in the server: ALTER SERVER ... OPTIONS (ADD " + name + " '...').";
    }
    return "Put it in the stream: sync_create(..., options => '{\"" + name + "\": \"...\"}').";
}

bool is_of(const Option& option, Kind kind) {
    return (option.kinds & static_cast<unsigned>(kind)) != 0;
}

std::vector<std::string_view> names_of(Where where, Kind kind) {
    std::vector<std::string_view> names;
    for (const Option& option : all_options()) {
        if (option.applies(where, kind)) {
            names.push_back(option.name);
        }
    }
    return names;
}

const Option* find_anywhere(std::string_view name) {
    auto options = all_options();
    auto found =
        std::find_if(options.begin(), options.end(), [&](const Option& option) { return option.name == name; });
    return found == options.end() ? nullptr : &*found;
}

// What to do about a name that isn't an option of `where`.
std::string hint_for_unknown(Where where, Kind kind, std::string_view name) {
    std::vector<std::string_view> here = names_of(where, kind);
    if (here.empty()) {
        return "There are no valid options in this context.";
    }
    std::string lower = to_lower(name);
    std::string meant = closest(name, here);
    for (const auto& [synonym, option] : kind == Kind::rest ? Synonyms(rest_synonyms) : Synonyms(odbc_synonyms)) {
        if (lower == synonym) {
            meant = option;
        }
    }
    if (meant.empty()) {
        std::vector<std::string_view> all;
        for (const Option& option : all_options()) {
            if (is_of(option, kind)) all.push_back(option.name);
        }
        meant = closest(name, all);
    }
    if (!meant.empty()) {
        const Option* option = find_anywhere(meant);
        bool elsewhere = !option->applies(where, kind);
        return "Perhaps you meant the option " + quote_for_message(meant) + "." +
               (elsewhere ? " " + where_to_put(*option) : "");
    }
    std::string list;
    for (std::string_view option : here) {
        list += (list.empty() ? "" : ", ") + std::string(option);
    }
    return "Valid options in this context are: " + list + ". See SELECT * FROM sync_options().";
}

OptionProblem unknown_option(Where where, Kind kind, std::string_view name) {
    std::string message = "invalid option " + quote_for_message(name);
    if (where == Where::stream &&
        std::find(std::begin(stream_arguments), std::end(stream_arguments), name) != std::end(stream_arguments)) {
        return {message, quote_for_message(name) + " is an argument of sync_create(), not an option.",
                "Write sync_create(..., " + std::string(name) + " => '...')."};
    }
    const Option* elsewhere = find_anywhere(name);
    if (elsewhere != nullptr && !is_of(*elsewhere, kind)) {
        const char* wrapper = kind == Kind::rest ? "insync_odbc" : "insync_rest";
        return {message, quote_for_message(name) + " is an option for sources of " + wrapper + " only.",
                hint_for_unknown(where, kind, name)};
    }
    if (elsewhere != nullptr) {
        auto owner = static_cast<Where>(elsewhere->where & ~(elsewhere->where - 1));
        return {
            message,
            quote_for_message(name) + " is an option of " + place_name(owner) + ", not of " + place_name(where) + ".",
            where_to_put(*elsewhere)};
    }
    return {message, "", hint_for_unknown(where, kind, name)};
}

// Credentials come first: a problem of another kind may quote a keyword, which could be part of a password that was
// written without braces.
Problem check_keywords(const Option& option, const ConnectionKeywords& keywords) {
    std::string message = "invalid value for option " + quote_for_message(option.name);
    for (const auto& [keyword, value] : keywords) {
        std::string_view meant = option_of_keyword(keyword);
        if (meant == "user" || meant == "password") {
            return OptionProblem{message,
                                 "The keyword " + quote_for_message(keyword) +
                                     " holds a credential, and every user can see the "
                                     "options of a server.",
                                 "Put it in the user mapping: CREATE USER MAPPING FOR ... SERVER ... OPTIONS (" +
                                     std::string(meant) + " '...')."};
        }
    }
    bool whole = option.name == "connection_string";
    bool names_driver = false;
    std::vector<std::string> seen;
    for (const auto& [keyword, value] : keywords) {
        std::string bare = bare_keyword(keyword);
        std::string_view meant = option_of_keyword(keyword);
        names_driver = names_driver || bare == "driver" || bare == "dsn";
        if (bare == "filedsn" || bare == "savefile") {
            return OptionProblem{
                message, "The keyword " + quote_for_message(keyword) + " would make the driver manager use a file.",
                "Use the option driver or dsn."};
        }
        // FreeTDS reads a section of its own configuration with Servername; with other drivers it is the host.
        if (!whole && !meant.empty() && bare != "servername") {
            return OptionProblem{message, "The keyword " + quote_for_message(keyword) + " is set by a separate option.",
                                 "Use the option " + std::string(meant) + "."};
        }
        if (std::find(seen.begin(), seen.end(), bare) != seen.end()) {
            return OptionProblem{message, "The keyword " + quote_for_message(keyword) + " occurs twice.", ""};
        }
        seen.push_back(std::move(bare));
    }
    if (whole && !names_driver) {
        return OptionProblem{message, "It names neither a driver nor a data source.",
                             "Begin it with Driver={...} or DSN=name."};
    }
    return std::nullopt;
}

template <typename Value>
ValueProblem problem_of(const Parsed<Value>& parsed, std::string hint) {
    return parsed ? ValueProblem{} : ValueProblem{parsed.error, std::move(hint)};
}

ValueProblem check_range(const Option& option, std::int64_t value) {
    std::string range = range_text(option);
    bool inside = range.empty() || (value >= option.min && value <= option.max);
    return inside ? ValueProblem{} : ValueProblem{"It is out of range.", "Valid values are " + range + "."};
}

ValueProblem check_text(const Option& option, std::string_view value) {
    constexpr std::size_t longest_name = 255;
    constexpr std::size_t longest_connection_text = 8192;  // drivers have buffers of a fixed size
    constexpr std::size_t longest_text = 1 << 20;
    if (value.find('\0') != std::string_view::npos) {
        return {"It contains a zero byte.", ""};
    }
    if (trim(value).empty() && !option.secret) {
        return {"It is empty.", ""};
    }
    std::size_t longest = option.type == ValueType::name      ? longest_name
                          : applies_at(option, Where::stream) ? longest_text
                                                              : longest_connection_text;
    if (value.size() > longest) {
        return {"It is longer than " + std::to_string(longest) + " bytes.", ""};
    }
    // A password may contain anything, and SQL may have several lines.
    bool one_line = option.type == ValueType::name || applies_at(option, Where::server);
    auto is_control = [&](char c) {
        if (option.several_lines && (c == '\n' || c == '\r' || c == '\t')) return false;
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    };
    if (one_line && std::any_of(value.begin(), value.end(), is_control)) {
        return {"It contains a control character.", ""};
    }
    return {};
}

ValueProblem check_enumeration(const Option& option, std::string_view value) {
    if (std::find(option.values.begin(), option.values.end(), value) != option.values.end()) {
        return {};
    }
    std::string meant = closest(value, option.values);
    std::string hint = meant.empty() ? "" : "Perhaps you meant " + quote_for_message(meant) + ". ";
    return {"", hint + "Valid values are " + values_text(option) + "."};
}

// A connection string may have a password where none belongs, and headers have tokens.
bool may_hold_secret(const Option& option, std::string_view value) {
    return option.secret || option.type == ValueType::connection_string || option.name == "headers" ||
           (option.type == ValueType::json_options && value.find("headers") != std::string_view::npos);
}

ValueProblem check_value(const Option& option, std::string_view value) {
    switch (option.type) {
        case ValueType::integer: {
            auto number = parse_integer(value);
            return number ? check_range(option, *number)
                          : problem_of(number, "Valid values are " + range_text(option) + ".");
        }
        case ValueType::duration: {
            auto time = parse_duration(value);
            return time ? check_range(option, time->count())
                        : problem_of(time, "Write it as '30 s', '10 minutes' or '1 hour 30 minutes'.");
        }
        case ValueType::size: {
            auto bytes = parse_size(value);
            return bytes ? check_range(option, *bytes) : problem_of(bytes, "Write it as '512 kB', '16 MB' or '1 GB'.");
        }
        case ValueType::boolean:
            return problem_of(parse_boolean(value), "Valid values are true or false.");
        case ValueType::enumeration:
            return check_enumeration(option, value);
        case ValueType::share_or_count:
            return problem_of(parse_share_or_count(value), "Write a share such as '5%' or a count such as '1000'.");
        case ValueType::share: {
            auto share = parse_share_or_count(value);
            if (share && !share->share) return {"It is not a share.", "Write it as '25%'."};
            return problem_of(share, "Write it as '25%'.");
        }
        case ValueType::weekdays:
            return problem_of(parse_weekdays(value), "Write it as 'mon-sat' or 'mon,wed,fri'.");
        case ValueType::lookback:
            return problem_of(parse_lookback(value),
                              "Write a time such as '10 minutes', or a count such as '1000' for an integer watermark.");
        case ValueType::json_object:
            return check_json_object(value);
        case ValueType::text_map:
            return option.name == "on_status" ? check_statuses(value) : check_text_map(value);
        case ValueType::json_options:
            return check_json_options(option, value);
        case ValueType::pointer: {
            const bool negated = option.name == "more_path" && value.starts_with('!');
            return is_json_pointer(value.substr(negated ? 1 : 0))
                       ? ValueProblem{}
                       : ValueProblem{"It is not a JSON pointer.", "Write it as /items or /data/rows."};
        }
        case ValueType::rate:
            return problem_of(parse_rate(value), "Write it as '2/s', '120/min' or '1000/h'.");
        case ValueType::text:
        case ValueType::name:
        case ValueType::connection_string:
            return check_text(option, value);
    }
    return {};
}

}  // namespace

Problem check_option(Where where, Kind kind, std::string_view name, std::string_view value) {
    const Option* option = find_option(where, name);
    if (option == nullptr || !option->applies(where, kind)) {
        return unknown_option(where, kind, name);
    }
    ValueProblem problem = check_value(*option, value);
    if (!problem.found() && option->is_template) problem = check_templates(*option, value);
    if (!problem.found() && option->name == "headers") problem = check_headers(value);
    if (problem.found()) {
        return OptionProblem{"invalid value for option " + quote_for_message(name) +
                                 (may_hold_secret(*option, value) ? "" : ": " + quote_for_message(value)),
                             problem.detail, problem.hint};
    }
    if (option->type == ValueType::connection_string) {
        auto keywords = parse_connection_string(value);
        if (!keywords) {
            return OptionProblem{"invalid value for option " + quote_for_message(name), keywords.error,
                                 "Write it as Keyword=Value;Keyword={value with a ; in it}."};
        }
        return check_keywords(*option, *keywords);
    }
    return std::nullopt;
}

Problem check_option_set(Where where, Kind kind, const OptionMap& options) {
    for (const auto& [name, value] : options) {
        if (auto problem = check_option(where, kind, name, value)) {
            return problem;
        }
    }
    switch (where) {
        case Where::server:
            return kind == Kind::rest ? check_rest_server_set(options) : check_odbc_server_set(options);
        case Where::stream:
            return check_stream_set(options);
        case Where::mapping:
        case Where::other:
            break;
    }
    return std::nullopt;
}

}  // namespace insync
