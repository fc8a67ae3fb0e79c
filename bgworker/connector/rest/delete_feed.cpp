// Reads a feed of deletes; see delete_feed.hpp.
#include "bgworker/connector/rest/delete_feed.hpp"

#include <algorithm>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/clock/watermark_literal.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/options/values.hpp"

namespace insync::rest {

namespace {

constexpr std::int64_t seconds_1970_to_2000 = 946684800;
constexpr std::int64_t default_lookback_s = 600;
// Events that are known again; beyond that, the oldest are forgotten, and applied again while they are in the overlap.
constexpr std::size_t most_seen = 4096;

std::string text_of(const nlohmann::json& object, const char* name) {
    if (!object.is_object()) return "";
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> names_in(const nlohmann::json& options, const char* name) {
    const auto found = options.find(name);
    if (found == options.end()) return {};
    if (found->is_string()) return {found->get<std::string>()};
    return found->get<std::vector<std::string>>();
}

// 64 bits of FNV-1a, the same in every build, as positions outlive them.
std::string hash_of(std::string_view text) {
    std::uint64_t hash = 14695981039346656037u;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    std::string digits(16, '0');
    for (std::size_t i = digits.size(); i-- > 0; hash >>= 4) digits[i] = "0123456789abcdef"[hash & 15];
    return digits;
}

bool is_missing(const Value& value) {
    return value.kind == Value::Kind::absent || value.kind == Value::Kind::null;
}

bool has_zone(std::string_view literal) {
    const std::optional<CivilTime> time = parse_civil_time(literal);
    return !time || time->offset_seconds;
}

}  // namespace

std::optional<std::int64_t> instant_of(std::string_view literal, std::string_view epoch) {
    std::optional<std::string> written;
    if (!epoch.empty()) {
        written = format_time(literal, "iso_us");
        if (!written || literal.find_first_not_of("-.0123456789") != std::string_view::npos) return std::nullopt;
        literal = *written;
    }
    const std::optional<CivilTime> time = parse_civil_time(literal);
    return time ? std::optional(time->microseconds_from_2000()) : std::nullopt;
}

DeleteFeed::DeleteFeed(Session& session, const Settings& settings, const nlohmann::json& position)
    : session_(session), stream_settings_(settings) {
    const auto options = nlohmann::json::parse(settings.text("delete_feed"), nullptr, false);
    settings_ = settings.with_stream(options);
    const std::vector<std::string> key = names_in(options, "key"), watermark = names_in(options, "watermark");
    endpoint_ = make_endpoint(settings_, options.value("source", ""), key, watermark);
    if (key.empty() || watermark.empty()) {
        throw Failure(FailureClass::config, "the option delete_feed names no key or no watermark");
    }
    for (const std::string& name : key) key_fields_.push_back(add_field(name));
    time_field_ = add_field(watermark.front());
    for (const std::string_view name : key_names) names_.push_back(fields_.add(name));
    fields_.close();
    if (!endpoint_.uses("last_key")) {
        event_key_ = key_fields_;
        event_key_.push_back(time_field_);
    }
    epoch_ = settings_.epoch();
    std::int64_t lookback_s = default_lookback_s;
    if (const auto given = parse_lookback(settings_.text("lookback")); settings_.has("lookback") && given) {
        const auto* time = std::get_if<std::chrono::milliseconds>(&*given);
        lookback_s = time != nullptr ? time->count() / 1000 : std::get<std::int64_t>(*given);
    }
    lookback_ = in_unit_of(epoch_, std::to_string(lookback_s));

    const auto known = position.is_object() ? position.value("deletes", nlohmann::json()) : nlohmann::json();
    start_ = text_of(known, "start");
    if (!instant_of(start_, "")) start_.clear();
    if (start_.empty()) return;
    watermark_ = text_of(known, "watermark");
    // Options that changed meanwhile may write times otherwise.
    if (!instant_of(watermark_, epoch_)) watermark_ = literal_at_start();
    reread_ = text_of(known, "reread");
    if (!reread_.empty() && !instant_of(reread_, epoch_)) reread_ = literal_at_start();
    const auto seen = known.value("seen", nlohmann::json::object());
    if (!seen.is_object()) return;
    for (const auto& [event, time] : seen.items()) {
        if (time.is_number_integer()) seen_[event] = time.get<std::int64_t>();
    }
}

std::size_t DeleteFeed::add_field(const std::string& name) {
    if (const std::optional<std::size_t> known = fields_.find(name)) return *known;
    return name.starts_with('/') ? fields_.add_pointer(name, name) : fields_.add(name);
}

// The source's clock in the form of the events' times.
std::string DeleteFeed::literal_at_start() const {
    return epoch_.empty() ? start_ : format_time(start_, epoch_).value_or("0");
}

void DeleteFeed::begin_at(const std::string& clock) {
    if (!instant_of(clock, "")) {
        throw Failure(FailureClass::source, "the source's answers have no Date",
                      "Without it, it is not known which deletes came after the rows that were read.",
                      "Find deletes with the option reconcile in place of delete_feed.");
    }
    start_ = clock;
    watermark_ = literal_at_start();
    reread_.clear();
    seen_.clear();
}

std::string DeleteFeed::begins_with() const {
    const WatermarkKind kind = epoch_.empty() ? WatermarkKind::time : WatermarkKind::integer;
    return subtract_lookback(kind, watermark_, lookback_).value_or(watermark_);
}

Query DeleteFeed::query(const std::string& since, const std::optional<std::string>& until) {
    Values values;
    values.texts["since"] = since;
    if (until) values.texts["until"] = *until;
    return Query(session_, endpoint_, fields_, event_key_, std::move(values), memory_);
}

HttpRequest DeleteFeed::next_request() {
    return query(begins_with(), std::nullopt).next_request();
}

// Its key and time, and what else is called like a key: two deletes of one row in the same second are two events. Not
// its whole text, as a sender may count in it how often it was sent.
std::string DeleteFeed::identity(const Page& page, std::size_t row, std::string_view time) const {
    std::string text(time);
    for (const std::vector<std::size_t>* fields : {&key_fields_, &names_}) {
        for (const std::size_t field : *fields) {
            const Value value = page.value(row, field);
            text += static_cast<char>(1 + static_cast<int>(value.kind));
            text += value.text;
        }
    }
    return hash_of(text);
}

void DeleteFeed::read(const Gone& gone) {
    session_.use(settings_);
    Highest highest{watermark_, instant_of(watermark_, epoch_).value_or(0)};
    read_window(begins_with(), std::nullopt, gone, highest);
    move_to(highest.literal);
    let_go();
    session_.use(stream_settings_);
}

// Where the source doesn't show all of a window, both halves of it.
void DeleteFeed::read_window(const std::string& since, const std::optional<std::string>& until, const Gone& gone,
                             Highest& highest) {
    const std::int64_t low = instant_of(since, epoch_).value_or(0);
    bool is_known = false;
    Query events = query(since, until);
    while (!is_known && events.next()) {
        for (std::size_t row = events.first_row(); row < events.page().rows(); row++) {
            is_known = !take(events.page(), row, low, gone, highest) || is_known;
        }
    }
    pages_ += events.pages();
    if (!events.is_cut_off() || is_known) return;
    const auto now = instant_of(session_.source_now().value_or(""), "");
    const std::string end = until ? *until : literal_of(now.value_or(low) + second_us);
    const std::int64_t half_us = (instant_of(end, epoch_).value_or(low) - low) / 2;
    if (!endpoint_.uses("until") || half_us < second_us) {
        throw Failure(
            FailureClass::config,
            "the delete feed shows " + std::to_string(endpoint_.max_results) + " rows of a request and no more",
            "There are more of them since " + since + ".",
            "Put {since} and {until} in its params, or read everything: mode full starts the feed again.");
    }
    const std::string middle = literal_of(low + half_us);
    read_window(since, middle, gone, highest);
    read_window(middle, end, gone, highest);
}

// Calls `gone` for an event that is new. False where it is older than what was asked for, and those behind it as well.
bool DeleteFeed::take(const Page& page, std::size_t row, std::int64_t low, const Gone& gone, Highest& highest) {
    Event event{page, row, page.fault(row)};
    const Value time = page.value(row, time_field_);
    const std::string literal(time.text);
    const auto given = is_missing(time) ? std::nullopt : instant_of(literal, epoch_);
    const bool has_time = given.has_value();
    const std::int64_t at = given.value_or(highest.instant);
    if (!has_time && !is_missing(time) && event.fault.empty()) {
        throw Failure(
            FailureClass::config, "the watermark of the option delete_feed is not a time",
            "It is \"" + replaced_utf8(utf8_prefix(literal, 60)) + "\".",
            "Set watermark_format in it: epoch or epoch_ms for a number of seconds or milliseconds, auto for a "
            "text.");
    }
    if (!has_time && event.fault.empty()) event.fault = "the event has no time";
    if (has_time && at < low) return endpoint_.order != Order::desc;
    // The row may have been made again before everything was read, and nothing tells of that any more.
    if (has_time && at < instant_of(start_, "").value_or(0) && has_zone(literal)) return true;
    if (!seen_.try_emplace(identity(page, row, literal), at).second) return true;
    if (has_time && event.fault.empty() && (reread_.empty() || at < *instant_of(reread_, epoch_))) reread_ = literal;
    gone(event);
    if (seen_.size() > 2 * most_seen) forget_oldest();
    // The clock shows whole seconds, so that the present one is the next. Times beyond it don't move the position.
    const auto now = instant_of(session_.source_now().value_or(""), "");
    if (has_time && at > highest.instant && (!now || at <= *now + second_us)) highest = {literal, at};
    return true;
}

// All events up to here are known; only those that the next read meets again need to be known by themselves.
void DeleteFeed::move_to(const std::string& literal) {
    watermark_ = literal;
    const std::int64_t low = instant_of(begins_with(), epoch_).value_or(0);
    std::erase_if(seen_, [&](const auto& item) { return item.second < low; });
    forget_oldest();
}

// What is known can't turn up again for long: the position moves on from it, once, and gets short.
void DeleteFeed::let_go() {
    const auto now = instant_of(session_.source_now().value_or(""), "");
    if (seen_.empty() || !now || !has_zone(watermark_)) return;
    const std::string before = watermark_;
    watermark_ = literal_of(*now - 3600 * second_us);
    const std::int64_t low = instant_of(begins_with(), epoch_).value_or(0);
    if (std::any_of(seen_.begin(), seen_.end(), [&](const auto& item) { return item.second >= low; })) {
        watermark_ = before;
    } else {
        seen_.clear();
    }
}

void DeleteFeed::forget_oldest() {
    if (seen_.size() <= most_seen) return;
    std::vector<std::int64_t> times;
    for (const auto& [event, time] : seen_) times.push_back(time);
    const auto oldest = times.end() - static_cast<std::ptrdiff_t>(most_seen);
    std::nth_element(times.begin(), oldest, times.end());
    std::erase_if(seen_, [time = *oldest](const auto& item) { return item.second < time; });
}

// A moment in the form of the events' times.
std::string DeleteFeed::literal_of(std::int64_t instant) const {
    if (const std::optional<CivilTime> time = parse_civil_time(watermark_); time && epoch_.empty()) {
        return format_moved(*time, instant - time->microseconds_from_2000());
    }
    const std::int64_t since_1970 = instant + seconds_1970_to_2000 * second_us;
    return std::to_string(since_1970 / unit_us(epoch_));
}

void DeleteFeed::check(const std::string& clock) {
    begin_at(clock);
    session_.use(settings_);
    // As far back as there may be an event to look at: it isn't applied.
    const WatermarkKind kind = epoch_.empty() ? WatermarkKind::time : WatermarkKind::integer;
    const std::string month = in_unit_of(epoch_, std::to_string(30 * 86400));
    Query events = query(subtract_lookback(kind, watermark_, month).value_or(watermark_), std::nullopt);
    if (!events.next() || events.page().rows() == 0) return;
    const Page& page = events.page();
    auto require = [&](const char* member, std::size_t field) {
        if (!is_missing(page.value(0, field))) return;
        throw Failure(FailureClass::config,
                      "the events of the option delete_feed have nothing at \"" + fields_.name(field) + "\"", "",
                      std::string("Its member ") + member + " names a field or a JSON pointer.");
    };
    for (const std::size_t field : key_fields_) require("key", field);
    require("watermark", time_field_);
}

std::optional<std::int64_t> DeleteFeed::reread_from() const {
    return reread_.empty() ? std::nullopt : instant_of(reread_, epoch_);
}

nlohmann::json DeleteFeed::position() const {
    nlohmann::json position = {{"start", start_}, {"watermark", watermark_}};
    if (!reread_.empty()) position["reread"] = reread_;
    if (!seen_.empty()) position["seen"] = seen_;
    return position;
}

}  // namespace insync::rest
