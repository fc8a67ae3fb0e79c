// Encryption of the session; see tls.hpp.
#include "bgworker/connector/odbc/tls.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/options/connection_string.hpp"

namespace insync::odbc {

namespace {

// Where Debian and its relatives keep the authorities that the system trusts.
constexpr const char* system_authorities = "/etc/ssl/certs/ca-certificates.crt";

enum class Driver { sqlite, mariadb, psqlodbc, freetds, microsoft, other };

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
    return out;
}

Driver kind_of(const std::string& driver) {
    switch (dialect_of_driver(driver)) {
        case Dialect::sqlite:
            return Driver::sqlite;
        case Dialect::mysql:
            return Driver::mariadb;
        case Dialect::postgresql:
            return Driver::psqlodbc;
        case Dialect::sqlserver:
            return lower(driver).find("tds") != std::string::npos ? Driver::freetds : Driver::microsoft;
        default:
            return Driver::other;
    }
}

std::string name_of(Tls tls) {
    static constexpr const char* names[] = {"", "disable", "prefer", "require", "verify"};
    return names[static_cast<int>(tls)];
}

[[noreturn]] void refuse(const std::string& driver, Tls tls, const std::string& why, const std::string& hint) {
    throw Failure(FailureClass::config, "driver \"" + driver + "\" cannot guarantee option tls '" + name_of(tls) + "'",
                  why, hint);
}

// Words of encryption that some driver has. What of them this one knows is in known_words().
bool is_about_encryption(const std::string& word) {
    static constexpr std::array<std::string_view, 24> words = {"encrypt",
                                                               "encryption",
                                                               "trustservercertificate",
                                                               "hostnameincertificate",
                                                               "servercertificate",
                                                               "sslmode",
                                                               "ssl",
                                                               "usessl",
                                                               "requiressl",
                                                               "forcetls",
                                                               "tls",
                                                               "usetls",
                                                               "sslca",
                                                               "sslcapath",
                                                               "sslcert",
                                                               "sslkey",
                                                               "sslcipher",
                                                               "sslverify",
                                                               "tlsversion",
                                                               "tlspeerfp",
                                                               "sslverifyserver",
                                                               "tlsmode",
                                                               "encryptionmethod",
                                                               "validateservercertificate"};
    return std::find(words.begin(), words.end(), word) != words.end();
}

bool knows(Driver driver, const std::string& word) {
    auto one_of = [&](std::initializer_list<std::string_view> list) {
        return std::find(list.begin(), list.end(), word) != list.end();
    };
    switch (driver) {
        case Driver::mariadb:
            return one_of({"forcetls", "sslca", "sslcapath", "sslcert", "sslkey", "sslcipher", "sslverify",
                           "tlsversion", "tlspeerfp"});
        case Driver::psqlodbc:
            return one_of({"sslmode"});
        case Driver::freetds:
            return one_of({"encryption"});
        case Driver::microsoft:
            return one_of({"encrypt", "trustservercertificate", "hostnameincertificate", "servercertificate"});
        case Driver::sqlite:
            return false;
        case Driver::other:
            return true;  // nothing is known of it
    }
    return true;
}

}  // namespace

Tls tls_of(const nlohmann::json& server) {
    const auto found = server.find("tls");
    if (found == server.end() || !found->is_string()) return Tls::unset;
    for (Tls tls : {Tls::disable, Tls::prefer, Tls::require, Tls::verify}) {
        if (*found == name_of(tls)) return tls;
    }
    throw Failure(FailureClass::config, "invalid value for option \"tls\"", "",
                  "Set it to disable, prefer, require or verify.");
}

