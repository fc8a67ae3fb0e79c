// sync_ingest: rows that are pushed, by a webhook or any client, through the same batch and apply as those that are
// read.
//
// The watermark stays: a poll reads the row again, and finds it as it is at the source. Whoever is in the way, a run
// above all, is waited for a moment, then the caller is to come again, as senders of webhooks do.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
#include "utils/fmgrprotos.h"
}

#include <algorithm>
#include <set>
#include <utility>

#include "bgworker/apply/applier.hpp"
#include "bgworker/apply/json_records.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/runs.hpp"
#include "bgworker/catalog/server.hpp"
#include "bgworker/catalog/stream_lock.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/definition/define_stream.hpp"
#include "bgworker/options/near_miss.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/pg/settings.hpp"

using namespace insync;

namespace {

// The records by their number, as statements see them; $1 is what the caller gave.
constexpr const char* records_source =
    " FROM jsonb_array_elements(CASE jsonb_typeof($1::jsonb) WHEN 'array' THEN $1::jsonb ELSE "
    "jsonb_build_array($1::jsonb) END)"
    " WITH ORDINALITY AS i (item, number)";
// PostgreSQL allows 100 arguments.
constexpr std::size_t members_a_call = 40;

std::string jsonb_text(FunctionCallInfo call, int index, const char* name) {
    if (call->args[index].isnull)
        throw pg::Error(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string("argument \"") + name + "\" must not be null");
    Datum value = call->args[index].value;
    return pg::call([&] { return DatumGetCString(DirectFunctionCall1(jsonb_out, value)); });
}

// The JSON pointer of a column that option fields declares ("type /pointer"), as an array of text; empty: none.
std::vector<std::string> declared_pointer(const Stream& stream, const SourceColumn& column) {
    std::vector<std::string> parts;
    std::string declaration = text_member(stream.options.fields.value, column.name.c_str());
    auto start = declaration.find('/');
    if (start == std::string::npos) return parts;
    for (std::size_t i = start; i < declaration.size(); i++) {
        char c = declaration[i];
        if (c == '/') {
            parts.emplace_back();
        } else if (c == '~' && i + 1 < declaration.size()) {
            parts.back() += declaration[++i] == '1' ? '/' : '~';
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

// What the records of a call have in common: which of their members fills which column.
class Records {
  public:
    Records(const Stream& stream, std::string text)
        : stream_(stream), text_(std::move(text)), columns_(stream.source_columns) {
        pg::PinnedSettings settings;
        pg::Spi spi;
        for (auto& row : pg::query(std::string("SELECT DISTINCT m.name COLLATE \"C\"") + records_source +
                                       ", jsonb_object_keys(CASE jsonb_typeof(i.item) WHEN 'object' THEN i.item ELSE "
                                       "'{}' END) AS m (name) ORDER BY 1",
                                   {text_})
                             .rows)
            members_.push_back(*row[0]);
        for (const auto& column : columns_) {
            if (auto pointer = declared_pointer(stream_, column); !pointer.empty())
                known_members_.push_back(pointer[0]);
        }
        find_typos();
        add_new_columns();
        for (const auto& member : members_) {
            if (column_of(member) != nullptr) known_members_.push_back(member);
        }
        for (std::size_t i = 0; i < columns_.size(); i++) {
            record_ += i % members_a_call == 0 ? (i == 0 ? "jsonb_build_object(" : ") || jsonb_build_object(") : ", ";
            record_ += pg::quote_literal(columns_[i].field) + ", " + value_of(columns_[i]);
        }
        record_ += ")";
        encode_ = "SELECT " + record_values(columns_) + records_source + ", jsonb_to_record(" + record_ + ") AS r (" +
                  record_types(columns_) + ") WHERE jsonb_typeof(i.item) = 'object' AND NOT (" + misspelt() +
                  ") ORDER BY i.number";
        split();
    }

    // Batches of records, in their order.
    std::size_t parts() const { return parts_.size(); }
    const std::vector<SourceColumn>& columns() const { return columns_; }

    // Appends the records of a part; it can be read once.
    void read(std::size_t number, Batch& batch) {
        pg::PinnedSettings settings;
        pg::Spi spi;
        const std::string records = std::exchange(parts_[number].records, {});
        auto others = pg::query(
            std::string("SELECT i.item") + records_source + " WHERE jsonb_typeof(i.item) <> 'object' ORDER BY i.number",
            {records});
        for (const auto& row : others.rows) {
            batch.append_reject({{"record", {{"value", nlohmann::json::parse(*row[0])}}},
                                 {"sqlstate", "22023"},
                                 {"message", "the record is not a JSON object"}});
        }
        reject_typos(records, batch);
        encode(records, parts_[number].count, batch);
    }

  private:
    struct Part {
        std::string records;  // a JSON array
        std::int64_t count;
    };

    // Once for all batches: to find those of each among all of them would take the square of their number.
    void split() {
        const auto rows = pg::query(std::string("SELECT jsonb_agg(i.item ORDER BY i.number), count(*)") +
                                        records_source + " GROUP BY (i.number - 1) / $2::bigint ORDER BY min(i.number)",
                                    {std::exchange(text_, {}), std::to_string(settings::batch_rows())});
        for (const auto& row : rows.rows) parts_.push_back({*row[0], std::stoll(*row[1])});
    }

    // Appends records. Where one can't be converted, both halves for themselves, until it is alone: it is rejected.
    void encode(const std::string& records, std::int64_t count, Batch& batch) const {
        pg::check_interrupts();
        const auto refused = try_encode(records, batch);
        if (!refused) return;
        if (count == 1) return reject(records, *refused, batch);
        const std::int64_t half = count / 2;
        const auto halves = pg::query(std::string("SELECT jsonb_agg(i.item ORDER BY i.number) FILTER (WHERE i.number "
                                                  "<= $2::bigint), jsonb_agg(i.item ORDER BY i.number) FILTER (WHERE "
                                                  "i.number > $2::bigint)") +
                                          records_source,
                                      {records, std::to_string(half)});
        encode(*halves.first()[0], half, batch);
        encode(*halves.first()[1], count - half, batch);
    }

    // Appends records; what can't be converted is returned, and nothing appended.
    std::optional<pg::Error> try_encode(const std::string& records, Batch& batch) const {
        pg::Subtransaction subtransaction;
        try {
            auto rows = pg::query(encode_, {records});
            subtransaction.commit();
            for (const auto& row : rows.rows) append_record(batch, columns_, row);
            return std::nullopt;
        } catch (const pg::Error& error) {
            if (!error.is_data_fault()) throw;
            subtransaction.rollback();
            return error;
        }
    }

    // The only one of the records, by the names that sync_replay() looks for.
    void reject(const std::string& records, const pg::Error& reason, Batch& batch) const {
        // Numbers become texts, which keep their digits on the way and are numbers again in the column.
        auto rows = pg::query(
            "SELECT (SELECT jsonb_object_agg(m.key, CASE jsonb_typeof(m.value) WHEN 'number' THEN"
            " to_jsonb(m.value #>> '{}') ELSE m.value END) FROM jsonb_each(" +
                record_ + ") AS m), " + key_of_record() + records_source,
            {records});
        batch.append_reject({{"record", nlohmann::json::parse(*rows.first()[0])},
                             {"key", nlohmann::json::parse(*rows.first()[1])},
                             {"sqlstate", reason.state()},
                             {"message", reason.message}});
    }

    // SQL of type jsonb over i.item: the source's key, of texts.
    std::string key_of_record() const {
        std::string key;
        for (const auto& name : stream_.source_key) {
            const SourceColumn* column = find_field(columns_, fold_name(name));
            if (column == nullptr) continue;
            key +=
                (key.empty() ? "" : ", ") + pg::quote_literal(column->field) + ", " + value_of(*column) + " #>> '{}'";
        }
        return "jsonb_build_object(" + key + ")";
    }

    // SQL of type jsonb over i.item: what fills the column. JSON has one kind of numbers, and 5.0 is the integer 5. Of
    // texts, PostgreSQL would read a part: a time without its zone, a day without its time.
    std::string value_of(const SourceColumn& column) const {
        const std::string value = member_of(column);
        auto where = [&](const char* kind, const std::string& then) {
            return std::string("(SELECT CASE jsonb_typeof(v.value) WHEN '") + kind + "' THEN " + then +
                   " ELSE v.value END FROM (VALUES (" + value + ")) AS v (value))";
        };
        const std::string text = "(v.value #>> '{}')";
        switch (column.transport) {
            case Transport::int2:
            case Transport::int4:
            case Transport::int8:
                return where("number", "to_jsonb(trim_scale(v.value::numeric))");
            case Transport::timestamp:
                return where("string", "to_jsonb(" + text + "::timestamptz AT TIME ZONE 'UTC')");
            case Transport::date:
                return where("string", "CASE WHEN " + text + "::date = " + text +
                                           "::timestamp THEN v.value ELSE to_jsonb('not a day but a time: ' || " +
                                           text + ") END");
            default:
                return value;
        }
    }

    // SQL of type jsonb over i.item: the column's own pointer, the member of its name, or one that folds to it.
    std::string member_of(const SourceColumn& column) const {
        if (column.name == stream_.options.other_fields.text)
            return "i.item - " + pg::quote_literal(to_array(known_members_)) + "::text[]";
        std::string value;
        auto add = [&](const std::string& expression) { value += (value.empty() ? "" : ", ") + expression; };
        if (auto pointer = declared_pointer(stream_, column); !pointer.empty())
            add("i.item #> " + pg::quote_literal(to_array(pointer)) + "::text[]");
        for (const auto& member : members_) {
            const SourceColumn* filled = column_of(member);
            if (filled != nullptr && filled->field == column.field) add("i.item -> " + pg::quote_literal(member));
        }
        return value.empty() ? "NULL::jsonb" : "coalesce(" + value + ")";
    }

    const SourceColumn* column_of(const std::string& member) const {
        for (const auto& column : columns_) {
            if (column.name == member) return &column;
        }
        return find_field(columns_, fold_name(member));
    }

    // A member that is no column, in a record without the column that it looks like: the row would lose that value.
    struct Typo {
        std::string member;
        SourceColumn column;
    };

    void find_typos() {
        if (stream_.options.other_fields.is_given || stream_.options.new_columns.is_given) return;
        std::vector<std::string> names;
        for (const auto& column : columns_) names.push_back(column.name);
        for (const auto& member : members_) {
            const bool is_known =
                std::find(known_members_.begin(), known_members_.end(), member) != known_members_.end();
            if (is_known || column_of(member) != nullptr) continue;
            const std::string near = closest(member, names);
            if (near.empty()) continue;
            const Typo typo{member, *column_of(near)};
            auto found = pg::query(
                "SELECT EXISTS (SELECT" + std::string(records_source) + " WHERE " + lacks(typo) + ")", {text_});
            if (found.first()[0] == "t") typos_.push_back(typo);
        }
    }

    bool is_typo(const std::string& member) const {
        return std::any_of(typos_.begin(), typos_.end(), [&](const Typo& typo) { return typo.member == member; });
    }

    // SQL over i.item.
    std::string misspelt() const {
        std::string condition;
        for (const auto& typo : typos_) condition += (condition.empty() ? "" : " OR ") + lacks(typo);
        return condition.empty() ? "false" : condition;
    }

    std::string lacks(const Typo& typo) const {
        return "(i.item ? " + pg::quote_literal(typo.member) + " AND " + member_of(typo.column) + " IS NULL)";
    }

    void reject_typos(const std::string& records, Batch& batch) const {
        std::set<std::string> rejected;  // one with two typos once
        for (const auto& typo : typos_) {
            auto rows = pg::query("SELECT i.number, i.item, " + key_of_record() + records_source + " WHERE " +
                                      lacks(typo) + " ORDER BY i.number",
                                  {records});
            for (const auto& row : rows.rows) {
                if (!rejected.insert(*row[0]).second) continue;
                batch.append_reject(
                    {{"record", nlohmann::json::parse(*row[1])},
                     {"key", nlohmann::json::parse(*row[2])},
                     {"sqlstate", "42703"},
                     {"column", typo.column.field},
                     {"message", "the record has a member \"" + typo.member + "\", which is not a column, and none \"" +
                                     typo.column.name +
                                     "\"; if it is intended, set option new_columns to add or ignore"}});
            }
        }
    }

    // Members that are no column become one where an API's new fields do so; a database's columns are its own to add.
    void add_new_columns() {
        if (kind_of_server(stream_.server) != Kind::rest || stream_.options.new_columns == NewColumnPolicy::ignore ||
            stream_.options.other_fields.is_given)
            return;
        nlohmann::json all = to_json(columns_);
        for (const auto& member : members_) {
            bool is_known = std::find(known_members_.begin(), known_members_.end(), member) != known_members_.end();
            if (is_known || column_of(member) != nullptr || is_typo(member)) continue;
            std::string type = type_of(member);
            if (type.empty()) continue;
            all.push_back({{"name", member},
                           {"type", type == "bigint"    ? "int8"
                                    : type == "boolean" ? "bool"
                                                        : type},
                           {"pg_type", type},
                           {"source_type", "json"},
                           {"nullable", true}});
        }
        if (all.size() > columns_.size()) columns_ = parse_columns(all);
    }

    // The type for a new column of this member; empty where all of its values are null.
    std::string type_of(const std::string& member) const {
        auto rows = pg::query(
            std::string("SELECT bool_and(k.kind = 'number'), bool_and(k.kind = 'number' AND k.value::numeric %"
                        " 1 = 0 AND k.value::numeric BETWEEN -9223372036854775808 AND 9223372036854775807),"
                        " bool_and(k.kind = 'boolean'), bool_or(k.kind IN ('object', 'array')) FROM (SELECT"
                        " i.item -> $2 AS value, jsonb_typeof(i.item -> $2) AS kind") +
                records_source + " WHERE jsonb_typeof(i.item -> $2) <> 'null' OFFSET 0) AS k",
            {text_, member});
        const auto& kinds = rows.first();
        if (!kinds[0]) return "";
        return *kinds[1] == "t"   ? "bigint"
               : *kinds[0] == "t" ? "numeric"
               : *kinds[2] == "t" ? "boolean"
               : *kinds[3] == "t" ? "jsonb"
                                  : "text";
    }

    const Stream& stream_;
    std::string text_;
    std::vector<Part> parts_;
    std::vector<Typo> typos_;
    std::vector<std::string> members_;
    std::vector<std::string> known_members_;  // that are a column, or hold what one points to
    std::vector<SourceColumn> columns_;
    std::string record_;  // SQL over i.item: the record by the columns' names in the relation `batch`
    std::string encode_;
};

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(sync_ingest);

Datum sync_ingest(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_ingest()");
        const std::string name = required_text(fcinfo, 0, "stream");
        Stream stream = load_stream(name);
        std::string text = jsonb_text(fcinfo, 1, "records");
        StreamLock lock(stream.id, StreamLock::short_patience_ms, StreamLock::Until::transaction_end);
        if (!lock.held()) {
            throw pg::Error(ERRCODE_OBJECT_IN_USE, "stream \"" + stream.name + "\" is running", "",
                            "Send the records again in a while, or leave them to the run.");
        }
        stream = load_stream(name);  // as who was waited for has left it
        require_described(stream);
        if (stream.compares_whole_rows())
            throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                            "stream \"" + stream.name + "\" takes no records, as its source has no key", "",
                            "Name the columns that identify a row: SELECT sync_alter(" +
                                pg::quote_literal(stream.name) + ", '{\"key\": \"...\"}').");
        {
            // As in sync_replay(): what the caller has deferred is not to be fired as the stream's owner.
            pg::Spi spi;
            pg::query("SET CONSTRAINTS ALL IMMEDIATE");
        }
        stream.options.set(&StreamOptions::max_rejects, nullptr);  // the sender is told how many there are
        Records records(stream, std::move(text));
        Applier applier(stream, records.columns(), load_state(stream.id).has_errors);
        applier.keep_newest_versions();  // senders deliver late, and again
        if (applier.columns_changed()) Streams::save_source_columns(stream.id, applier.columns());
        RunCounts counts;
        std::int64_t run_id = 0;
        auto run = [&] {
            if (run_id == 0) run_id = Runs::insert(stream, "ingest", "running", "call");
            return run_id;
        };
        Batch batch;
        for (std::size_t part = 0; part < records.parts(); part++) {
            batch.clear();
            records.read(part, batch);
            counts.add(applier.apply(batch, run));
            applier.committed();
        }
        if (counts.wrote()) Runs::finish(run(), "succeeded", counts, nullptr, applier.notes());
        std::int64_t rejected = applier.rejected_rows();  // those included that were known already
        std::int64_t unchanged = counts.rows_read - counts.inserted - counts.updated - counts.deleted - rejected;
        return record_result(
            fcinfo, {std::to_string(counts.rows_read), std::to_string(counts.inserted), std::to_string(counts.updated),
                     std::to_string(std::max<std::int64_t>(unchanged, 0)), std::to_string(counts.deleted),
                     std::to_string(rejected)});
    });
}
}
