// The checks between options; see check_sets.hpp.
#include "bgworker/options/check_sets.hpp"

#include <vector>

#include "bgworker/options/connection_string.hpp"

namespace insync {

namespace {
using Problem = std::optional<OptionProblem>;

}  // namespace

// What is wrong between the options of a server.
Problem check_odbc_server_set(const OptionMap& options) {
    std::vector<std::string_view> ways;
    for (std::string_view way : {"connection_string", "driver", "dsn"}) {
        if (options.contains(way)) {
            ways.push_back(way);
        }
    }
    if (ways.empty()) {
        return OptionProblem{"one of the options \"driver\", \"dsn\" and \"connection_string\" is required", "",
                             "For example: CREATE SERVER ... FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'MariaDB "
                             "Unicode', host '...', database '...')."};
    }
    if (ways.size() > 1) {
        return OptionProblem{
            "options " + quote_for_message(ways[0]) + " and " + quote_for_message(ways[1]) + " exclude each other", "",
            "Keep one: ALTER SERVER ... OPTIONS (DROP " + std::string(ways[1]) + ")."};
    }
    if (ways[0] == "connection_string") {
        for (std::string_view part : {"host", "port", "database", "driver_options"}) {
            if (options.contains(part)) {
                return OptionProblem{
                    "options \"connection_string\" and " + quote_for_message(part) + " exclude each other", "",
                    "Write it into the connection string, or use the option driver in its place."};
            }
        }
    }
    if (auto tls = options.find("tls");
        options.contains("tls_ca") && (tls == options.end() || tls->second != "verify")) {
        return OptionProblem{"option \"tls_ca\" requires the option \"tls\" set to \"verify\"", "",
                             "ALTER SERVER ... OPTIONS (ADD tls 'verify');"};
    }
    auto further = options.find("driver_options");
    if (further != options.end() && options.contains("host")) {
        auto keywords = parse_connection_string(further->second);
        for (const auto& [keyword, value] : *keywords) {
            if (bare_keyword(keyword) == "servername") {
                return OptionProblem{
                    "invalid value for option \"driver_options\"",
                    "The keyword " + quote_for_message(keyword) + " and the option \"host\" exclude each other.",
                    "Keep one of them."};
            }
        }
    }
    return std::nullopt;
}

// What is wrong between the options of a stream.
Problem check_stream_set(const OptionMap& options) {
    auto has = [&](std::string_view name) { return options.contains(name); };
    auto value_or_default = [&](std::string_view name) -> std::string_view {
        auto found = options.find(name);
        return found == options.end() ? find_option(Where::stream, name)->default_text : found->second;
    };
    auto requires_other = [](std::string_view name, std::string_view other, std::string hint) {
        return OptionProblem{"option " + quote_for_message(name) + " requires the option " + quote_for_message(other),
                             "", std::move(hint)};
    };
    std::string_view deletes = value_or_default("deletes");
    if (deletes == "soft" && !has("deleted_column")) {
        return OptionProblem{"option \"deletes\" set to \"soft\" requires the option \"deleted_column\"", "",
                             "Name the target's column that marks deleted rows, such as \"deleted_at\"."};
    }
    if (has("deleted_column") && deletes != "soft") {
        return requires_other("deleted_column", "deletes", "Set deletes to soft, or remove deleted_column.");
    }
    if (has("deleted_when") && deletes == "ignore") {
        return requires_other("deleted_when", "deletes", "Set deletes to soft or hard.");
    }
    if (has("delete_feed") && deletes == "ignore") {
        return requires_other("delete_feed", "deletes", "Set deletes to soft or hard.");
    }
    if (has("operation_column") && deletes == "ignore") {
        return requires_other("operation_column", "deletes", "Set deletes to soft or hard.");
    }
    if (value_or_default("reconcile_by") == "keys") {
        if (!has("reconcile"))
            return requires_other("reconcile_by", "reconcile", "Set how often the stream is compared.");
        if (deletes == "ignore") return requires_other("reconcile_by", "deletes", "Set deletes to soft or hard.");
        if (has("operation_column")) {
            return OptionProblem{"option \"reconcile_by\" set to \"keys\" and \"operation_column\" exclude each other",
                                 "A table of changes also has the keys of deleted rows.", ""};
        }
    }
    if (has("delete_values") && !has("operation_column")) {
        return requires_other("delete_values", "operation_column", "Name the source's column that holds these values.");
    }
    if (*parse_boolean(value_or_default("columns_only")) && !has("columns")) {
        return requires_other("columns_only", "columns", "Without columns, nothing would be written.");
    }
    if (*parse_integer(value_or_default("gap_critical")) < *parse_integer(value_or_default("gap_warning"))) {
        return OptionProblem{"option \"gap_critical\" must not be less than option \"gap_warning\"", "",
                             "A gap that is critical is a warning, too."};
    }
    if (has("initial_watermark") && value_or_default("mode") == "full") {
        return OptionProblem{"option \"initial_watermark\" is not allowed when \"mode\" is \"full\"",
                             "A full read always reads everything.", "Set mode to incremental."};
    }
    return std::nullopt;
}

// What is wrong between the options of a REST server.
Problem check_rest_server_set(const OptionMap& options) {
    auto value = [&](std::string_view name) -> std::string_view {
        auto found = options.find(name);
        return found == options.end() ? std::string_view() : std::string_view(found->second);
    };
    const std::string_view url = value("base_url");
    if (url.empty()) {
        return OptionProblem{"the option \"base_url\" is required", "",
                             "For example: CREATE SERVER ... FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url "
                             "'https://api.example.com/v1/')."};
    }
    if (const std::string_view tls = value("tls"); !tls.empty()) {
        const bool encrypted = to_lower(url.substr(0, 8)) == "https://", wanted = tls == "require" || tls == "verify";
        if (encrypted != wanted) {
            return OptionProblem{
                "options \"tls\" and \"base_url\" contradict each other",
                "An https URL is encrypted and its certificate verified in any case; an http URL never is.",
                wanted ? "Write https:// in base_url." : "Set tls to verify, or remove it."};
        }
    }
    for (std::string_view name : {"base_url", "token_url"}) {
        const std::string_view given = value(name);
        if (given.empty()) continue;
        const std::string lower = to_lower(given.substr(0, 8));
        // A path is seen from base_url.
        const bool is_path = name == "token_url" && given.find("://") == std::string_view::npos;
        if (!is_path && !lower.starts_with("http://") && !lower.starts_with("https://")) {
            return OptionProblem{"invalid value for option " + quote_for_message(name),
                                 "It is not an http or https URL.", ""};
        }
        const std::string_view authority = given.substr(0, given.find('/', given.find("://") + 3));
        if (authority.find('@') != std::string_view::npos) {
            return OptionProblem{
                "invalid value for option " + quote_for_message(name),
                "It holds a user or password, and every user can see the options of a server.",
                "Put them in the user mapping: CREATE USER MAPPING FOR ... SERVER ... OPTIONS (user '...', "
                "password '...')."};
        }
    }
    const std::string_view auth = value("auth");
    if ((auth == "header" || auth == "query") && !options.contains("auth_name") && !options.contains("preset")) {
        return OptionProblem{"option \"auth\" set to " + quote_for_message(auth) + " requires the option \"auth_name\"",
                             "", "Name the header or parameter that takes the token."};
    }
    return std::nullopt;
}

}  // namespace insync
