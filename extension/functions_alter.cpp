// Changing streams: sync_alter.
//
// What a stream reads and writes (server, source, target, key, watermark) can be changed as well as its options. How
// far the stream has read is kept where that still means the same; else everything is read again, and that is said.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
#include "utils/acl.h"
}

#include <algorithm>

#include "bgworker/apply/applier.hpp"
#include "bgworker/apply/key_only_rows.hpp"
#include "bgworker/apply/rejects.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/dependencies.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/job.hpp"
#include "bgworker/catalog/outcome.hpp"
#include "bgworker/catalog/stream_lock.hpp"
#include "bgworker/catalog/stream_checks.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/catalog/watermarks.hpp"
#include "bgworker/completeness/differences.hpp"
#include "bgworker/definition/define_stream.hpp"
#include "bgworker/definition/target_choice.hpp"
#include "bgworker/definition/watermark_check.hpp"
#include "bgworker/ledger/ledger.hpp"
#include "bgworker/ledger/ledgers.hpp"
#include "bgworker/ledger/slices.hpp"
#include "bgworker/pg/compat.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/shmem/wake_at_commit.hpp"
#include "bgworker/target/key_origins.hpp"
#include "bgworker/target/target_rights.hpp"
#include "extension/notices.hpp"

using namespace insync;

namespace {

// What sync_alter() was asked for, beside options.
struct Changes {
    std::optional<std::string> name, owner, target;
    bool source = false;       // its server, name, key or watermark
    bool shapes_rows = false;  // an option by which rows become something else
    bool reread = false;

    // Does what the stream reads or writes change, so that no run may be under way?
    bool needs_lock() const { return source || target || reread; }
};

std::string text_of(const std::string& member, const nlohmann::json& value) {
    if (!value.is_string() || value.get<std::string>().empty())
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, member + " must be a text");
    return value.get<std::string>();
}

void check_options(const nlohmann::json& options, std::optional<Kind> kind) {
    check_stream_options(options, kind.value_or(any_kind));  // where the server is gone, its kind is not known
}

// Sets in `stream` what is asked for. The target's name is left to the caller, as it is looked up.
Changes set_members(Stream& stream, const nlohmann::json& members) {
    Changes changes;
    for (const auto& [name, value] : members.items()) {
        if (name == "schedule") {
            stream.schedule = value.is_null() ? std::nullopt : std::optional(text_of(name, value));
            if (stream.schedule) check_schedule(*stream.schedule);
        } else if (name == "name") {
            changes.name = text_of(name, value);
        } else if (name == "owner") {
            changes.owner = text_of(name, value);
        } else if (name == "server") {
            stream.server = text_of(name, value);
            changes.source = true;
        } else if (name == "source") {
            stream.source = text_of(name, value);
            changes.source = true;
        } else if (name == "target") {
            changes.target = text_of(name, value);
        } else if (name == "key" || name == "watermark") {
            auto& columns = name == "key" ? stream.key : stream.watermark;
            columns = value.is_null() ? std::vector<std::string>{} : parse_name_list(text_of(name, value));
            if (name == "key") stream.source_key_unique = false;
            changes.source = true;
        } else {
            const Option* option = find_option(Where::stream, name);
            changes.shapes_rows |= option != nullptr && option->shapes_rows;
            if (!value.is_null()) {
                stream.options.set_named(name, value);
                continue;
            }
            if (option == nullptr) check_options({{name, ""}}, kind_of_server(stream.server));
            stream.options.remove_named(name);
        }
    }
    return changes;
}

