// The options of a stream, parsed: made once when a stream is loaded, and again when one of them is set.
//
// Defaults are those of the options table. Options that are for the connector alone have no member: it gets the map.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "bgworker/options/given.hpp"

namespace insync {

// The values of enumerations, in the order of the options table.
enum class ReadMode { automatic, incremental, full };
enum class DeleteMode { ignore, soft, hard };
enum class LeavePolicy { keep, remove };
enum class NewColumnPolicy { add, ignore, fail };
enum class Reconciled { rows, keys };
enum class RetryBackOff { doubled, fixed };

// The options with objects where a text holds one, as options of servers do: {"columns": "{\"a\": \"b\"}"}.
nlohmann::json with_objects(nlohmann::json options);

class StreamOptions {
  public:
    // What is read, and from where.
    Given<ReadMode> mode;
    Given<std::optional<Lookback>> lookback;
    Text initial_watermark, response_watermark, watermark_format;
    Text null_watermark, text_policy, zero_dates;  // the connector's to understand
    Text source_time_zone, query_timeout;
    Given<std::int64_t> page_rows;
    Given<std::optional<std::int64_t>> batch_rows, batch_bytes;
    Given<nlohmann::json> parent, fields, delete_feed;  // objects; empty where not given
    Text other_fields;
    // What is written.
    Given<nlohmann::json> columns;  // target column to expression
    Given<bool> columns_only;
    Text filter;
    Given<std::optional<LeavePolicy>> filter_leaves;
    Given<NewColumnPolicy> new_columns;
    Given<DeleteMode> deletes;
    Text operation_column, delete_values, deleted_when, deleted_column;
    Given<std::optional<std::chrono::milliseconds>> reconcile;
    Given<Reconciled> reconcile_by;
    Given<ShareOrCount> max_deletes;
    Given<std::optional<ShareOrCount>> max_rejects;
    // When it runs, and for how long.
    Text time_zone;
    Given<std::int64_t> max_retries;
    Given<std::chrono::milliseconds> retry_delay;
    Given<RetryBackOff> retry_backoff;
    Given<std::optional<std::chrono::milliseconds>> run_timeout;
    // Slices. Units and depths are parsed by those who know them, clock/ and completeness/.
    Text slice, slice_column, slice_time_zone;
    Given<Weekdays> open_days;
    Text holidays, calendar;
    Given<ShareOrCount> short_below;
    Given<std::int64_t> gap_warning, gap_critical;
    Given<std::chrono::milliseconds> min_age;
    Text verify_schedule, verify_depth;
    Given<std::int64_t> verify_parts;
    Given<bool> auto_repair;

    StreamOptions();  // none is given
    explicit StreamOptions(nlohmann::json given);

    // All that were given, with objects for structured ones: for the connector, for the catalog and for definitions.
    const nlohmann::json& map() const { return map_; }

    // Sets one as sync_alter() would, without a check; null: as if it weren't given.
    template <typename Member>
    void set(Member StreamOptions::*option, nlohmann::json value) {
        set_named((this->*option).name, std::move(value));
    }
    template <typename Member>
    void remove(Member StreamOptions::*option) {
        remove_named((this->*option).name);
    }
    // Of any name, for who goes through what a user wrote.
    void set_named(std::string_view name, nlohmann::json value);
    void remove_named(std::string_view name);

    // Every option with a member.
    std::vector<const Text*> all() const;

  private:
    nlohmann::json map_;

    void parse();
};

}  // namespace insync
