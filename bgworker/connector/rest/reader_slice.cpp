// A full read of a window of time, and how many rows there are in some; see reader.hpp.
//
// The option slice_query says how a window is asked for. Without it, {since} and {until} take the bounds where the
// window's column is the watermark; where only {since} is known, rows in the order of the watermark end at the first
// that lies behind the window.
#include <utility>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/reader.hpp"

namespace insync::rest {

namespace {

constexpr const char* slice_hint =
    "Set the option slice_query, such as {\"{slice_column}_min\": \"[[{from:iso}]]\", \"{slice_column}_max\": "
    "\"[[{to:iso}]]\"}.";

}  // namespace

void Reader::prepare_slice() {
    const Window& window = *request_.window;
    if (child_) {
        throw Failure(FailureClass::config, "rows that are read for each of their parents cannot be read by time", "",
                      "Read them in full.");
    }
    if (window.only_null) {
        throw Failure(FailureClass::config, "an API cannot be asked for the rows without a time", "",
                      "Read them in full.");
    }
    has_slice_query_ = settings_.has("slice_query") || settings_.has("slice_body");
    if (has_slice_query_) {
        add_slice_query(endpoint_, settings_);
        endpoint_.constants.texts["slice_column"] = window.column;
        return;
    }
    const bool is_watermark = !request_.version.empty() && request_.version.front() == window.column;
    if (!is_watermark || !endpoint_.uses("since")) {
        throw Failure(FailureClass::config, "the source cannot be asked for a window of \"" + window.column + "\"",
                      is_watermark ? "Its requests have no {since}." : "It is not the watermark.", slice_hint);
    }
    if (window.to && !endpoint_.uses("until") && endpoint_.order != Order::asc) {
        throw Failure(FailureClass::config, "the source cannot be asked for a window of \"" + window.column + "\"",
                      "Its requests have no {until}, and its rows no order in which to stop.", slice_hint);
    }
    // A full read has no watermark, but this one asks by it.
    endpoint_ = make_endpoint(settings_, request_.source, request_.key, {window.column});
    watermark_field_ = fields_.add(window.column);
}

// As the column shows it: a time of UTC says so.
std::string Reader::slice_literal(const std::string& bound) const {
    if (!parse_civil_time(bound)) {
        throw Failure(FailureClass::config, "invalid time \"" + bound + "\"", "",
                      "A window's bounds are written as YYYY-MM-DD HH:MM:SS.");
    }
    Transport type = Transport::timestamptz;
    for (const RestColumn& column : columns_) {
        if (column.name == request_.window->column) type = column.type;
    }
    std::string literal = bound;
    if (literal.size() > 10) literal[10] = 'T';
    if (type == Transport::date) {
        // The first day that isn't below the bound.
        const bool is_day = literal.size() == 10 || literal.find_first_not_of("0:.", 11) == std::string::npos;
        literal = literal.substr(0, 10);
        return is_day ? literal : format_moved(*parse_civil_time(literal), 86400 * second_us);
    }
    if (literal.size() == 10) literal += "T00:00:00";
    return type == Transport::timestamp || parse_civil_time(literal)->offset_seconds ? literal : literal + "Z";
}

Values Reader::values_of_slice(const std::optional<std::string>& from, const std::optional<std::string>& to) const {
    Values values = values_since(std::nullopt);
    if (from) values.texts[has_slice_query_ ? "from" : "since"] = slice_literal(*from);
    if (to) values.texts[has_slice_query_ ? "to" : "until"] = slice_literal(*to);
    if (has_slice_query_) values.order = request_.key;
    return values;
}

void Reader::run_slice() {
    position_ = {{"phase", "full"}};
    finds_gaps_ = settings_.text("deletes") != "ignore";
    read_time_slice(request_.window->from, request_.window->to);
    if (std::exchange(has_gaps_, false)) read_time_slice(request_.window->from, request_.window->to);
    position_ = {{"phase", "done"}};
}

void Reader::read_time_slice(const std::optional<std::string>& from, const std::optional<std::string>& to) {
    Query query = begin(values_of_slice(from, to));
    const bool ends_by_order = to && !has_slice_query_ && endpoint_.order == Order::asc;
    const std::optional<std::int64_t> end = to ? instant_of(slice_literal(*to), "") : std::nullopt;
    bool is_over = false;
    if (finds_gaps_) query.watch_gaps();
    while (!is_over && query.next()) {
        send_page(query, [&](std::size_t row) {
            if (!ends_by_order || is_over) return;
            const std::optional<std::string> literal = watermark_of(query.page(), row);
            const std::optional<std::int64_t> time = literal ? instant_of(*literal, order_.epoch()) : std::nullopt;
            is_over = time && end && *time >= *end;
        });
    }
    pages_ += query.pages();
    has_gaps_ = has_gaps_ || (finds_gaps_ && query.may_have_gaps());
    if (is_over || !query.is_cut_off()) return;
    // Halves, as small as they have to be for the source to show all of each.
    const std::optional<CivilTime> begins = from ? parse_civil_time(*from) : std::nullopt;
    const std::optional<double> length_s = from && to ? seconds_between(*from, *to) : std::nullopt;
    if (!begins || !length_s || *length_s < 2) fail_cut_off("They were asked for by a window of time.");
    CivilTime layout = *begins;
    layout.has_time = layout.has_seconds = true;
    layout.time_separator = ' ';
    const std::string middle = format_moved(layout, static_cast<std::int64_t>(*length_s / 2) * second_us);
    read_time_slice(from, middle);
    read_time_slice(middle, to);
}

nlohmann::json Reader::measure(const MeasureRequest& request) {
    if (!request.sums.empty() || !request.hash.empty() || request.blocks > 0 || request.unsettled_from) {
        throw Failure(FailureClass::config, "an API reports only how many rows it has", "",
                      "Compare counts, or read the rows again.");
    }
    if (!request_.window) {
        throw Failure(FailureClass::config, "an API's rows are counted by the time of a column", "",
                      "Name the column that has the time of a row.");
    }
    prepare();
    auto count = [&](const std::optional<std::string>& from, const std::optional<std::string>& to) {
        Values values = values_of_slice(from, to);
        values.texts["limit"] = "1";  // the total comes with any page
        Query query = begin(std::move(values));
        query.next();
        pages_ += query.pages();
        const std::optional<std::int64_t> total = query.pager().total();
        if (total && query.pager().total_is_sure()) return *total;
        throw Failure(FailureClass::config, "the source does not report how many rows a request has", "",
                      "Where its answers hold the total, set the option total_path, such as /meta/filter_count.");
    };
    auto send = [&](const nlohmann::json& group, std::int64_t rows) {
        out_.send(wire::FrameType::result, {{"group", group}, {"rows", rows}});
    };
    if (request.buckets.empty()) send(nullptr, count(request_.window->from, request_.window->to));
    for (const auto& [from, to] : request.buckets) send(from, count(from, to));
    send_progress();
    const std::optional<std::string> now = session_.source_now();
    return {{"complete", true}, {"source_now", now ? nlohmann::json(*now) : nlohmann::json()}, {"hash_kind", nullptr}};
}

}  // namespace insync::rest