// Asks the source what it has, as sync_create() does. Makes the target where the stream gets one that isn't there; true
// if it did.
bool define_again(Stream& stream, const Changes& changes) {
    Server server = load_server(stream.server, stream.owner_oid);
    check_stream_options(stream.options.map(), server.kind);
    SourceDescription description = describe_source(server, stream);
    // What tells rows without a key apart is no column of the source.
    if (stream.compares_whole_rows() &&
        std::find(stream.key.begin(), stream.key.end(), stream.source_key[0]) != stream.key.end())
        stream.key.clear();
    const auto known_columns = std::move(stream.source_columns);
    stream.source_columns = description.columns;
    stream.watermark_kind = description.watermark_kind;
    if (changes.target) {
        stream.target_schema.clear();
        resolve_target(stream, *changes.target, server.kind);
    }
    std::optional<Target> existing;
    {
        pg::PinnedSettings settings;
        pg::Spi spi;
        existing = describe_target(stream.target_schema, stream.target_table);
    }
    complete_stream(stream, description, existing);
    auto types = check_expressions(stream);
    note_filled_columns(stream, types, existing, changes.target ? std::vector<SourceColumn>() : known_columns);
    if (existing && changes.target) lock_target(*existing);
    if (existing || !changes.target) return false;
    const pg::OwnerScope scope(stream.owner_oid, pg::Plans::any, false);
    create_stream_target(stream, types);
    return true;
}

// Whose times were altered begins to count them now: it doesn't make up for those before.
void restart_schedules(const Stream& stream, const Stream& before) {
    auto differs = [&](Text StreamOptions::*option) {
        return (stream.options.*option).text != (before.options.*option).text;
    };
    const bool zone = differs(&StreamOptions::time_zone);
    if (stream.schedule != before.schedule || zone) Streams::restart_schedule(stream.id);
    if (stream.options.verify_schedule.is_given && (zone || differs(&StreamOptions::verify_schedule)))
        Watermarks::note_planned(stream.id, Watermarks::Planned::verification);
}

void save(const Stream& stream, const Stream& before, const std::string& new_name) {
    Streams::update(stream, new_name);
    restart_schedules(stream, before);
}

// What was counted and verified is about another table, or another source.
void forget_measures(int stream_id, bool target_changed) {
    Differences::forget(stream_id);
    if (!target_changed) {
        Slices::forget_verification(stream_id);
        return;
    }
    Slices::forget(stream_id);
    Ledgers::forget(stream_id);
    Rejects::forget_mended(stream_id);
}

// Rejected rows are told apart by the source's key: under another one they would stay for ever. They are read again.
std::uint64_t forget_rejects(int stream_id) {
    return Rejects::forget_all(stream_id);
}

bool same_columns(std::vector<std::string> a, std::vector<std::string> b) {
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    return a == b;
}

// Why the position can't be kept, in a word or two; empty: it can.
std::string why_reread(const Stream& before, const Stream& now, bool target_changed) {
    if (target_changed) return "target";
    if (before.watermark != now.watermark || before.watermark_kind != now.watermark_kind) return "watermark";
    if (!same_columns(before.key, now.key) || before.source_key != now.source_key) return "key";
    if (kind_of_server(before.server) != kind_of_server(now.server)) return "kind of server";
    return "";
}

// Keeps the position, or resets it, and says what that means for rows that were read before.
void settle_position(const Stream& before, const Stream& now, const Changes& changes, bool target_changed) {
    const bool has_read = !load_state(now.id).position.is_null();
    const std::string full =
        "SELECT sync_trigger(" + pg::quote_literal(now.name) + ", 'full'); reads all of them again";
    const std::string lost = why_reread(before, now, target_changed);
    if (before.source_key != now.source_key) {
        if (auto count = forget_rejects(now.id); count > 0)
            notice(std::to_string(count) + " rejected rows of stream \"" + now.name +
                   "\" were removed, because they are identified by the key; they are read again");
    }
    const bool moved = before.source != now.source || before.server != now.server;
    if (moved || !lost.empty() || changes.reread) {
        // Which row of the source a row is of, as it was written there.
        Bookkeeping bookkeeping;
        forget_origins(now.id);
    }
    if (!lost.empty() || changes.reread) {
        Watermarks::reset(now.id);
        if (has_read && !changes.reread)
            notice("stream \"" + now.name + "\" reads all of its source again, as its " + lost + " has changed",
                   target_changed ? "The rows that it wrote to the previous target stay there." : "");
        return;
    }
    if (!has_read || now.mode == "full") return;
    if (moved) {
        notice("stream \"" + now.name + "\" continues in the new source from its position in the previous one",
               "Older rows of the new source are not read. " + full + ".");
    } else if (changes.shapes_rows) {
        notice("rows that stream \"" + now.name + "\" has read already stay as they are",
               full + ", and so does sync_alter() with reread => true.");
    }
}