Keywords tls_keywords(const std::string& driver, Tls tls, const std::string& ca_file) {
    if (tls == Tls::unset) return {};
    const std::string authorities = ca_file.empty() ? system_authorities : ca_file;
    switch (kind_of(driver)) {
        case Driver::sqlite:
            if (tls == Tls::disable) return {};
            refuse(driver, tls, "A file has no connection that could be encrypted.", "Remove the option tls.");
        case Driver::mariadb:
            if (tls == Tls::disable) return {{"FORCETLS", "0"}};
            if (tls == Tls::require) return {{"FORCETLS", "1"}, {"SSLVERIFY", "0"}};
            if (tls == Tls::verify) return {{"FORCETLS", "1"}, {"SSLVERIFY", "1"}, {"SSLCA", authorities}};
            refuse(driver, tls, "It encrypts always or never.", "Set tls to require, verify or disable.");
        case Driver::psqlodbc:
            if (tls == Tls::verify) return {{"SSLmode", "verify-full"}, {"pqopt", "sslrootcert=" + authorities}};
            return {{"SSLmode", name_of(tls)}};
        case Driver::freetds:
            if (tls == Tls::disable) return {{"Encryption", "off"}};
            if (tls == Tls::prefer) return {{"Encryption", "request"}};
            if (tls == Tls::require) return {{"Encryption", "require"}};
            refuse(
                driver, tls, "FreeTDS verifies certificates by its file freetds.conf only.",
                "Set tls to require, with \"ca file\" and \"check certificate hostname\" in freetds.conf, or use the "
                "ODBC driver of Microsoft.");
        case Driver::microsoft:
            if (!ca_file.empty()) {
                refuse(driver, tls, "It trusts the authorities of the system only.",
                       "Remove the option tls_ca, and add the authority to the system's.");
            }
            if (tls == Tls::disable) return {{"Encrypt", "no"}};
            if (tls == Tls::require) return {{"Encrypt", "yes"}, {"TrustServerCertificate", "yes"}};
            if (tls == Tls::verify) return {{"Encrypt", "yes"}, {"TrustServerCertificate", "no"}};
            refuse(driver, tls, "It encrypts always or never.", "Set tls to require, verify or disable.");
        case Driver::other:
            break;
    }
    refuse(driver, tls, "How this driver encrypts sessions is not known.",
           "Remove the option tls, and write the driver's own keywords into driver_options or connection_string.");
}

void check_tls_words(const std::string& driver, Tls tls, const std::string& written) {
    const auto keywords = parse_connection_string(written);
    if (!keywords) return;
    const Driver kind = kind_of(driver);
    for (const auto& [keyword, value] : *keywords) {
        const std::string word = bare_keyword(keyword);
        if (!is_about_encryption(word)) continue;
        if (!knows(kind, word)) {
            throw Failure(FailureClass::config,
                          "driver \"" + driver + "\" does not know the keyword \"" + std::string(keyword) + "\"",
                          "The driver would ignore it, and the session would not be encrypted.",
                          "Use the server option in its place: ALTER SERVER ... OPTIONS (ADD tls 'require').");
        }
        if (tls != Tls::unset) {
            throw Failure(FailureClass::config,
                          "the keyword \"" + std::string(keyword) + "\" and the option \"tls\" exclude each other", "",
                          "Remove the keyword from driver_options or connection_string.");
        }
    }
}

std::optional<std::string> tls_statement(Dialect dialect) {
    switch (dialect) {
        case Dialect::mysql:
            return "SHOW SESSION STATUS LIKE 'Ssl_cipher'";  // name and value
        case Dialect::postgresql:
            return "SELECT CASE WHEN s.ssl THEN s.version || ', ' || s.cipher ELSE '' END FROM pg_catalog.pg_stat_ssl "
                   "AS "
                   "s WHERE s.pid = pg_catalog.pg_backend_pid()";
        case Dialect::sqlserver:
            return "SELECT CASE WHEN c.encrypt_option = 'TRUE' THEN 'TLS' ELSE '' END FROM sys.dm_exec_connections AS "
                   "c "
                   "WHERE c.session_id = @@SPID";
        default:
            return std::nullopt;
    }
}

std::string tls_words(Tls tls, const std::optional<std::string>& cipher) {
    if (!cipher) return "the source does not report whether the session is encrypted";
    if (cipher->empty()) return "the session is not encrypted: passwords and rows cross the network in clear";
    return "the session is encrypted (" + *cipher + "), and the certificate was " +
           (tls == Tls::verify ? "verified" : "not verified");
}

}  // namespace insync::odbc
