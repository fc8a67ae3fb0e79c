// Serves requests; see request_loop.hpp.
#include "bgworker/connector/request_loop.hpp"

#include <cerrno>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <typeinfo>

#include <cxxabi.h>

#include <unistd.h>

#include "bgworker/connector/odbc/odbc_source.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/rest_source.hpp"
#include "bgworker/protocol/frame.hpp"
#include "build_id.hpp"

namespace insync {

namespace {

using nlohmann::json;

std::string text_of(const json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

std::optional<std::string> optional_text(const json& request, const char* name) {
    const auto found = request.find(name);
    if (found == request.end() || found->is_null()) return std::nullopt;
    return text_of(*found);
}

std::optional<std::vector<std::string>> optional_names(const json& request, const char* name) {
    const auto found = request.find(name);
    if (found == request.end() || found->is_null()) return std::nullopt;
    return found->get<std::vector<std::string>>();
}

// A count; text is taken too, and what isn't given or isn't positive falls back.
template <typename Number>
Number number_or(const json& request, const char* name, Number fallback) {
    const auto found = request.find(name);
    if (found == request.end() || !found->is_number()) return fallback;
    const double value = found->get<double>();
    if (value >= static_cast<double>(std::numeric_limits<Number>::max())) return std::numeric_limits<Number>::max();
    return value >= 1 ? static_cast<Number>(value) : fallback;
}

// An object or array, as `fallback` is one; what is none falls back.
json structure_or(const json& request, const char* name, const json& fallback) {
    const auto found = request.find(name);
    return found != request.end() && found->type() == fallback.type() ? *found : fallback;
}

OpenRequest open_request(const json& request) {
    OpenRequest open;
    open.source = optional_text(request, "check_source").value_or("");
    if (const auto server = request.find("server"); server != request.end() && server->is_object()) {
        open.server = *server;
    }
    if (const auto found = request.find("credentials"); found != request.end() && found->is_object()) {
        open.credentials = *found;
        open.user = optional_text(*found, "user").value_or("");
        open.password = optional_text(*found, "password").value_or("");
    }
    if (const auto found = request.find("limits"); found != request.end() && found->is_object()) {
        open.connect_timeout_ms = number_or(*found, "connect_timeout_ms", open.connect_timeout_ms);
        open.query_timeout_ms = number_or(*found, "query_timeout_ms", open.query_timeout_ms);
        open.lock_timeout_ms = number_or(*found, "lock_timeout_ms", open.lock_timeout_ms);
        open.max_value_bytes = number_or(*found, "max_value_bytes", open.max_value_bytes);
    }
    return open;
}

std::optional<Window> optional_window(const json& request) {
    const auto found = request.find("window");
    if (found == request.end() || found->is_null()) return std::nullopt;
    Window window{found->at("column").get<std::string>(), optional_text(*found, "from"), optional_text(*found, "to"),
                  found->value("null", false)};
    return window;
}

ReadRequest read_request(const json& request) {
    ReadRequest read;
    read.source = request.at("source").get<std::string>();
    const std::string mode = request.value("mode", "incremental");
    read.only_keys = mode == "keys";
    read.full = mode == "full" || read.only_keys;
    if (read.full) read.window = optional_window(request);
    if (const auto found = request.find("only"); read.full && found != request.end() && !found->is_null()) {
        read.only = found->get<std::vector<std::vector<std::string>>>();
    }
    read.key = optional_names(request, "key").value_or(std::vector<std::string>());
    read.key_columns = optional_names(request, "key_columns").value_or(read.key);
    read.row_identity = optional_names(request, "row_identity").value_or(std::vector<std::string>());
    read.watermark = optional_names(request, "watermark").value_or(std::vector<std::string>());
    read.version = optional_names(request, "version").value_or(read.watermark);
    read.version_key = optional_names(request, "version_key").value_or(std::vector<std::string>());
    read.key_is_unique = request.value("key_is_unique", false);
    read.remake = optional_text(request, "remake").value_or("");
    read.is_change_log = request.value("is_change_log", false);
    read.lookback = optional_text(request, "lookback").value_or("");
    read.initial_watermark = optional_text(request, "initial_watermark");
    if (const auto offset = request.find("zone_offset_s"); offset != request.end() && offset->is_number_integer()) {
        read.zone_offset_s = offset->get<std::int64_t>();
    }
    if (const auto found = request.find("position"); found != request.end()) read.position = *found;
    read.batch_rows = number_or(request, "batch_rows", read.batch_rows);
    read.batch_bytes = number_or(request, "batch_bytes", read.batch_bytes);
    read.page_rows = number_or(request, "page_rows", read.page_rows);
    const std::string nulls = optional_text(request, "null_watermark").value_or("include");
    read.null_watermark = nulls == "fail"     ? ReadRequest::NullWatermark::fail
                          : nulls == "reject" ? ReadRequest::NullWatermark::reject
                                              : ReadRequest::NullWatermark::include;
    read.replace_text = optional_text(request, "text_policy").value_or("replace") != "reject";
    read.null_zero_dates = optional_text(request, "zero_dates").value_or("null") != "reject";
    read.columns = optional_names(request, "columns");
    read.options = structure_or(request, "options", read.options);
    read.known_columns = structure_or(request, "known_columns", read.known_columns);
    return read;
}

MeasureRequest measure_request(const json& request) {
    using Unit = MeasureRequest::Unit;
    MeasureRequest measure;
    json rows = request;
    rows["mode"] = "full";
    measure.rows = read_request(rows);
    if (const auto group = request.find("group"); group != request.end() && !group->is_null()) {
        measure.blocks = number_or<std::size_t>(*group, "blocks", 0);
        if (measure.blocks == 0) {
            const std::string unit = group->at("unit").get<std::string>();
            if (unit != "hour" && unit != "day" && unit != "quarter") {
                throw Failure(FailureClass::config, "rows can't be grouped by \"" + unit + "\"", "",
                              "Group by hour, day or quarter.");
            }
            measure.by_time = {group->at("column").get<std::string>(), unit == "hour"  ? Unit::hour
                                                                       : unit == "day" ? Unit::day
                                                                                       : Unit::quarter};
        }
    }
    measure.sums = optional_names(request, "sums").value_or(measure.sums);
    measure.hash = optional_names(request, "hash").value_or(measure.hash);
    measure.as_stored = request.value("as_stored", false);
    measure.unsettled_from = optional_text(request, "unsettled_from");
    if (const auto buckets = request.find("buckets"); buckets != request.end() && !buckets->is_null()) {
        measure.buckets = buckets->get<std::vector<std::pair<std::string, std::string>>>();
    }
    return measure;
}

std::string readable_name(const std::type_info& type) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                      std::free);
    return name ? name.get() : type.name();
}

json error_frame(const Failure& failure, bool disconnected) {
    json frame = {{"class", name_of(failure.kind)},
                  {"message", failure.message},
                  {"detail", failure.detail},
                  {"hint", failure.hint},
                  {"sqlstate", failure.sqlstate},
                  {"retry_after", nullptr},
                  {"disconnected", failure.disconnected || disconnected}};
    if (failure.retry_after_seconds) frame["retry_after"] = *failure.retry_after_seconds;
    return frame;
}

}  // namespace

