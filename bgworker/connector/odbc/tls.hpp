// Encryption of the session, by the server options tls and tls_ca: one set of words for all drivers.
//
// Each driver has keywords of its own, takes others' without a word, and then sends passwords in clear. So the promise
// of the option is translated into the keywords of the driver, refused where the driver cannot keep it, and checked
// once the session stands, where the engine tells. The keywords are those of the drivers' manuals: psqlodbc (SSLmode,
// pqopt), MariaDB Connector/ODBC (FORCETLS, SSLVERIFY, SSLCA), FreeTDS (Encryption), Microsoft ODBC Driver for SQL
// Server (Encrypt, TrustServerCertificate).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bgworker/connector/odbc/sql/dialect.hpp"

namespace insync::odbc {

// `unset`: what the driver does by itself.
enum class Tls { unset, disable, prefer, require, verify };
Tls tls_of(const nlohmann::json& server);

using Keywords = std::vector<std::pair<std::string, std::string>>;

// The keywords with which `driver` keeps the promise. Throws Failure (config) where it has none for it.
Keywords tls_keywords(const std::string& driver, Tls tls, const std::string& ca_file);

// Looks through keywords that a user wrote: one about encryption that this driver doesn't know would do nothing, and
// one that it does know would compete with the option. Throws Failure (config) with the right spelling.
void check_tls_words(const std::string& driver, Tls tls, const std::string& written);

// Selects, as its last column, the name of the session's cipher or protocol, empty where it is in clear; nothing where
// the engine has no such statement.
std::optional<std::string> tls_statement(Dialect dialect);

// What sync_test() says of a session with this answer of tls_statement().
std::string tls_words(Tls tls, const std::optional<std::string>& cipher);

}  // namespace insync::odbc
