// The verbs for REST sources; see rest_source.hpp.
#include "bgworker/connector/rest/rest_source.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/url.hpp"
#include "bgworker/connector/rest/reader.hpp"
#include "bgworker/connector/rest/request/template.hpp"

namespace insync::rest {

namespace {

nlohmann::json columns_json(const std::vector<RestColumn>& columns) {
    return to_json(std::vector<Column>(columns.begin(), columns.end()));
}

constexpr const char* no_login = "no credentials are sent";

std::string explained(const Failure& error) {
    std::string text = error.message;
    if (!error.detail.empty()) text += ": " + error.detail;
    if (!error.hint.empty()) text += " (" + error.hint + ")";
    return text;
}

}  // namespace

nlohmann::json RestSource::open(const OpenRequest& request) {
    open_ = request;
    const Settings server = settings(nlohmann::json::object());
    if (origin_of(server.text("base_url")).empty()) {
        throw Failure(FailureClass::config, "the option base_url is not an http or https URL");
    }
    session_ = std::make_unique<Session>(open_, server, permits_, out_);
    return {{"dialect", "rest"}, {"source_now", nullptr}};
}

void RestSource::check(const CheckRequest& request, FrameWriter& out) {
    using Clock = std::chrono::steady_clock;
    Clock::time_point started = Clock::now();
    auto report = [&](const char* step, bool ok, const std::string& message) {
        const double ms = std::chrono::duration<double, std::milli>(Clock::now() - started).count();
        out.send(wire::FrameType::result, {{"step", step}, {"ok", ok}, {"ms", ms}, {"message", message}});
        started = Clock::now();
    };
    try {
        open(request.open);
    } catch (const Failure& error) {
        return report("options", false, explained(error));
    }
    const Settings server = settings(nlohmann::json::object());
    report("options", true, server.has("preset") ? "preset " + server.text("preset") : "no preset");
    try {
        session_->login();
    } catch (const Failure& error) {
        return report("login", false, explained(error));
    }
    if (server.text("auth") == "oauth2") report("login", true, "got a token");
    const bool sends = server.text("auth") != "none";
    auto read_catalog = [&] {
        HttpRequest request;
        request.url = join_url(server.text("base_url"), server.text("catalog"));
        const std::size_t count = names_in_catalog(session_->send(request).body, server.text("catalog_path")).size();
        return std::to_string(count) + (count == 1 ? " source is listed" : " sources are listed");
    };
    // Nothing has to stand at the base itself: whatever it answers with, it was reached.
    HttpRequest probe;
    probe.url = join_url(server.text("base_url"), "");
    probe.accepts_any = true;
    try {
        const HttpResponse response = session_->send(probe);
        report("connect", true, origin_of(probe.url) + " answers with status " + std::to_string(response.status));
        if (response.status == 401 && sends && request.source.empty())
            return report("login", false,
                          "the source answered with status 401 (Check the credentials of the user mapping.)");
    } catch (const Failure& error) {
        return report("connect", false, explained(error));
    }
    const bool has_read = !request.source.empty() || server.has("catalog_path");
    std::string read;
    try {
        if (!request.source.empty()) {
            const Discovery found = rest::discover(*session_, server, request.source, {}, {});
            read = "the first " + std::to_string(found.rows_seen) + " rows of " + request.source + " have " +
                   std::to_string(found.columns.size()) + " columns";
        } else if (has_read) {
            read = read_catalog();
        }
    } catch (const Failure& error) {
        const bool is_login = error.kind == FailureClass::auth;
        if (!is_login && server.text("auth") != "oauth2")
            report("login", true, sends ? "credentials are sent" : no_login);
        return report(is_login ? "login" : "read", false, explained(error));
    }
    if (server.text("auth") != "oauth2") {
        // What anybody may read says nothing of the credentials.
        report("login", true,
               !sends                    ? no_login
               : !request.source.empty() ? "the source can be read with the credentials"
                                         : "credentials are sent; to see whether a source can be read with them: "
                                           "SELECT * FROM sync_test('server', 'source')");
    }
    if (has_read) report("read", true, read);
    const auto now = session_->source_now();
    report("clock", true, now ? "source time is " + *now : "answers have no date");
}

std::vector<std::string> RestSource::catalog() {
    const Settings server = settings(nlohmann::json::object());
    if (!server.has("catalog_path")) {
        throw Failure(FailureClass::config, "this kind of API has no list of its sources", "",
                      "Name one: SELECT * FROM sync_discover('...', 'path/of/the/source').");
    }
    HttpRequest request;
    request.url = join_url(server.text("base_url"), server.text("catalog"));
    return names_in_catalog(session_->send(request).body, server.text("catalog_path"));
}

void RestSource::discover(const std::string& pattern, FrameWriter& out) {
    const bool is_pattern = pattern.find('%') != std::string::npos;
    const std::vector<std::string> names = is_pattern ? catalog() : std::vector<std::string>{pattern};
    const Settings server = settings(nlohmann::json::object());
    std::vector<std::string> failed;
    std::string first_problem;
    for (const std::string& name : names) {
        if (is_pattern && !is_like(name, pattern)) continue;
        try {
            const Discovery found = rest::discover(*session_, server, name, {}, {}, true);
            out.send(wire::FrameType::result, {{"source", name},
                                               {"kind", "endpoint, paging " + found.paging},
                                               {"columns", columns_json(found.columns)},
                                               {"key", found.key},
                                               {"estimated_rows", found.rows ? nlohmann::json(*found.rows) : nullptr}});
        } catch (const Failure& error) {
            if (!is_pattern || error.kind == FailureClass::transient || error.kind == FailureClass::rate_limited) throw;
            if (failed.empty()) first_problem = error.message;
            failed.push_back(name);
        }
    }
    if (failed.empty()) return;
    // System collections are many, and of no interest.
    constexpr std::size_t most_named = 10;
    std::string list;
    for (std::size_t i = 0; i < std::min(failed.size(), most_named); i++) list += (i > 0 ? ", " : "") + failed[i];
    if (failed.size() > most_named) list += " and " + std::to_string(failed.size() - most_named) + " more";
    out.log("warning", "could not describe " + list + ": " + first_problem);
}

// Where only keys are wanted, the options that ask for no more than those lie over the stream's.
Settings RestSource::settings_for(const ReadRequest& request) const {
    const Settings stream = settings(request.options);
    if (!request.only_keys || !stream.has("key_scan")) return stream;
    return stream.with_options(nlohmann::json::parse(stream.text("key_scan"), nullptr, false));
}

nlohmann::json RestSource::describe(const DescribeRequest& request) {
    const Settings stream = settings(request.options);
    const std::vector<std::string> key = request.key.value_or(std::vector<std::string>());
    std::vector<std::string> watermark = request.watermark.value_or(std::vector<std::string>());
    const Discovery found = rest::discover(*session_, stream, request.source, key, watermark);
    if (stream.has("delete_feed")) {
        DeleteFeed(*session_, stream, nullptr).check(session_->source_now().value_or(""));
    }
    nlohmann::json result = describe_as(request.source, found);
    if (const std::string pointer = stream.text("response_watermark"); !pointer.empty())
        result["response_watermark"] = pointer;
    if (!watermark.empty()) {
        result["watermark_kind"] = found.watermark_kind;
        result["watermark"] = found.last_watermark;
        result["null_watermarks"] = found.null_watermarks;
        const std::string& format = found.epoch;
        const bool is_epoch = !format.empty();
        if (found.is_epoch_found) result["watermark_format"] = format;
        result["literal_kind"] = is_epoch ? "integer" : found.watermark_kind;
        if (const auto now = session_->source_now(); now && found.watermark_kind == "time") {
            const std::optional<std::string> clock = is_epoch ? format_time(*now, format) : now;
            const std::optional<CivilTime> last = parse_civil_time(found.last_watermark);
            result["clock"] = clock ? nlohmann::json(*clock) : nlohmann::json();
            result["clock_has_zone"] = is_epoch || (last && last->offset_seconds);
        }
    }
    return result;
}

nlohmann::json RestSource::describe_as(const std::string& source, const Discovery& found) const {
    return {{"source", source},
            {"kind", "endpoint"},
            {"columns", columns_json(found.columns)},
            {"primary_key", found.key},
            {"unique_keys", nlohmann::json::array()},
            {"key", found.key},
            {"nullable_key", nlohmann::json::array()},
            {"rowversion", nullptr},
            {"watermark_candidates", found.watermark_candidates},
            {"watermark_kind", nullptr},
            {"null_watermarks", 0},
            {"paging", found.paging},
            {"estimated_rows", found.rows ? nlohmann::json(*found.rows) : nlohmann::json()}};
}

nlohmann::json RestSource::preview(const std::string& source, std::size_t rows, FrameWriter& out) {
    ReadRequest request;
    request.source = source;
    const Settings server = settings(nlohmann::json::object());
    return Reader(*session_, server, request, out).preview(rows);
}

nlohmann::json RestSource::read(const ReadRequest& request, FrameWriter& out) {
    const Settings stream = settings_for(request);
    return Reader(*session_, stream, request, out).run();
}

nlohmann::json RestSource::explain(const ReadRequest& request, FrameWriter& out) {
    const Settings stream = settings_for(request);
    return Reader(*session_, stream, request, out).explain();
}

nlohmann::json RestSource::measure(const MeasureRequest& request, FrameWriter& out) {
    const Settings stream = settings_for(request.rows);
    ReadRequest rows = request.rows;
    if (!rows.window && request.by_time) rows.window = Window{request.by_time->column, std::nullopt, std::nullopt};
    return Reader(*session_, stream, rows, out).measure(request);
}

}  // namespace insync::rest
