// Classifies driver errors; see diagnostics.hpp.
#include "bgworker/connector/odbc/diagnostics.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/protocol/text.hpp"

namespace insync::odbc {

namespace {

bool starts_with(const std::string& text, std::string_view prefix) {
    return text.rfind(prefix, 0) == 0;
}

bool is_one_of(int value, std::initializer_list<int> values) {
    return std::find(values.begin(), values.end(), value) != values.end();
}

struct Verdict {
    FailureClass kind = FailureClass::source;
    bool disconnected = false;
    int weight = 0;  // which of several records explains the failure best
    const char* hint = "";
};

// The engines' numbers for a right that is missing; some say the same of a table that isn't there.
bool lacks_right(const Diagnostic& record, Dialect dialect) {
    switch (dialect) {
        case Dialect::mysql:
            return is_one_of(record.native, {1142, 1143, 1044, 1370});
        case Dialect::sqlserver:
            return is_one_of(record.native, {229, 230, 916});
        case Dialect::oracle:
            return is_one_of(record.native, {1031, 41900});
        default:
            return record.sqlstate == "42501";
    }
}

constexpr const char* driver_hint = "Install the driver and register it in odbcinst.ini on the database server.";

Verdict by_state(const Diagnostic& record) {
    const std::string& state = record.sqlstate;
    if (starts_with(state, "28")) return {FailureClass::auth, false, 9, "Check user and password of the user mapping."};
    if (state == "IM002" || state == "IM003" || state == "IM004") {
        return {FailureClass::config, false, 8, driver_hint};
    }
    if (state == "01000" && contains(record.message, "open lib")) return {FailureClass::config, false, 8, driver_hint};
    if (state == "HYT00" || state == "HYT01" || state == "S1T00" || state == "55P03")
        return {FailureClass::transient, false, 7, ""};
    if (starts_with(state, "40") || state == "57014" || state == "70100")
        return {FailureClass::transient, false, 7, ""};
    if (starts_with(state, "57P") || starts_with(state, "53")) return {FailureClass::transient, true, 7, ""};
    if (starts_with(state, "3D") || starts_with(state, "3F")) return {FailureClass::config, false, 7, ""};
    if (starts_with(state, "42") || starts_with(state, "S0") || starts_with(state, "37")) {
        return {FailureClass::config, false, 6, ""};
    }
    if (starts_with(state, "08")) return {FailureClass::transient, true, 5, ""};
    if (state == "HY024" || state == "HYC00" || starts_with(state, "IM")) return {FailureClass::config, false, 4, ""};
    return {FailureClass::source, false, state.empty() || starts_with(state, "01") ? 0 : 1, ""};
}

Verdict by_engine(const Diagnostic& record, Dialect dialect, Verdict verdict) {
    const int native = record.native;
    const std::string& message = record.message;
    if (dialect == Dialect::mysql) {
        if (is_one_of(native, {1044, 1045, 1698}))
            return {FailureClass::auth, false, 9, "Check user, password and grants at the source."};
        if (native == 1049) return {FailureClass::config, false, 9, "Check the server option database."};
        if (is_one_of(native, {2006, 2013, 1053, 1927, 1080})) return {FailureClass::transient, true, 9, ""};
        if (is_one_of(native, {2002, 2003, 2005, 1040, 1203, 1226})) return {FailureClass::transient, true, 9, ""};
        if (is_one_of(native, {1205, 1213, 1969, 3024, 1317})) return {FailureClass::transient, false, 9, ""};
        if (is_one_of(native, {1142, 1143, 1146, 1054, 1064, 1356})) return {FailureClass::config, false, 9, ""};
    } else if (dialect == Dialect::sqlite) {
        if (is_one_of(native & 0xFF, {5, 6})) return {FailureClass::transient, false, 9, ""};
        if (is_one_of(native & 0xFF, {14, 23, 26, 8}))
            return {FailureClass::config, false, 9, "Check the server option database."};
        if ((native & 0xFF) == 1 && verdict.kind == FailureClass::source) return {FailureClass::config, false, 3, ""};
    } else if (dialect == Dialect::sqlserver) {
        if (is_one_of(native, {18456, 18452, 18470, 18487, 18488}))
            return {FailureClass::auth, false, 10, "Check user and password of the user mapping."};
        if (native == 4060 || native == 911)
            return {FailureClass::config, false, 10, "Check the server option database."};
        if (is_one_of(native, {1205, 1222, 3960, 601, 40501, 40613, 49918}))
            return {FailureClass::transient, false, 9, ""};
        // FreeTDS leaves the connection unusable after a timeout.
        if (verdict.kind == FailureClass::transient && record.sqlstate == "HYT00") verdict.disconnected = true;
    } else if (dialect == Dialect::postgresql) {
        if (contains(message, "password authentication failed") || contains(message, "no password supplied") ||
            contains(message, "no pg_hba.conf entry")) {
            return {FailureClass::auth, false, 9, "Check user and password of the user mapping."};
        }
        if (contains(message, "role \"") && contains(message, "\" does not exist")) {
            return {FailureClass::auth, false, 9, "Check user and password of the user mapping."};
        }
        if (contains(message, "\" does not exist") && starts_with(record.sqlstate, "08")) {
            return {FailureClass::config, false, 9, "Check the server option database and the user."};
        }
        if (contains(message, "connection to the server") || contains(message, "terminating connection") ||
            contains(message, "server closed the connection")) {
            return {FailureClass::transient, true, 9, ""};
        }
        // psqlodbc reports lost connections with states of its own.
        if (contains(message, "no connection to the server") || contains(message, "Could not send Query")) {
            return {FailureClass::transient, true, 9, ""};
        }
    } else if (dialect == Dialect::oracle) {
        if (is_one_of(native, {1017, 1005, 28000, 28001}))
            return {FailureClass::auth, false, 9, "Check user and password of the user mapping."};
        if (is_one_of(native, {3113, 3114, 3135, 1012, 12170, 12541, 12514, 12537, 1033, 1034, 1089})) {
            return {FailureClass::transient, true, 9, ""};
        }
        if (is_one_of(native, {942, 904, 900, 1031})) return {FailureClass::config, false, 9, ""};
        if (is_one_of(native, {1555, 60, 8177})) return {FailureClass::transient, false, 9, ""};
    }
    return verdict;
}

// No layer of ODBC cuts messages that are shorter.
constexpr std::size_t shortest_cut = 500;

std::string without_secrets(std::string text, const std::vector<std::string>& secrets) {
    auto is_word = [&](std::size_t at) {
        return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
    };
    for (const std::string& secret : secrets) {
        // A secret of a few letters is part of ordinary words; there it is removed only where it stands alone.
        const bool is_short = secret.size() < 4;
        std::size_t at = secret.empty() ? std::string::npos : text.find(secret);
        while (at != std::string::npos) {
            if (is_short && ((at > 0 && is_word(at - 1)) || is_word(at + secret.size()))) {
                at = text.find(secret, at + 1);
                continue;
            }
            text.replace(at, secret.size(), "***");
            at = text.find(secret, at + 3);
        }
        // A long message was cut somewhere on its way, perhaps in the middle of a secret.
        if (text.size() < shortest_cut) continue;
        std::size_t kept = std::min(secret.size(), text.size());
        while (kept > 0 && text.compare(text.size() - kept, kept, secret, 0, kept) != 0) kept--;
        if (kept > 0) text.replace(text.size() - kept, kept, "***");
    }
    return text;
}

}  // namespace

std::string without_prefixes(std::string message) {
    while (!message.empty() && message[0] == '[') {
        const std::size_t close = message.find(']');
        if (close == std::string::npos) break;
        message.erase(0, close + 1);
    }
    // psqlodbc's own addition to the server's message.
    if (const std::size_t added = message.find(";\nError while"); added != std::string::npos) message.erase(added);
    const auto is_edge = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '.' || c == '\t'; };
    while (!message.empty() && is_edge(message.back())) message.pop_back();
    while (!message.empty() && is_edge(message.front())) message.erase(0, 1);
    return message;
}

