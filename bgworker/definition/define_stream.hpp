// Making and changing a stream: what sync_create() and sync_alter() share.
#pragma once

#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
}

#include <map>
#include <optional>
#include <string>

#include "bgworker/catalog/server.hpp"
#include "bgworker/catalog/stream.hpp"
#include "bgworker/catalog/transactions.hpp"
#include "bgworker/source/connector_process.hpp"
#include "bgworker/target/target.hpp"

namespace insync {

// What the source says of itself, beside its columns.
struct SourceDescription {
    std::vector<SourceColumn> columns;
    std::vector<std::string> primary_key;
    std::vector<std::vector<std::string>> unique_keys;
    bool promises_key = true;  // else its keys are what looks like one
    std::vector<std::string> watermark_candidates;
    std::string rowversion, kind, watermark_kind;
    std::string response_watermark;  // of the server or its preset, too
    // Of the watermark: the form of its literals (as watermark_kind, but a number that is a time is an integer), the
    // highest that the source has and its clock, as such a literal; empty where the source doesn't tell.
    std::string literal_kind, highest_watermark, clock;
    std::string watermark_format;  // that its numbers are times, where no option says so
    bool clock_has_zone = false;   // the clock is that of the column's zone
    std::int64_t null_watermarks = 0;
};

// Asks the source of a stream that is being made. Throws pg::Error where source or watermark don't exist or can't
// serve.
SourceDescription describe_source(const Server& server, const Stream& stream);

// The same through a connector that has the source open.
SourceDescription describe_source(ConnectorProcess& connector, Kind kind, const Stream& stream);

// A stream that was made while its source was away has no columns yet, and can't be read in parts or compared.
bool is_described(const Stream& stream);
void require_described(const Stream& stream);
// Asks the source of such a stream and completes, checks and stores its definition, as sync_create() would have. Throws
// pg::Error as that does.
void describe_now(Stream& stream, ConnectorProcess& connector, Transactions& transactions);

// Notes which columns of the target the stream fills, and which it makes (SourceColumn::mapped, made). `known`: what it
// knew of the same target before; a column of the target that the source has gained since is the user's.
void note_filled_columns(Stream& stream, const std::map<std::string, std::string>& expression_types,
                         const std::optional<Target>& target, const std::vector<SourceColumn>& known);

// Of a stream that compares whole rows: throws where its options would leave rows behind that are gone.
void check_whole_rows(const Stream& stream);

// Fills in the stream what the caller left to be found: watermark, mode, keys.
void complete_stream(Stream& stream, const SourceDescription& description, const std::optional<Target>& target);

// Checks each expression of options `columns`, `filter` and `deleted_when` by itself, so that an error has its place in
// it; returns the types of the expressions of `columns` by target column.
std::map<std::string, std::string> check_expressions(const Stream& stream);

// The target of a stream by the name that the user gave (or the source's own), in the caller's current schema.
void resolve_target(Stream& stream, const std::string& given, Kind kind);

// Creates the stream's target table.
void create_stream_target(const Stream& stream, const std::map<std::string, std::string>& expression_types);

// Throws where a stream has the name already.
void require_new_name(const std::string& name);

// A jsonb argument; an empty object for NULL.
nlohmann::json json_argument(FunctionCallInfo call, int index);
std::string join(const std::vector<std::string>& items);

}  // namespace insync
