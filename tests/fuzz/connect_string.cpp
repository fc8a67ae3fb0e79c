// Connection strings: what is built says what the options say and nothing else, whatever their values hold; and no
// password of a text that drivers may quote stays unknown to what masks them.
#include "bgworker/connector/odbc/connect_string.hpp"

#include <algorithm>

#include "bgworker/connector/odbc/sql/dialect.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/options/connection_string.hpp"
#include "bgworker/options/table.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

std::string first_of(const ConnectionKeywords& keywords, std::string_view keyword) {
    for (const auto& [name, value] : keywords) {
        if (bare_keyword(name) == keyword) return value;
    }
    return "";
}

void check_passwords(std::string_view text) {
    auto keywords = parse_connection_string(text);
    if (!keywords) return;
    auto secrets = odbc::passwords_in(text);
    for (const auto& [name, value] : *keywords) {
        std::string bare = to_lower(name);
        if ((bare != "pwd" && bare != "password") || value.empty()) continue;
        REQUIRE(std::find(secrets.begin(), secrets.end(), value) != secrets.end());
    }
}

// A value written by escape_value and read by the parser is the same, between any others.
void check_escape(const std::string& value) {
    if (value.find('\0') != std::string::npos) return;
    auto keywords = parse_connection_string("A=1;B=" + odbc::escape_value(value) + ";C=2");
    REQUIRE(keywords && keywords->size() == 3);
    REQUIRE((*keywords)[1].second == value && (*keywords)[2].second == "2");
}

FUZZ_TARGET(connect_string) {
    static constexpr const char* drivers[] = {
        "SQLite3", "MariaDB Unicode", "PostgreSQL", "FreeTDS", "ODBC Driver 18 for SQL Server", "Oracle 21", "Other"};
    OpenRequest request;
    OptionMap options;
    bool own_driver = input.flag();
    std::string driver = drivers[input.below(std::size(drivers))];
    if (own_driver) driver = input.line();
    options["driver"] = driver;
    for (const char* name : {"host", "port", "database", "driver_options"}) {
        if (auto value = input.line(); !value.empty()) options[name] = value;
    }
    const std::string user(input.line()), password(input.line());
    request.credentials = {{"user", user}, {"password", password}};
    for (const auto& [name, value] : options) check_escape(value);
    check_escape(password);
    std::string text(input.rest());
    check_passwords(text);

    // Only what sync_options() lets through gets here.
    if (check_option_set(Where::server, Kind::odbc, options)) return;
    for (const std::string* credential : {&user, &password}) {
        if (check_option(Where::mapping, Kind::odbc, "password", *credential)) return;
    }
    for (const auto& [name, value] : options) request.server[name] = value;
    std::string built;
    try {
        built = odbc::build_connect_string(request);
    } catch (const Failure&) {
        // A file that isn't named, or a character that the driver can't be given.
        REQUIRE(!options.contains("database") || (user + password).find_first_of(";}") != std::string::npos);
        return;
    }
    auto keywords = parse_connection_string(built);
    REQUIRE(keywords);
    REQUIRE(first_of(*keywords, "driver") == driver);
    bool has_users = odbc::dialect_of_driver(driver) != odbc::Dialect::sqlite;
    REQUIRE(first_of(*keywords, "uid") == (has_users ? user : ""));
    REQUIRE(first_of(*keywords, "pwd") == (has_users ? password : ""));
    // Nothing comes twice, but for what the options say in front of the defaults.
    ConnectionKeywords further;
    if (options.contains("driver_options")) further = *parse_connection_string(options["driver_options"]);
    for (const auto& keyword : *keywords) {
        auto same = [&](const auto& other) { return bare_keyword(other.first) == bare_keyword(keyword.first); };
        auto times = std::count_if(keywords->begin(), keywords->end(), same);
        REQUIRE(times == 1 || std::any_of(further.begin(), further.end(), same));
    }
    check_passwords(built);
}

}  // namespace
}  // namespace insync
