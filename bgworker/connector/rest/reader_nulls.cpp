// Rows without a watermark, and watermarks of several columns; see reader.hpp.
//
// No request for what changed since a watermark shows a row that has none. So these are asked for by the option
// null_query in each run. Without it, a first load reads to where a source that sorts them last shows them; those that
// come up later are found by full reads only, and the run says so.
#include <algorithm>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/reader.hpp"

namespace insync::rest {

namespace {

constexpr const char* unread_member = "unread_nulls";

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

}  // namespace

bool Reader::reads_nulls(ChangeMode mode) const {
    if (request_.full || !has_null_query_ || watermark_names_.empty()) return false;
    const bool filters = mode == ChangeMode::anchored || mode == ChangeMode::window || mode == ChangeMode::newest;
    if (!filters) return false;
    // {} says that there are none, whatever a preset has.
    const Settings& settings = child_ ? parent_settings_ : settings_;
    const auto given = nlohmann::json::parse(settings.text("null_query"), nullptr, false);
    return given.is_object() && !given.empty() && !settings.object("null_query").empty();
}

std::string Reader::name_of_version() const {
    return fields_.name(version_fields_.front());
}

// The rows where the last of the watermark's columns is null: of these are all that have none.
Query Reader::null_query() {
    const Settings& settings = child_ ? parent_settings_ : settings_;
    null_endpoint_ = endpoint_;
    null_endpoint_->constants.texts["watermark"] = watermark_names_.back();
    add_null_query(*null_endpoint_, settings);
    Values values = values_since(std::nullopt);
    // The watermark stands in front of the key there.
    const std::vector<std::string>& order = endpoint_.constants.order;
    std::copy_if(order.begin(), order.end(), std::back_inserter(values.order), [&](const std::string& field) {
        return std::find(watermark_names_.begin(), watermark_names_.end(), field) == watermark_names_.end();
    });
    return Query(session_, *null_endpoint_, child_ ? parent_fields_ : fields_, parent_key_, std::move(values), memory_);
}

void Reader::begin_nulls(ChangeMode mode) {
    if (mode != ChangeMode::anchored || has_null_query_) return;
    if (request_.position.is_object() && request_.position.contains(unread_member)) {
        unread_nulls_ = request_.position[unread_member].get<std::int64_t>();
    } else if (!watermark_) {
        unread_nulls_ = 0;
    }
}

void Reader::read_null_watermarks() {
    position_ = {{"phase", "changes"}, {"watermark", watermark_ ? nlohmann::json(*watermark_) : nlohmann::json()}};
    Query query = null_query();
    try {
        while (query.next()) {
            const Page& page = query.page();
            if (child_ && request_.null_watermark != ReadRequest::NullWatermark::include) {
                for (std::size_t row = query.first_row(); row < page.rows(); row++) {
                    if (!is_null(page, row, watermark_fields_)) continue;
                    null_watermarks_++;
                    if (request_.null_watermark == ReadRequest::NullWatermark::fail) require_no_null_watermarks();
                }
                continue;
            }
            if (child_) null_watermarks_ += page.rows() - query.first_row();
            send_page(query, [](std::size_t) {});
        }
    } catch (Failure& failure) {
        if (failure.kind == FailureClass::config && failure.hint.empty()) {
            failure.hint = "The request asks for rows without a watermark. If there are none, set null_query to {}.";
        }
        throw;
    }
    pages_ += query.pages();
    if (query.is_cut_off()) fail_cut_off("This run asked for those without a watermark.");
}

// Of a row that has none.
void Reader::require_no_null_watermarks() {
    throw Failure(
        FailureClass::source, "rows have no watermark",
        "Column \"" + joined(watermark_names_.empty() ? request_.version : watermark_names_) + "\" is null there.",
        "Set the option null_watermark to include or reject, or name a second watermark column.");
}

// What the source sorts behind all rows that have a watermark. Those were read by it; where pages are counted in rows,
// it is enough to begin at the last of them.
void Reader::read_tail(Paging paging) {
    constexpr const char* later =
        "changes of rows without a watermark are found by full reads only, as no option null_query says how to ask "
        "for them";
    if (endpoint_.max_results > 0 && *unread_nulls_ >= endpoint_.max_results) {
        warning_ = "rows without a watermark are not among the " + std::to_string(endpoint_.max_results) +
                   " that the source shows of a request; option null_query says how to ask for them";
        return;
    }
    const bool by_offset = paging == Paging::offset || paging == Paging::keyset;
    std::int64_t from = by_offset ? std::max<std::int64_t>(0, *unread_nulls_ - 1) : 0, step = 16;
    const std::uint64_t nulls = null_watermarks_;
    while (true) {
        Query query(session_, endpoint_, child_ ? parent_fields_ : fields_, parent_key_, values_since(std::nullopt),
                    memory_);
        if (from > 0) query.begin_behind(from, {});
        const bool has_page = query.next();
        const std::size_t rows = has_page ? query.page().rows() : 0;
        if (from > 0 && (rows == 0 || is_null(query.page(), 0, watermark_fields_))) {
            // Rows have gone meanwhile: what comes first here has to be one of those that were read.
            pages_ += query.pages();
            from = std::max<std::int64_t>(0, from - step);
            step *= 16;
            continue;
        }
        const bool has_null = rows > 0 && is_null(query.page(), rows - 1, watermark_fields_);
        if (from > 0 && rows > 1 && !has_null) {
            // Others change here while we look, so that no page continues the one before.
            pages_ += query.pages();
            from += static_cast<std::int64_t>(rows) - 1;
            continue;
        }
        for (bool is_there = has_page; is_there; is_there = query.next()) {
            send_page(query, [&](std::size_t row) { (void)watermark_of(query.page(), row); });
        }
        pages_ += query.pages();
        break;
    }
    if (null_watermarks_ > nulls) warning_ = later;
}

void Reader::run_changes(ChangeMode mode) {
    begin_nulls(mode);
    if (reads_nulls(mode)) read_null_watermarks();
    if (watermark_names_.size() > 1) {
        run_each_column(mode);
    } else {
        run_column(mode);
    }
}

void Reader::run_column(ChangeMode mode) {
    if (mode == ChangeMode::anchored) {
        run_anchored();
    } else if (mode == ChangeMode::window) {
        run_window();
    } else {
        run_newest();
    }
}

// Requests by another one of the watermark's columns.
void Reader::use_column(std::size_t number) {
    const std::string keys = endpoint_.constants.texts["keys"];
    if (child_) {
        const auto options = nlohmann::json::parse(settings_.text("parent"), nullptr, false);
        const std::vector<std::string> key = names_in(options.value("key", nlohmann::json()));
        endpoint_ = make_endpoint(parent_settings_, options.value("source", ""), key, {watermark_names_[number]});
    } else {
        endpoint_ = make_endpoint(settings_, request_.source, request_.key, {watermark_names_[number]});
    }
    endpoint_.constants.texts["keys"] = keys;
    watermark_field_ = watermark_fields_[number];
}

// The first of several columns that isn't null counts, which no request can say. What changed by any of them contains
// it: it is read by one after the other, from the same watermark, and that moves when all have been.
void Reader::run_each_column(ChangeMode mode) {
    require_column_names(endpoint_, mode == ChangeMode::newest, joined(watermark_names_));
    std::optional<std::string> highest, lowest;
    bool is_idle = false;
    for (std::size_t number = 0; number < watermark_names_.size(); number++) {
        use_column(number);
        held_.emplace();
        run_column(mode);
        const std::optional<std::string> reached = held_->highest;
        held_.reset();
        is_idle = is_idle || !reached;
        if (reached && (!highest || order_.is_later(*reached, *highest))) highest = reached;
        if (reached && (!lowest || order_.is_later(*lowest, *reached))) lowest = reached;
        unread_nulls_.reset();
        if (versions_) versions_->clear();  // the same rows may come again
    }
    position_ = {{"phase", "changes"}, {"watermark", watermark_ ? nlohmann::json(*watermark_) : nlohmann::json()}};
    // A number has no clock: what was written while the columns were read is above what was read of each.
    const bool is_time = order_.is_time();
    close_window(is_time ? highest : is_idle ? std::nullopt : lowest);
}

}  // namespace insync::rest
