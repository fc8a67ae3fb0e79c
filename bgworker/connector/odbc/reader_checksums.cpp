// Measures of groups of rows, from one statement to frames; see reader.hpp.
#include <cstdlib>

#include "bgworker/connector/odbc/reader.hpp"
#include "bgworker/connector/odbc/sql/checksum_statements.hpp"
#include "bgworker/connector/output/json_of.hpp"

namespace insync::odbc {

namespace {

// The frame of one group, from the row that tells of it.
nlohmann::json group_frame(const Measures& measures, Dialect dialect, const TextRow& row) {
    std::size_t at = 0;
    nlohmann::json frame = {{"group", nullptr}};
    if (measures.time || measures.blocks > 0) {
        const std::optional<std::string>& group = row.at(at++);
        if (group) frame["group"] = json_of(measures.time ? time_of_group(*group) : group);
    }
    auto count = [&] { return std::strtoll(row.at(at++).value_or("0").c_str(), nullptr, 10); };
    frame["rows"] = count();
    if (measures.unsettled_from) frame["unsettled"] = count();
    if (!measures.sums.empty()) {
        nlohmann::json sums = nlohmann::json::array();
        for (std::size_t i = 0; i < measures.sums.size(); i++) {
            const std::optional<std::string>& sum = row.at(at++);
            if (dialect == Dialect::sqlite) {
                const std::optional<std::string>& low = row.at(at++);
                sums.push_back(sum ? nlohmann::json(sum_of_halves(*sum, low.value_or("0"))) : nlohmann::json());
            } else {
                sums.push_back(sum ? nlohmann::json(number_text(*sum)) : nlohmann::json());
            }
        }
        frame["sums"] = sums;
    }
    if (!measures.hash.empty()) frame["hash"] = row.at(at++).value_or("0");
    return frame;
}

}  // namespace

// MySQL hashes a text's bytes as they are stored; only those of UTF-8 are what arrives.
void Reader::set_charsets(Measures& measures, const Bounds& bounds) {
    const StatementText statement = charsets_statement(plan_, measures, bounds);
    if (statement.sql.empty()) return;
    const std::vector<TextRow> rows = connection_.query(statement.sql, statement.parameters);
    if (rows.empty()) return;
    std::size_t at = 0;
    for (auto* columns : {&measures.key, &measures.hash}) {
        for (HashedColumn& hashed : *columns) {
            if (hashed.column.type != Transport::text) continue;
            const std::string charset = rows[0].at(at++).value_or("");
            hashed.is_utf8 = charset.starts_with("utf8") || charset == "ascii";
        }
    }
}

nlohmann::json Reader::measure(const MeasureRequest& request) {
    prepare_plan();
    read_clock();
    const Bounds bounds;
    Measures measures = make_measures(plan_, request);
    if (plan_.dialect == Dialect::sqlite && measures.time) set_layout(*measures.time);
    if (plan_.dialect == Dialect::mysql) set_charsets(measures, bounds);
    const StatementText statement = measure_statement(plan_, measures, bounds);
    nlohmann::json without_time;  // its counts may come in several groups
    for (const TextRow& row : connection_.query(statement.sql, statement.parameters)) {
        const nlohmann::json group = group_frame(measures, plan_.dialect, row);
        if (!measures.time || !group["group"].is_null()) {
            out_.send(wire::FrameType::result, group);
        } else if (without_time.is_null()) {
            without_time = group;
        } else {
            for (const char* count : {"rows", "unsettled"}) {
                if (group.contains(count)) {
                    without_time[count] = without_time[count].get<std::int64_t>() + group[count].get<std::int64_t>();
                }
            }
        }
    }
    if (!without_time.is_null()) out_.send(wire::FrameType::result, without_time);
    nlohmann::json done = {{"complete", true}, {"source_now", json_of(clock_)}, {"hash_kind", nullptr}};
    // What the target's side has to know to hash the same.
    auto add_format = [&](const char* name, const std::vector<HashedColumn>& columns) {
        if (columns.empty()) return;
        RowFormat format{hash_kind(plan_.dialect), {}};
        for (const HashedColumn& hashed : columns) format.columns.push_back(hashed.format);
        done["hash_kind"] = name_of(format.kind);
        done[name] = to_text(format);
    };
    add_format("hash_format", measures.hash);
    add_format("key_format", measures.key);
    return done;
}

}  // namespace insync::odbc
