// A full read of some rows: those of a window, those with known keys; see reader.hpp.
#include <algorithm>

#include "bgworker/connector/odbc/reader.hpp"

namespace insync::odbc {

namespace {

// More would make statements that some engines plan slowly or refuse.
constexpr std::size_t keys_a_statement = 100;

constexpr std::size_t values_looked_at = 100;

}  // namespace

// SQLite keeps what it was given; how a column is written says how it compares with a bound.
void Reader::set_layout(TimeColumn& time) {
    const StatementText probe = some_values(plan_, time.reference, values_looked_at);
    std::vector<std::optional<std::string>> values;
    for (TextRow& row : connection_.query(probe.sql, probe.parameters)) values.push_back(std::move(row.at(0)));
    time.has_offsets = sqlite_has_offsets(time.column, values);
}

Keys Reader::next_keys(std::size_t first) const {
    const Keys& all = *request_.only;
    const std::size_t end = std::min(all.size(), first + keys_a_statement);
    Keys keys(all.begin() + static_cast<std::ptrdiff_t>(first), all.begin() + static_cast<std::ptrdiff_t>(end));
    for (const std::vector<std::string>& key : keys) {
        if (key.size() == plan_.key.size() && !key.empty()) continue;
        throw Failure(FailureClass::config, "a key to be read has " + std::to_string(key.size()) +
                                                " values, where the source's has " + std::to_string(plan_.key.size()));
    }
    return keys;
}

// The position counts the keys whose rows have been sent.
void Reader::run_only(const Bounds& bounds) {
    std::size_t done = 0;
    if (request_.position.is_object() && request_.position.value("phase", "") == "only") {
        done = request_.position.value("keys", std::size_t{0});
    }
    while (done < request_.only->size()) {
        start_ = position_ = {{"phase", "only"}, {"keys", done}};
        const Keys keys = next_keys(done);
        read_pages([&](const std::optional<After>& from) { return rows_of_keys(plan_, keys, from, bounds); },
                   std::nullopt, first_key(), [](const Cursor&, std::size_t, std::size_t) {});
        done += keys.size();
    }
    position_ = {{"phase", "done"}};
}

}  // namespace insync::odbc
