// A stream's definition, as insync.stream holds it, and the bookkeeping that goes with a run.
//
// All of this runs as the extension's owner with fixed statements; callers have checked that the role may.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/options/stream_options.hpp"
#include "bgworker/pg/spi.hpp"
#include "bgworker/protocol/batch.hpp"

namespace insync {

struct Stream {
    int id = 0;
    std::string name, owner, server, source;
    std::string target_schema, target_table;
    std::vector<std::string> key;        // target columns
    std::vector<std::string> watermark;  // source columns
    std::vector<std::string> source_key;
    bool source_key_unique = false;
    std::string mode;
    std::optional<std::string> schedule;
    StreamOptions options;
    std::vector<SourceColumn> source_columns;
    std::string watermark_kind;
    bool paused = false;
    Oid owner_oid = InvalidOid;  // InvalidOid: the role was dropped, even if another has its name now

    // Has its source no key, so that whole rows are compared? source_key is then the columns that tell them apart.
    bool compares_whole_rows() const;
    bool is_row_identity(const std::string& field) const;
};

// True if the stream can be read by what changed: by its own watermark, its parents', or one that the source's answers
// hold.
bool can_read_changes(const Stream& stream);

// Joins insync.stream AS s with its owner, pg_roles AS r, who must be the role that it was and not another of that
// name.
inline constexpr const char* join_owner =
    "LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = s.owner AND r.oid = s.owner_id";

// Has the current role the rights of the stream's owner? An ownerless stream is the superusers'.
bool is_owner(const Stream& stream);
// May the current role see what becomes of every stream, without being able to do anything to one? Members of
// pg_monitor, and roles that row security doesn't hold for.
// And operators.
bool sees_all_streams();
// May the current role make the stream run, or stand still? Its owner, and operators: sync_grant(role, 'operate').
bool may_operate(const Stream& stream);
// In a transaction: throws where the owner is gone. Nobody else's rights may stand in for his.
void require_owner(const Stream& stream);

// Throws: a run of the stream is under way.
[[noreturn]] void already_running(const Stream& stream);

// Reads a stream by name; throws pg::Error (undefined object, with near misses) if there is none or the current role
// doesn't own it.
// With Access::look roles are let in that see all streams, with Access::operate those that may operate all.
enum class Access { own, look, operate };
Stream load_stream(const std::string& name, Access access = Access::own);
// Reads a stream by id, without a check of the caller; nullopt if it is gone.
std::optional<Stream> load_stream(int id);
// Names of the current role's streams that match a LIKE pattern. '_' is in many names: without a '%', it is only the
// stream of that very name, if there is one, and to match none is an error.
std::vector<std::string> matching_streams(const std::string& pattern, Access access = Access::own);

// How far a stream has read, as the last commit left it.
struct StreamState {
    nlohmann::json position;  // null: from the beginning
    std::optional<std::string> watermark;
    int failures = 0;
    std::optional<std::int64_t> last_run_us;  // as noted, since 1970
    bool last_run_succeeded = false;
    bool has_errors = false;  // rows of the stream stand in insync.error
};
StreamState load_state(int stream_id);

// PostgreSQL arrays of text as parameters and back.
std::string to_array(const std::vector<std::string>& items);
std::vector<std::string> from_array_json(const std::string& json_array);

}  // namespace insync