Failure failure_from(const std::vector<Diagnostic>& records, Dialect dialect, const std::string& action,
                     const std::vector<std::string>& secrets) {
    // Behind a DSN the engine isn't known before the connection stands, but the message's prefixes tell it.
    if (dialect == Dialect::generic && !records.empty()) {
        const std::string& message = records[0].message;
        dialect = dialect_of_driver(message.substr(0, message.rfind(']') + 1));
        if (contains(message, "[ma-")) dialect = Dialect::mysql;
    }
    const Diagnostic* best = nullptr;
    Verdict verdict;
    std::string others;
    for (const Diagnostic& record : records) {
        const Verdict candidate = by_engine(record, dialect, by_state(record));
        if (best == nullptr || candidate.weight > verdict.weight) {
            best = &record;
            verdict = candidate;
        }
    }
    if (best == nullptr) return Failure(FailureClass::source, action, "The driver gave no reason.");
    for (const Diagnostic& record : records) {
        if (&record != best && record.message != best->message) others += " " + without_prefixes(record.message) + ".";
    }
    auto clean = [&](const std::string& text) { return replaced_utf8(without_secrets(text, secrets)); };
    Failure failure(verdict.kind, clean(action + ": " + without_prefixes(best->message)),
                    others.empty() ? "" : clean("The driver also said:" + others), verdict.hint);
    failure.sqlstate = best->sqlstate;
    failure.no_permission = lacks_right(*best, dialect);
    failure.disconnected = verdict.disconnected;
    return failure;
}

}  // namespace insync::odbc