std::unique_ptr<Source> make_source(const std::string& kind, Permits& permits, FrameWriter& out) {
    if (kind == "odbc") return std::make_unique<odbc::OdbcSource>();
    if (kind == "rest") return std::make_unique<rest::RestSource>(permits, out);
    throw Failure(FailureClass::config, "there is no source of kind \"" + kind + "\"");
}

Source& RequestLoop::source() {
    if (!source_) throw Failure(FailureClass::config, "no connection is open");
    if (source_->is_disconnected()) {
        Failure failure(FailureClass::transient, "the connection to the source was lost");
        failure.disconnected = true;
        throw failure;
    }
    return *source_;
}

bool RequestLoop::run() {
    out_.send(wire::FrameType::hello, {{"protocol", wire::protocol_version}, {"build", INSYNC_BUILD_ID}});
    auto fail = [&](const Failure& failure) {
        out_.drop_row();
        out_.send(wire::FrameType::error, error_frame(failure, source_ && source_->is_disconnected()));
    };
    // The exception's own text would quote the request, which may hold a password.
    const Failure unknown_form(FailureClass::config, "the request isn't valid JSON of a known form");
    std::string line;
    while (true) {
        try {
            if (!read_line(line)) break;
            if (line.empty()) continue;
            const json request = parse_json(line);
            if (request.value("verb", "") == "close") return true;
            serve(request);
        } catch (const Failure& failure) {
            fail(failure);
        } catch (const json::exception&) {
            fail(unknown_form);
        } catch (const ProtocolError&) {
            fail(unknown_form);
        } catch (const std::bad_alloc&) {
            fail(Failure(FailureClass::source, "the connector ran out of memory", "",
                         "Lower the options batch_bytes and page_rows, or raise insync.connector_memory."));
        } catch (...) {
            // Only a driver throws anything else. Locks that it or the driver manager held are held for ever now, so
            // this process can't go on. What it says of itself may hold a password; its type doesn't.
            const std::type_info* type = abi::__cxa_current_exception_type();
            Failure failure(FailureClass::transient, "the ODBC driver failed with a C++ exception",
                            type != nullptr ? "Its type is " + readable_name(*type) + "." : "");
            failure.disconnected = true;
            fail(failure);
            return false;
        }
    }
    return true;
}

