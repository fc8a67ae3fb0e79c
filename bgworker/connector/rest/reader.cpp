// The phases of a read; see reader.hpp. How rows become frames stands in reader_rows.cpp.
#include "bgworker/connector/rest/reader.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/output/failure.hpp"

namespace insync::rest {

namespace {

std::optional<std::string> text_member(const nlohmann::json& object, const char* name) {
    if (!object.is_object()) return std::nullopt;
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
}

}  // namespace

std::vector<std::string> names_in(const nlohmann::json& value) {
    std::vector<std::string> names;
    if (value.is_string()) names.push_back(value.get<std::string>());
    if (value.is_array()) {
        for (const nlohmann::json& item : value) names.push_back(item.get<std::string>());
    }
    return names;
}

std::string_view name_of(ChangeMode mode) {
    switch (mode) {
        case ChangeMode::anchored:
            return "in the order of the watermark, each page from the last row of the one before";
        case ChangeMode::window:
            return "what changed since the watermark, in any order";
        case ChangeMode::newest:
            return "newest first, until a row that is already known";
        case ChangeMode::token:
            return "what the last answer of the run before pointed to";
        case ChangeMode::compare:
            break;
    }
    return "everything, to be compared";
}

Reader::Reader(Session& session, const Settings& settings, const ReadRequest& request, FrameWriter& out)
    : session_(session), settings_(settings), request_(request), out_(out), position_(request.position) {
    encode_.replace_text = request.replace_text;
    requests_before_ = session.requests();
    bytes_before_ = out.bytes_sent();
    bytes_at_position_ = out.bytes_sent();
}

void Reader::prepare() {
    session_.use(settings_);
    // Before anything else names a field: a key or a watermark can be one that is declared.
    for (const auto& [name, declaration] : settings_.object("fields")) {
        declared_.push_back(declared_column(name, declaration, fields_));
    }
    const std::string parent = settings_.text("parent");
    if (parent.empty()) {
        endpoint_ = make_endpoint(settings_, request_.source, request_.key, request_.watermark);
        for (const std::string& field : request_.key) key_fields_.push_back(fields_.add(field));
        parent_key_ = key_fields_;
        unchanging_order_ = request_.key;
        watermark_names_ = request_.watermark;
        for (const std::string& field : request_.watermark) watermark_fields_.push_back(fields_.add(field));
        if (!request_.only_keys) {
            for (const std::string& field : request_.version) version_fields_.push_back(fields_.add(field));
        }
    } else {
        // The parents tell what changed; the rows of their children are what is sent.
        const auto options = nlohmann::json::parse(parent, nullptr, false);
        parent_settings_ = settings_.with_stream(options);
        const std::vector<std::string> key = names_in(options.value("key", nlohmann::json()));
        const std::vector<std::string> watermark = names_in(options.value("watermark", nlohmann::json()));
        endpoint_ = make_endpoint(parent_settings_, options.value("source", ""), key, watermark);
        for (const std::string& field : key) parent_key_.push_back(parent_fields_.add(field));
        unchanging_order_ = key;
        watermark_names_ = watermark;
        for (const std::string& field : watermark) watermark_fields_.push_back(parent_fields_.add(field));
        child_ = make_endpoint(settings_, request_.source, request_.key, {});
        parent_names_ = child_->parent_fields();
        parent_values_.resize(parent_names_.size());
        for (const std::string& field : request_.key) {
            if (!field.starts_with("parent_")) key_fields_.push_back(fields_.add(field));
        }
    }
    if (!watermark_fields_.empty()) watermark_field_ = watermark_fields_.front();
    has_null_query_ = (child_ ? parent_settings_ : settings_).has("null_query");
    std::string keys;
    for (const std::string& name : request_.key_columns) {
        // A parent's field is known without being asked for.
        if (!child_ || !name.starts_with("parent_")) keys += (keys.empty() ? "" : ",") + name;
    }
    if (!keys.empty()) (child_ ? *child_ : endpoint_).constants.texts["keys"] = keys;
    // A row is known again by its watermark, too: with another one it is elsewhere, and in a table of changes its key
    // occurs many times.
    const std::vector<std::size_t>& told_by = watermark_fields_.empty() ? version_fields_ : watermark_fields_;
    if (!parent_key_.empty()) parent_key_.insert(parent_key_.end(), told_by.begin(), told_by.end());
    order_ = WatermarkOrder((parent.empty() ? settings_ : parent_settings_).epoch(), request_.zone_offset_s);
    add_known_columns();
    load_memory();
    if (request_.window) return prepare_slice();
    if (settings_.has("delete_feed")) feed_.emplace(session_, settings_, request_.position);
}

ChangeMode Reader::change_mode() const {
    if (!endpoint_.response_watermark.empty()) return ChangeMode::token;
    if (!watermark_field_) return ChangeMode::compare;
    if (endpoint_.uses("since")) return endpoint_.order == Order::asc ? ChangeMode::anchored : ChangeMode::window;
    return endpoint_.order == Order::desc ? ChangeMode::newest : ChangeMode::compare;
}

nlohmann::json Reader::run() {
    if (request_.only) {
        throw Failure(FailureClass::config, "the rows of an API cannot be read by their keys", "",
                      "Read the windows of time that they are in.");
    }
    prepare();
    watermark_ = text_member(request_.position, "watermark");
    if (!watermark_) watermark_ = request_.initial_watermark;
    if (watermark_ && watermark_field_) set_known_kind();
    begun_at_ = text_member(request_.position, "watermark");
    const ChangeMode mode = change_mode();
    if (request_.full || mode != ChangeMode::anchored) expect_versions();
    if (feed_) begin_feed();
    if (request_.only_keys) {
        send_key_columns("live_key");
    } else if (!columns_.empty()) {
        send_columns();
    }
    if (request_.window) {
        run_slice();
    } else if (request_.full) {
        run_full();
    } else if (mode == ChangeMode::anchored || mode == ChangeMode::window || mode == ChangeMode::newest) {
        run_changes(mode);
    } else if (mode == ChangeMode::token) {
        run_token();
    } else {
        run_full();
        warning_ =
            "the source cannot be asked what changed, so everything is read and compared; without a watermark, rows "
            "that were deleted would be found as well";
    }
    child_memory_.require_whole();
    if (feed_) feed_->settle();
    if (!columns_.empty()) send_position();
    send_progress();
    const std::optional<std::string> now = session_.source_now();
    nlohmann::json done = {{"complete", true},
                           {"source_now", json_of(now)},
                           {"future_rows", future_rows_},
                           {"null_watermarks", null_watermarks_},
                           {"superseded_rows", superseded_rows_},
                           {"reread_rows", reread_rows_},
                           {"lag_seconds", nullptr},
                           {"unchanged", unchanged_}};
    if (!warning_.empty()) done["warning"] = warning_;
    if (now && watermark_ && order_.is_time()) {
        const std::optional<std::string> time =
            order_.epoch().empty() ? watermark_ : format_time(*watermark_, "iso_us");
        if (const std::optional<double> lag = time ? seconds_between(*time, *now) : std::nullopt) {
            done["lag_seconds"] = std::max(0.0, *lag);
        }
    }
    return done;
}

// The kind of the watermark that the position holds, by its column's type.
void Reader::set_known_kind() {
    order_.set_kind(order_.kind_of(!child_ && is_number(fields_.name(*watermark_field_)), *watermark_));
}

// The source's clock, asked for where no answer has told it yet.
std::string Reader::source_clock() {
    if (!session_.source_now()) {
        HttpRequest request = endpoint_.request(values_since(std::nullopt));
        request.method = "HEAD";
        request.body.reset();
        request.accepted = {400, 404, 405, 501};
        session_.send(request);
    }
    return session_.source_now().value_or("");
}

Values Reader::values_since(const std::optional<std::string>& since) const {
    Values values;
    if (since) values.texts["since"] = *since;
    if (run_start_) values.texts["run_start"] = *run_start_;
    values.counts = order_.kind() == WatermarkKind::integer && order_.epoch().empty();
    PageMemory none;
    Pager(endpoint_, &none).place(values);
    return values;
}

// Where a read begins: the watermark, or the oldest delete that was applied, less the lookback.
std::optional<std::string> Reader::low_bound() const {
    if (!watermark_) return std::nullopt;
    const std::string from = feed_ ? before_deletes(*watermark_) : *watermark_;
    return order_.less_lookback(from, request_.lookback);
}

Query Reader::begin(Values values) {
    Fields& fields = child_ ? parent_fields_ : fields_;
    Query query(session_, endpoint_, fields, parent_key_, std::move(values), memory_);
    const auto etag = request_.position.is_object() ? request_.position.find("etag") : request_.position.end();
    const bool rereads = feed_ && feed_->reread_from();
    if (request_.position.is_object() && etag != request_.position.end() && etag->is_object() && !child_ && !rereads &&
        !held_) {
        query.if_changed_from(etag->value("url", ""), etag->value("tag", ""));
    }
    return query;
}

// What the run's first query has shown: that nothing changed, or with which tag to ask the next time. A tag stands for
// one answer, so it helps only where that was all.
void Reader::finish_query(const Query& query) {
    pages_ += query.pages();
    // Rows without a watermark may have come before.
    unchanged_ = query.was_unchanged() && null_watermarks_ == 0;
    if (query.was_unchanged()) {
        position_ = request_.position;
    } else if (query.pages() == 1 && query.etag() && position_.is_object() && !child_ && !held_) {
        position_["etag"] = {{"url", query.first_url()}, {"tag", *query.etag()}};
    }
}

void Reader::fail_cut_off(const std::string& detail) const {
    throw Failure(FailureClass::config,
                  "the source shows " + std::to_string(endpoint_.max_results) + " rows of a request and no more",
                  detail,
                  "Ask for less at once: with a watermark and {since} and {until} in params, windows are made as small "
                  "as they have to be.");
}

// Reads everything. Where pages may have shifted and what they don't show would be deleted, once more: what neither
// read shows isn't there.
void Reader::run_full() {
    finds_gaps_ = request_.full && settings_.text("deletes") != "ignore";
    read_all();
    if (!std::exchange(has_gaps_, false)) return;
    if (versions_) versions_->clear();
    read_all();
}

void Reader::read_all() {
    if (endpoint_.uses("asof") && settings_.flag("snapshot")) run_start_ = source_clock();
    Values values = values_since(std::nullopt);
    if (run_start_ && settings_.flag("snapshot")) values.texts["asof"] = *run_start_;
    values.order = unchanging_order_;
    position_ = {{"phase", "full"}};
    Query query = begin(std::move(values));
    if (finds_gaps_) query.watch_gaps();
    while (query.next()) send_page(query, [](std::size_t) {});
    has_gaps_ = has_gaps_ || (finds_gaps_ && query.may_have_gaps());
    if (query.is_cut_off()) fail_cut_off("This run asked for all of them.");
    position_ = {{"phase", "done"}};
    finish_query(query);
}

void Reader::run_newest() {
    const std::optional<std::string> low = low_bound();
    position_ = {{"phase", "changes"}, {"watermark", json_of(watermark_)}};
    Query query = begin(values_since(std::nullopt));
    std::optional<std::string> highest, previous;
    bool is_known = false;
    while (!is_known && query.next()) {
        send_page(query, [&](std::size_t row) {
            const std::optional<std::string> literal = watermark_of(query.page(), row);
            if (!literal || is_future(*literal)) return;
            if (previous && order_.is_later(*literal, *previous)) {
                throw Failure(FailureClass::source, "the source does not return its newest rows first",
                              "\"" + *literal + "\" came after \"" + *previous + "\".",
                              "Ask for that order in params, or set the option order to none.");
            }
            previous = literal;
            if (!highest || order_.is_later(*literal, *highest)) highest = literal;
            if (low && order_.is_later(*low, *literal)) is_known = true;
        });
    }
    if (query.is_cut_off() && !is_known) fail_cut_off("None of them was known.");
    close_window(highest);
    finish_query(query);
}

void Reader::run_token() {
    // A URL, perhaps a relative one with parameters, which no token looks like.
    const bool is_url = watermark_ && (watermark_->find("://") != std::string::npos || watermark_->starts_with('/') ||
                                       watermark_->find('?') != std::string::npos);
    position_ = request_.position;
    if (!position_.is_object()) position_ = {{"phase", "changes"}};
    Values values = values_since(is_url ? std::nullopt : watermark_);
    // Where both are one parameter, the next page begins with its token.
    if (watermark_ && !is_url && endpoint_.paging == Paging::token) values.texts["page_token"] = *watermark_;
    Query query = begin(std::move(values));
    if (is_url) query.begin_with(*watermark_);
    std::optional<std::string> token;
    while (query.next()) {
        send_page(query, [](std::size_t) {});
        const Value value = query.page().envelope(endpoint_.response_watermark);
        if (value.kind != Value::Kind::absent && value.kind != Value::Kind::null) token = std::string(value.text);
    }
    if (query.is_cut_off()) fail_cut_off("The source's pages ended before what the next run begins with.");
    if (!query.was_unchanged() && !token && !watermark_) {
        throw Failure(FailureClass::source, "the source does not say what the next run begins with",
                      "Its last answer has nothing at " + endpoint_.response_watermark + ".",
                      "Check the option response_watermark.");
    }
    if (token) {
        watermark_ = token;
        position_ = {{"phase", "changes"}, {"watermark", *token}};
    }
    pages_ += query.pages();
    unchanged_ = query.was_unchanged();
}

nlohmann::json Reader::preview(std::size_t rows) {
    prepare();
    memory_.defers = true;  // who only looks needn't be told that there may be more
    Query query = begin(values_since(std::nullopt));
    while (rows_ < rows && query.next()) {
        if (columns_.empty()) {
            discover_columns(query.page());
            send_columns();
        }
        for (std::size_t row = query.first_row(); row < query.page().rows() && rows_ < rows; row++) {
            send_row(query.page(), row);
        }
    }
    send_progress();
    return {{"complete", true}, {"rows", rows_}};
}

nlohmann::json Reader::explain() {
    prepare();
    watermark_ = text_member(request_.position, "watermark");
    if (!watermark_) watermark_ = request_.initial_watermark;
    if (watermark_ && watermark_field_) set_known_kind();
    nlohmann::json statements = nlohmann::json::array();
    auto add = [&](const std::string& purpose, const HttpRequest& request) {
        statements.push_back({{"purpose", purpose}, {"sql", session_.shown(request)}, {"parameters", {}}});
    };
    const ChangeMode mode = request_.full ? ChangeMode::compare : change_mode();
    const std::string purpose = request_.only_keys ? "keys, to find deleted rows" : std::string(name_of(mode));
    if (feed_ && feed_->has_begun() && !request_.full) add("what was deleted", feed_->next_request());
    const std::optional<std::string> since =
        mode == ChangeMode::anchored || mode == ChangeMode::window ? low_bound() : std::nullopt;
    Values values = values_since(since);
    if (request_.full) values.order = unchanging_order_;
    if (request_.window) values = values_of_slice(request_.window->from, request_.window->to);
    if (mode == ChangeMode::token && watermark_) values.texts["since"] = *watermark_;
    if (reads_nulls(mode)) add("rows without a watermark", null_query().next_request());
    add(purpose, begin(values).next_request());
    for (std::size_t number = 1; number < watermark_names_.size() && since; number++) {
        use_column(number);
        add(purpose, begin(values).next_request());
    }
    if (child_) {
        Values child;
        for (const std::string& name : parent_names_) child.texts["parent." + name] = "{" + name + "}";
        Pager(*child_, &child_memory_).place(child);
        add("for each of them", child_->request(child));
    }
    nlohmann::json options = nlohmann::json::array();
    for (const Settings::Entry& entry : settings_.entries()) {
        options.push_back({{"name", entry.name}, {"value", entry.value}, {"from", entry.from}});
    }
    return {{"statements", statements},
            {"bounds", {{"watermark", json_of(watermark_)}, {"low", json_of(since)}}},
            {"options", options}};
}

}  // namespace insync::rest
