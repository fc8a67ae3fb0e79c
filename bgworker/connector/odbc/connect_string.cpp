// Builds connection strings; see connect_string.hpp.
#include "bgworker/connector/odbc/connect_string.hpp"

#include <algorithm>
#include <cctype>
#include <tuple>

#include "bgworker/connector/odbc/sql/dialect.hpp"
#include "bgworker/connector/odbc/tls.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/options/connection_string.hpp"
#include "bgworker/options/values.hpp"

#include <odbcinst.h>

namespace insync::odbc {

namespace {

std::string in_braces(std::string_view value) {
    std::string text = "{";
    for (char c : value) {
        if (c == '}') text += c;
        text += c;
    }
    return text += '}';
}

class ConnectString {
  public:
    void add(std::string_view key, std::string_view value) {
        if (value.empty()) return;
        text_ += key;
        text_ += '=';
        text_ += escape_value(value);
        text_ += ';';
    }
    // Text that is in connection string syntax already.
    void add_raw(std::string raw) {
        while (!raw.empty() && (raw.back() == ';' || raw.back() == ' ')) raw.pop_back();
        if (!raw.empty()) text_ += raw + ';';
    }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
    return out;
}

// As SQLite's URIs have it.
std::string percent_encoded(std::string_view path) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string text;
    for (unsigned char c : path) {
        if (std::isalnum(c) || c == '/' || c == '_' || c == '-' || c == '.') {
            text += static_cast<char>(c);
        } else {
            text += {'%', digits[c >> 4], digits[c & 15]};
        }
    }
    return text;
}

void add_sqlite(ConnectString& out, const std::string& database, const OpenRequest& request) {
    if (!database.empty() && is_immutable(request.server)) {
        // Not in braces, which this driver takes for a part of the name; nothing in it needs them.
        out.add_raw("Database=file:" + percent_encoded(database) + "?immutable=1");
    } else {
        out.add("Database", database);
    }
    out.add("NoCreat", "1");  // a mistyped path is an error, not a new empty database
    out.add("StepAPI", "0");  // whole pages in memory, which is faster than a step a row
    out.add("NoWCHAR", "1");  // texts as UTF-8 bytes
    out.add("Timeout", std::to_string(request.lock_timeout_ms));  // for a writer's lock
}

void add_mysql(ConnectString& out, const std::string& host, const std::string& port, const std::string& database) {
    if (!host.empty() && host[0] == '/') {
        out.add("SOCKET", host);
    } else {
        out.add("SERVER", host);
        out.add("PORT", port);
        out.add("TCPIP", "1");
    }
    out.add("DATABASE", database);
    out.add("CHARSET", "utf8mb4");
}

void add_postgresql(ConnectString& out, const std::string& host, const std::string& port, const std::string& database) {
    out.add("Servername", host);
    out.add("Port", port);
    out.add("Database", database);
    out.add("BoolsAsChar", "0");
    out.add("TextAsLongVarchar", "1");
    out.add("UnknownsAsLongVarchar", "1");
    out.add("ByteaAsLongVarBinary", "1");
    out.add("MaxVarcharSize", "255");
    out.add("MaxLongVarcharSize", "0");  // unbounded: nothing is cut at the default of 8190 bytes
    out.add("UseServerSidePrepare", "1");
    out.add("LFConversion", "0");  // otherwise line feeds come with carriage returns on some builds
    out.add("UpdatableCursors", "0");
    out.add("RowVersioning", "0");
    out.add("KeepaliveTime", "60");
    // Its logs go to /tmp and hold the password. Of two values this driver takes the last, so nothing turns them on.
    out.add("Debug", "0");
    out.add("CommLog", "0");
}

bool is_freetds(const std::string& driver) {
    return lower(driver).find("tds") != std::string::npos;
}

void add_sqlserver(ConnectString& out, const std::string& driver, const std::string& host, const std::string& port,
                   const std::string& database) {
    if (is_freetds(driver)) {
        // host\instance goes without a port: the browser service tells it.
        out.add("SERVER", host);
        out.add("PORT", port.empty() && !host.empty() && host.find('\\') == std::string::npos ? "1433" : port);
        out.add("TDS_Version", "7.4");
        out.add("ClientCharset", "UTF-8");
    } else {
        out.add("SERVER", port.empty() ? host : host + "," + port);
    }
    out.add("ApplicationIntent", "ReadOnly");
    out.add("DATABASE", database);
    out.add("APP", "pg_insync");
}

void add_oracle(ConnectString& out, const std::string& host, const std::string& port, const std::string& database) {
    std::string address = database;
    if (!host.empty()) address = "//" + host + (port.empty() ? ":1521" : ":" + port) + "/" + database;
    out.add("DBQ", address);
    out.add("FEN", "T");  // report errors of fetches, never end a result early
}

void add_generic(ConnectString& out, const std::string& host, const std::string& port, const std::string& database) {
    out.add("SERVER", host);
    out.add("PORT", port);
    out.add("DATABASE", database);
}

// What each known driver needs to be read without loss, and the usual parts in its own keywords.
void add_defaults(ConnectString& out, const OpenRequest& request, const std::string& driver, const std::string& host,
                  const std::string& port, const std::string& database) {
    switch (dialect_of_driver(driver)) {
        case Dialect::sqlite:
            return add_sqlite(out, database, request);
        case Dialect::mysql:
            return add_mysql(out, host, port, database);
        case Dialect::postgresql:
            return add_postgresql(out, host, port, database);
        case Dialect::sqlserver:
            return add_sqlserver(out, driver, host, port, database);
        case Dialect::oracle:
            return add_oracle(out, host, port, database);
        case Dialect::generic:
            return add_generic(out, host, port, database);
    }
}

// The driver that a raw connection string names itself or through its DSN.
std::string driver_in(const std::string& connection_string) {
    const auto keywords = parse_connection_string(connection_string);
    if (!keywords) return "";
    for (const auto& [name, value] : *keywords) {
        if (lower(name) == "driver") return value;
        if (lower(name) == "dsn") return driver_of_dsn(value);
    }
    return "";
}

// Characters that a driver may take for the end of a text in braces, doubled or not. Whoever may write a user mapping
// could add keywords behind them: files to write, libraries to load.
std::string_view unquotable(const std::string& driver) {
    switch (dialect_of_driver(driver)) {
        case Dialect::mysql:
        case Dialect::postgresql:
            return "";
        case Dialect::sqlserver:
            return is_freetds(driver) ? "}" : "";
        default:
            return ";}";
    }
}

void add_credentials(ConnectString& out, const std::string& driver, const OpenRequest& request) {
    // A file has no users, and SQLite's driver knows no quotes: everything behind a semicolon is a keyword to it.
    if (dialect_of_driver(driver) == Dialect::sqlite) return;
    for (const auto& [keyword, name] : {std::pair{"UID", "user"}, std::pair{"PWD", "password"}}) {
        const std::string value = request.credential(name);
        if (const std::size_t at = value.find_first_of(unquotable(driver)); at != std::string::npos) {
            throw Failure(FailureClass::config,
                          std::string("the driver cannot be given a ") + name + " that contains \"" + value[at] + "\"",
                          "", "Choose another " + std::string(name) + " at the source.");
        }
        out.add(keyword, value);
    }
}

}  // namespace