void RequestLoop::serve(const json& request) {
    const std::string verb = request.value("verb", "");
    json done = json::object();
    if (verb == "open" || verb == "check") {
        source_ = make_(request.value("kind", "odbc"), *this, out_);
        if (verb == "open") {
            done = source_->open(open_request(request));
        } else {
            source_->check(open_request(request), out_);
        }
    } else if (verb == "discover") {
        source().discover(request.value("pattern", "%"), out_);
    } else if (verb == "describe") {
        const DescribeRequest describe{request.at("source").get<std::string>(), optional_names(request, "key"),
                                       optional_names(request, "watermark"),
                                       structure_or(request, "options", json::object())};
        out_.send(wire::FrameType::result, source().describe(describe));
    } else if (verb == "preview") {
        const std::string name = request.at("source").get<std::string>();
        done = source().preview(name, number_or<std::size_t>(request, "rows", 10), out_);
    } else if (verb == "read") {
        done = source().read(read_request(request), out_);
    } else if (verb == "measure") {
        done = source().measure(measure_request(request), out_);
    } else if (verb == "explain") {
        out_.send(wire::FrameType::result, source().explain(read_request(request), out_));
    } else {
        throw Failure(FailureClass::config, "unknown verb \"" + verb + "\"");
    }
    out_.send(wire::FrameType::done, done);
}

std::chrono::milliseconds RequestLoop::ask(std::chrono::milliseconds interval, std::chrono::milliseconds hold) {
    out_.send(wire::FrameType::permit, {{"interval_ms", interval.count()}, {"hold_ms", hold.count()}});
    std::string line;
    if (!read_line(line)) throw Failure(FailureClass::transient, "the worker doesn't answer");
    return std::chrono::milliseconds(number_or<std::int64_t>(parse_json(line), "wait_ms", 0));
}

bool RequestLoop::read_line(std::string& line) {
    constexpr std::size_t longest_line = 64u << 20;
    while (true) {
        const std::size_t end = pending_.find('\n');
        if (end != std::string::npos) {
            line = pending_.substr(0, end);
            pending_.erase(0, end + 1);
            return true;
        }
        if (pending_.size() > longest_line) {
            pending_.clear();
            throw Failure(FailureClass::source, "a request is longer than the connector takes (64 MiB)");
        }
        char buffer[64 * 1024];
        const ssize_t count = ::read(input_, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        pending_.append(buffer, static_cast<std::size_t>(count));
    }
}

}  // namespace insync
