// Source names, queries, connection strings and driver errors.
#include <gtest/gtest.h>

#include "bgworker/connector/odbc/catalog.hpp"
#include "bgworker/connector/odbc/connect_string.hpp"
#include "bgworker/connector/odbc/diagnostics.hpp"
#include "bgworker/connector/odbc/tls.hpp"
#include "bgworker/options/source_name.hpp"

namespace insync {
namespace {

using Parts = std::vector<std::string>;

TEST(ConnectorSourceName, PartsAndQuotes) {
    EXPECT_EQ(parse_source_name("ventas"), Parts({"ventas"}));
    EXPECT_EQ(parse_source_name(" dbo . Ventas "), Parts({"dbo", "Ventas"}));
    EXPECT_EQ(parse_source_name("[erp].[dbo].[a]]b]"), Parts({"erp", "dbo", "a]b"}));
    EXPECT_EQ(parse_source_name("`sh``op`.\"t\"\"x.y\""), Parts({"sh`op", "t\"x.y"}));
    EXPECT_EQ(parse_source_name("Order Details"), Parts({"Order Details"}));
}

TEST(ConnectorSourceName, ADiscoveredNameIsReadBackAsItself) {
    EXPECT_EQ(odbc::source_text({"dbo", "Order Details"}), "dbo.Order Details");
    for (const Parts& parts : {Parts{"\tname"},
                               {"a", "name\r"},
                               {" a ", "b.c"},
                               {"\"x\"", "[y]"},
                               {"/*", "*/select y"},
                               {"select x"},
                               {"--", "b"}}) {
        const std::string text = odbc::source_text(parts);
        EXPECT_EQ(parse_source_name(text), parts) << text;
        EXPECT_FALSE(is_query(text)) << text;
    }
}

TEST(ConnectorSourceName, RefusesWhatIsNoName) {
    for (const char* text : {"", "a.", ".a", "a.b.c.d", "\"open", "a;b", "\"a\"b"}) {
        EXPECT_EQ(parse_source_name(text), std::nullopt) << text;
    }
}

TEST(ConnectorSourceName, TellsQueriesFromTables) {
    EXPECT_TRUE(is_query("select 1"));
    EXPECT_TRUE(is_query(" -- changes\n/* all */ WITH x AS (SELECT 1) SELECT * FROM x"));
    EXPECT_TRUE(is_query("SELECT\n*"));
    EXPECT_FALSE(is_query("selections"));
    EXPECT_FALSE(is_query("with.items"));
    EXPECT_FALSE(is_query("select"));
}

OpenRequest request_for(nlohmann::json server) {
    OpenRequest request;
    request.server = std::move(server);
    request.credentials["user"] = "etl";
    request.credentials["password"] = "p;w}d";
    return request;
}

TEST(ConnectorConnectString, EscapesValues) {
    EXPECT_EQ(odbc::escape_value("plain-1.2"), "plain-1.2");
    EXPECT_EQ(odbc::escape_value("a;b}c"), "{a;b}}c}");
    EXPECT_EQ(odbc::escape_value(""), "{}");
}

TEST(ConnectorConnectString, SpeaksEachDriversKeywords) {
    auto built = [](nlohmann::json server) { return odbc::build_connect_string(request_for(std::move(server))); };
    const nlohmann::json place = {{"host", "db.example"}, {"port", "1234"}, {"database", "shop"}};
    auto with = [&](const char* driver) {
        nlohmann::json server = place;
        server["driver"] = driver;
        return built(server);
    };
    const std::string login = "UID=etl;PWD={p;w}}d};", plain = "UID=etl;PWD=pwd;";
    auto with_plain = [&](const char* driver) {
        OpenRequest request = request_for(place);
        request.server["driver"] = driver;
        request.credentials["password"] = "pwd";
        return odbc::build_connect_string(request);
    };
    EXPECT_EQ(with("MariaDB Unicode"),
              "DRIVER={MariaDB Unicode};SERVER=db.example;PORT=1234;TCPIP=1;DATABASE=shop;CHARSET=utf8mb4;" + login);
    EXPECT_EQ(with_plain("FreeTDS"),
              "DRIVER={FreeTDS};SERVER=db.example;PORT=1234;TDS_Version=7.4;ClientCharset=UTF-8;"
              "ApplicationIntent=ReadOnly;DATABASE=shop;APP=pg_insync;" +
                  plain);
    EXPECT_EQ(with("ODBC Driver 18 for SQL Server"),
              "DRIVER={ODBC Driver 18 for SQL Server};SERVER=db.example,1234;ApplicationIntent=ReadOnly;DATABASE=shop;"
              "APP=pg_insync;" +
                  login);
    EXPECT_EQ(with_plain("Oracle 21 ODBC driver"),
              "DRIVER={Oracle 21 ODBC driver};DBQ=//db.example:1234/shop;FEN=T;" + plain);
    EXPECT_NE(with("PostgreSQL Unicode").find("Servername=db.example;Port=1234;Database=shop;BoolsAsChar=0;"),
              std::string::npos);
    EXPECT_EQ(with_plain("Something Else"),
              "DRIVER={Something Else};SERVER=db.example;PORT=1234;DATABASE=shop;" + plain);
    OpenRequest named = request_for({{"dsn", "erp"}});
    named.credentials["password"] = "pwd";
    EXPECT_EQ(odbc::build_connect_string(named), "DSN=erp;" + plain);
}

TEST(ConnectorConnectString, CredentialsAddNoKeywords) {
    auto built = [](const char* driver, const char* user, const char* password) {
        OpenRequest request = request_for({{"driver", driver}, {"host", "h"}, {"database", "/d"}});
        request.credentials["user"] = user;
        request.credentials["password"] = password;
        return odbc::build_connect_string(request);
    };
    // SQLite's driver reads to the next semicolon, braces or not; FreeTDS takes "}}" for an end.
    EXPECT_EQ(built("SQLite3", "u;LoadExt=/x.so", "p;Tracefile=/x").find("=/x"), std::string::npos);
    EXPECT_THROW(built("FreeTDS", "u", "p};DumpFile=/x;a={"), Failure);
    EXPECT_THROW(built("FreeTDS", "u};DumpFile=/x;a={", "p"), Failure);
    EXPECT_NE(built("FreeTDS", "u", "p;x").find("PWD={p;x};"), std::string::npos);
    // Of a driver that nobody has tried neither is known.
    EXPECT_THROW(built("Something Else", "u", "p;x=y"), Failure);
    EXPECT_THROW(built("Oracle 21 ODBC driver", "u", "p}"), Failure);
}

TEST(ConnectorConnectString, PsqlodbcWritesNoLog) {
    OpenRequest request = request_for({{"driver", "PostgreSQL Unicode"}, {"driver_options", "CommLog=1;Debug=1"}});
    const std::string text = odbc::build_connect_string(request);
    EXPECT_GT(text.rfind("CommLog=0;"), text.rfind("CommLog=1;"));
    EXPECT_GT(text.rfind("Debug=0;"), text.rfind("Debug=1;"));
}

TEST(ConnectorConnectString, UsersOptionsStandBeforeOurs) {
    const std::string text = odbc::build_connect_string(request_for(
        {{"driver", "SQLite3"}, {"database", "/data/shop.db"}, {"driver_options", "Timeout=5;StepAPI=1;"}}));
    EXPECT_LT(text.find("StepAPI=1"), text.find("StepAPI=0"));
    EXPECT_NE(text.find("Database=/data/shop.db;NoCreat=1;"), std::string::npos);
}

TEST(ConnectorConnectString, ADriversNameStaysAName) {
    OpenRequest request;
    request.server = {{"driver", "my}driver;UID=x"}};
    EXPECT_EQ(odbc::build_connect_string(request), "DRIVER={my}}driver;UID=x};");
}

TEST(ConnectorConnectString, FindsThePasswordsThatMustNotBeRepeated) {
    EXPECT_EQ(odbc::passwords_in("DSN=x;PWD=top secret;UID=a"), Parts({"top secret"}));
    EXPECT_EQ(odbc::passwords_in("UID={a=b;c};Password={p;w}}d};X=1"), Parts({"{p;w}}d}", "p;w}d"}));
    EXPECT_EQ(odbc::passwords_in("DSN=x"), Parts());
    EXPECT_EQ(odbc::passwords_in("DSN=x; ;\tPWD=a"), Parts({"a"}));
    EXPECT_EQ(odbc::passwords_in("PWD= top secret ;pass word= {b}"),
              Parts({" top secret ", "top secret", " {b}", "{b}", "b"}));
}

TEST(ConnectorTls, SpeaksEachDriversKeywordsOrRefuses) {
    using odbc::Tls;
    auto words = [](const char* driver, Tls tls, const char* ca = "") {
        std::string text;
        for (const auto& [keyword, value] : odbc::tls_keywords(driver, tls, ca)) text += keyword + "=" + value + ";";
        return text;
    };
    EXPECT_EQ(words("FreeTDS", Tls::require), "Encryption=require;");
    EXPECT_EQ(words("FreeTDS", Tls::prefer), "Encryption=request;");
    EXPECT_THROW(words("FreeTDS", Tls::verify), Failure);
    EXPECT_EQ(words("ODBC Driver 18 for SQL Server", Tls::verify), "Encrypt=yes;TrustServerCertificate=no;");
    EXPECT_EQ(words("ODBC Driver 18 for SQL Server", Tls::require), "Encrypt=yes;TrustServerCertificate=yes;");
    EXPECT_THROW(words("ODBC Driver 18 for SQL Server", Tls::verify, "/ca.crt"), Failure);
    EXPECT_EQ(words("MariaDB Unicode", Tls::verify, "/ca.crt"), "FORCETLS=1;SSLVERIFY=1;SSLCA=/ca.crt;");
    EXPECT_EQ(words("PostgreSQL Unicode", Tls::verify, "/ca.crt"), "SSLmode=verify-full;pqopt=sslrootcert=/ca.crt;");
    EXPECT_THROW(words("Oracle", Tls::require), Failure);
    EXPECT_THROW(words("SQLite3", Tls::verify), Failure);
    for (const char* driver : {"FreeTDS", "MariaDB Unicode", "Oracle", "SQLite3"})
        EXPECT_EQ(words(driver, Tls::unset), "");
}

TEST(ConnectorTls, WordsThatADriverIgnoresAreRefused) {
    using odbc::Tls;
    auto check = [](const char* driver, const char* text, Tls tls = Tls::unset) {
        odbc::check_tls_words(driver, tls, text);
    };
    for (const char* text :
         {"Encrypt=yes", "encrypt = yes", "TrustServerCertificate=no", "SSLmode=require", "Use_SSL=1"})
        EXPECT_THROW(check("FreeTDS", text), Failure) << text;
    EXPECT_NO_THROW(check("FreeTDS", "Encryption=require"));
    EXPECT_THROW(check("FreeTDS", "Encryption=off", Tls::require), Failure);
    EXPECT_NO_THROW(check("ODBC Driver 18 for SQL Server", "Encrypt=yes"));
    EXPECT_NO_THROW(check("a driver of its own", "SSL=1"));
    EXPECT_NO_THROW(check("MariaDB Unicode", "CHARSET=utf8"));
}

TEST(ConnectorConnectString, NeedsADriver) {
    EXPECT_THROW(odbc::build_connect_string(request_for({{"host", "x"}})), Failure);
    EXPECT_THROW(odbc::build_connect_string(request_for({{"driver", "SQLite3"}})), Failure);
}

Failure failure_of(const char* state, int native, const char* message, odbc::Dialect dialect = odbc::Dialect::generic) {
    return odbc::failure_from({{state, native, message}}, dialect, "could not connect", {"secretpw", "UID=x;PWD=y"});
}

TEST(ConnectorDiagnostics, ClassFollowsTheState) {
    EXPECT_EQ(failure_of("08001", 0, "refused").kind, FailureClass::transient);
    EXPECT_TRUE(failure_of("08S01", 0, "lost").disconnected);
    EXPECT_EQ(failure_of("HYT00", 0, "timeout").kind, FailureClass::transient);
    EXPECT_EQ(failure_of("40001", 0, "deadlock").kind, FailureClass::transient);
    EXPECT_EQ(failure_of("28000", 0, "login failed").kind, FailureClass::auth);
    EXPECT_EQ(failure_of("42S02", 0, "no such table").kind, FailureClass::config);
    EXPECT_EQ(failure_of("IM002", 0, "no such DSN").kind, FailureClass::config);
    EXPECT_EQ(failure_of("01000", 0, "[unixODBC][Driver Manager]Can't open lib 'x' : file not found").kind,
              FailureClass::config);
    EXPECT_EQ(failure_of("22012", 0, "division by zero").kind, FailureClass::source);
}

TEST(ConnectorDiagnostics, EnginesAreKnownByTheirNumbers) {
    using odbc::Dialect;
    EXPECT_EQ(failure_of("HY000", 1045, "Access denied", Dialect::mysql).kind, FailureClass::auth);
    EXPECT_EQ(failure_of("HY000", 2002, "[ma-3.1.15]Can't connect").kind, FailureClass::transient);
    EXPECT_EQ(failure_of("HY000", 5, "database is locked", Dialect::sqlite).kind, FailureClass::transient);
    EXPECT_EQ(failure_of("42000", 18456, "Login failed", Dialect::sqlserver).kind, FailureClass::auth);
    EXPECT_EQ(
        failure_of("08001", 101, "FATAL:  password authentication failed for user \"x\"", Dialect::postgresql).kind,
        FailureClass::auth);
    EXPECT_TRUE(failure_of("HYT00", 0, "timeout", Dialect::sqlserver).disconnected);
    EXPECT_EQ(failure_of("HY000", 1017, "ORA-01017", Dialect::oracle).kind, FailureClass::auth);
}

TEST(ConnectorDiagnostics, NoSecretIsRepeated) {
    const Failure failure = failure_of("HY000", 0, "[a][b]bad secretpw in UID=x;PWD=y.\n");
    EXPECT_EQ(failure.message, "could not connect: bad *** in ***");
}

TEST(ConnectorDiagnostics, AShortSecretDoesNotMangleWords) {
    const Failure failure =
        odbc::failure_from({{"08001", 0, "role x does not exist"}}, odbc::Dialect::generic, "no", {"x"});
    EXPECT_EQ(failure.message, "no: role *** does not exist");
}

TEST(ConnectorDiagnostics, TheTellingRecordIsChosen) {
    const Failure failure = odbc::failure_from(
        {{"08001", 0, "[x]Unable to connect to data source"}, {"28000", 18456, "[x]Login failed for user 'sa'."}},
        odbc::Dialect::sqlserver, "could not connect", {});
    EXPECT_EQ(failure.kind, FailureClass::auth);
    EXPECT_EQ(failure.message, "could not connect: Login failed for user 'sa'");
    EXPECT_EQ(failure.detail, "The driver also said: Unable to connect to data source.");
}

}  // namespace
}  // namespace insync
