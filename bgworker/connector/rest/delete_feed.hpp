// What a second resource tells of rows that are gone: the option delete_feed.
//
// A run reads the feed before it reads what changed, so that a row that was deleted and made again ends as it is now.
// That alone would not do: an event can be seen for the first time by a run after the one that has read the row which
// was made again, as the source went on while pages were read, or as the feed lags behind. So a run that applies
// deletes then reads again all that changed since the oldest of them (reread_from()), and the position says so until
// that has happened. Events that come twice, as reads overlap, are known by what identifies them, in the overlap only;
// were one not known again, its delete would be made good by the same run, so that nothing depends on it.
//
// The feed's position is a member of the stream's own:
//   "deletes": {"start": the source's clock when everything was read, before which no event counts,
//               "watermark": up to where events were read, "seen": {event: time}, "reread": the time above}
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bgworker/connector/rest/page_sequence.hpp"

namespace insync::rest {

// A point in time that a source wrote, as ISO text, or as a number where `epoch` (of option watermark_format) isn't
// empty: microseconds from 2000. Text without a zone counts as UTC. Nothing for anything else.
std::optional<std::int64_t> instant_of(std::string_view literal, std::string_view epoch);

class DeleteFeed {
  public:
    // One event: whose row is gone. Or why it can't be used.
    struct Event {
        const Page& page;
        std::size_t row;
        std::string_view fault;
    };

    // `settings` are the stream's, whose option delete_feed describes the resource, and `position` the stream's. Raises
    // Failure (config).
    DeleteFeed(Session& session, const Settings& settings, const nlohmann::json& position);
    DeleteFeed(const DeleteFeed&) = delete;
    DeleteFeed& operator=(const DeleteFeed&) = delete;

    // The fields of an event that hold the key of the row, in the order of the key.
    const std::vector<std::size_t>& key_fields() const { return key_fields_; }

    // From when on events count: not before begin_at() was called once for the stream.
    bool has_begun() const { return !start_.empty(); }
    // Everything is read from here on, the source's clock being `clock`: what was deleted before isn't there.
    void begin_at(const std::string& clock);

    // Reads what is new, and calls `gone` for each event, which position() then knows. `gone` may raise.
    using Gone = std::function<void(const Event&)>;
    void read(const Gone& gone);
    // Asks for the first events to see whether they have what is needed. Raises Failure (config).
    void check(const std::string& clock);

    // The time from which on what changed is to be read again.
    std::optional<std::int64_t> reread_from() const;
    // That has happened.
    void settle() { reread_.clear(); }

    // What stands in the stream's position.
    nlohmann::json position() const;
    std::uint64_t pages() const { return pages_; }
    // The next request, for sync_explain().
    HttpRequest next_request();

  private:
    std::size_t add_field(const std::string& name);
    std::string begins_with() const;
    std::string literal_at_start() const;
    struct Highest {  // of the events that were read
        std::string literal;
        std::int64_t instant;
    };
    Query query(const std::string& since, const std::optional<std::string>& until);
    void read_window(const std::string& since, const std::optional<std::string>& until, const Gone& gone,
                     Highest& highest);
    bool take(const Page& page, std::size_t row, std::int64_t low, const Gone& gone, Highest& highest);
    std::string identity(const Page& page, std::size_t row, std::string_view time) const;
    void move_to(const std::string& literal);
    void let_go();
    void forget_oldest();
    std::string literal_of(std::int64_t instant) const;

    Session& session_;
    Settings settings_;  // of the feed
    const Settings& stream_settings_;
    Endpoint endpoint_;
    Fields fields_;
    PageMemory memory_;
    std::vector<std::size_t> key_fields_, event_key_, names_;
    std::size_t time_field_ = 0;
    std::string epoch_, lookback_;

    std::string start_, watermark_, reread_;
    std::map<std::string, std::int64_t> seen_;  // what identifies an event, and its time
    std::uint64_t pages_ = 0;
};

}  // namespace insync::rest