std::string driver_of_dsn(const std::string& dsn) {
    char driver[1024] = "";
    SQLGetPrivateProfileString(dsn.c_str(), "Driver", "", driver, sizeof driver, "odbc.ini");
    return driver;
}

std::string escape_value(std::string_view value) {
    const bool plain = std::all_of(value.begin(), value.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == '/' || c == ':' || c == ',' || c == '\\';
    });
    return plain && !value.empty() ? std::string(value) : in_braces(value);
}

std::string option_text(const nlohmann::json& server, const char* name) {
    const auto found = server.find(name);
    if (found == server.end() || found->is_null()) return "";
    return found->is_string() ? found->get<std::string>() : found->dump();
}

bool is_immutable(const nlohmann::json& server) {
    const auto on = parse_boolean(option_text(server, "immutable"));
    return on && *on;
}

std::string build_connect_string(const OpenRequest& request) {
    const std::string driver = option_text(request.server, "driver");
    const std::string dsn = option_text(request.server, "dsn");
    const std::string given = option_text(request.server, "connection_string");
    const std::string host = option_text(request.server, "host");
    const std::string port = option_text(request.server, "port");
    const std::string database = option_text(request.server, "database");

    ConnectString out;
    const std::string driver_name = !given.empty() ? driver_in(given) : !dsn.empty() ? driver_of_dsn(dsn) : driver;
    const Tls tls = tls_of(request.server);
    check_tls_words(driver_name, tls, !given.empty() ? given : option_text(request.server, "driver_options"));
    const Keywords encryption = tls_keywords(driver_name, tls, option_text(request.server, "tls_ca"));
    // ODBC takes the first of several values of a key, so what the user wrote stands in front of our defaults.
    if (!given.empty()) {
        out.add_raw(given);
        add_defaults(out, request, driver_name, "", "", "");
    } else if (!dsn.empty()) {
        out.add("DSN", dsn);
        out.add_raw(option_text(request.server, "driver_options"));
        out.add("DATABASE", database);
        add_defaults(out, request, driver_name, "", "", "");
    } else if (!driver.empty()) {
        out.add_raw("DRIVER=" + in_braces(driver));
        out.add_raw(option_text(request.server, "driver_options"));
        if (dialect_of_driver(driver) == Dialect::sqlite && database.empty()) {
            throw Failure(FailureClass::config, "server option \"database\" is not set", "",
                          "Set it to the path of the SQLite file.");
        }
        add_defaults(out, request, driver, host, port, database);
    } else {
        throw Failure(FailureClass::config, "the server names no driver", "",
                      "Set one of the server options driver, dsn and connection_string.");
    }
    for (const auto& [keyword, value] : encryption) out.add(keyword, value);
    add_credentials(out, driver_name, request);
    return out.text();
}

std::vector<std::string> passwords_in(std::string_view text) {
    static constexpr std::string_view blanks = " \t\n\v\f\r";
    std::vector<std::string> found;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t equals = text.find('=', at);
        if (equals == std::string_view::npos) break;
        std::string key = lower(text.substr(at, equals - at));
        key.erase(0, key.rfind(';') + 1);  // parts without a value, empty ones for instance
        std::erase_if(key, [](char c) { return blanks.find(c) != std::string_view::npos; });
        std::size_t end = std::min(text.find_first_not_of(blanks, equals + 1), text.size());
        std::string value;
        if (end < text.size() && text[end] == '{') {
            for (end++; end < text.size(); end++) {
                if (text[end] == '}' && (end + 1 >= text.size() || text[end + 1] != '}')) break;
                if (text[end] == '}') end++;
                value += text[end];
            }
            end = std::min(end + 1, text.size());
        }
        const std::size_t stop = std::min(text.find(';', end), text.size());
        if (key == "pwd" || key == "password") {
            const std::string_view written = text.substr(equals + 1, stop - equals - 1);
            for (std::string_view spelling : {written, trim(written), std::string_view(value)}) {
                if (!spelling.empty() && std::find(found.begin(), found.end(), spelling) == found.end()) {
                    found.emplace_back(spelling);
                }
            }
        }
        at = stop + 1;
    }
    return found;
}

}  // namespace insync::odbc