// The stream as it is to be; waits for a run that is under way, and keeps the next one out, where that is needed.
Stream changed_stream(const std::string& name, const nlohmann::json& members, bool reread, Changes& changes,
                      std::optional<StreamLock>& lock) {
    Stream stream = load_stream(name);
    changes = set_members(stream, members);
    changes.reread = reread;
    if (!changes.needs_lock()) return stream;
    lock.emplace(stream.id, StreamLock::short_patience_ms, StreamLock::Until::transaction_end);
    if (!lock->held()) already_running(stream);
    stream = load_stream(name);  // as the run that was waited for has left it
    (void)set_members(stream, members);
    return stream;
}

void set_owner(Stream& stream, const std::string& owner) {
    const char* role = owner.c_str();
    stream.owner_oid = pg::call([&] {
        Oid oid = get_role_oid(role, false);
        compat::check_may_become(GetUserId(), oid);
        return oid;
    });
    stream.owner = owner;
}

// Checks options against what is known of the source and the target; neither has changed.
void check_again(Stream& stream, const nlohmann::json& members) {
    const ReadMode mode = stream.options.mode;
    stream.mode = mode == ReadMode::full || !can_read_changes(stream) ? "full" : "incremental";
    if (mode == ReadMode::incremental && !can_read_changes(stream))
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                        "stream \"" + stream.name + "\" has no watermark, so it cannot be incremental");
    if (members.contains("initial_watermark") && stream.options.initial_watermark.is_given && is_described(stream))
        check_watermark(stream, stream.options.initial_watermark.text);
    if (stream.compares_whole_rows()) check_whole_rows(stream);
    if (is_described(stream)) (void)check_expressions(stream);
}

// Records on which objects the stream depends from here on. `made`: its target was created for it.
void bind_again(const Stream& before, const Stream& stream, bool target_changed, bool made) {
    if (target_changed) {
        rebind_objects(stream.id);
        if (made) record_created_target(stream.id);
        record_shared_target(stream);
        warn_of_shared_rows(stream);
    } else if (before.server != stream.server) {
        rebind_server(stream.id);
    }
}

// Counts again what is counted in another way now, and checks that the stream can write its target.
void check_writes(const Stream& stream) {
    if (!is_described(stream)) return;
    if (ensure_ledger(stream)) {
        queue_profile(stream);
        wake_all_at_commit();
    }
    require_target_rights(stream);
    Applier applier(stream, stream.source_columns, false);
    applier.check();
    applier.save_names();
    check_key_rows(stream);
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(sync_alter);

// Also as sync_alter(name, options, reread).
Datum sync_alter(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_alter()");
        const std::string name = required_text(fcinfo, 0, "name");
        const nlohmann::json members = with_objects(json_argument(fcinfo, 1));
        if (!members.is_object()) throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "options must be a JSON object");
        Changes changes;
        std::optional<StreamLock> lock;
        Stream stream = changed_stream(name, members, PG_NARGS() > 2 && PG_GETARG_BOOL(2), changes, lock);
        const Stream before = load_stream(name);
        if (changes.reread && !can_read_changes(stream))
            notice("stream \"" + stream.name + "\" reads all of its source in each run anyway");
        const std::string new_name = changes.name.value_or(stream.name);
        if (new_name != stream.name) require_new_name(new_name);
        check_options(stream.options.map(), kind_of_server(stream.server));
        if (changes.owner) set_owner(stream, *changes.owner);
        bool made = false;
        if (changes.source || changes.target) {
            made = define_again(stream, changes);
        } else {
            check_again(stream, members);
        }
        save(stream, before, new_name);
        forget_failures(stream.id, stream.schedule.has_value());
        stream.name = new_name;
        if (members.contains("schedule")) tell_how_it_runs(stream);
        if (changes.owner) Streams::record_owner(stream.id);
        const bool target_changed =
            before.target_schema != stream.target_schema || before.target_table != stream.target_table;
        bind_again(before, stream, target_changed, made);
        if (target_changed || before.server != stream.server || before.source != stream.source)
            forget_measures(stream.id, target_changed);
        settle_position(before, stream, changes, target_changed);
        check_writes(stream);
        wake_at_commit(stream.server);
        return Datum(0);
    });
}
}
