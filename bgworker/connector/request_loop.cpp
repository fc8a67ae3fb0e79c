// Serves requests; see request_loop.hpp.
#include "bgworker/connector/request_loop.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <new>
#include <typeinfo>

#include <cxxabi.h>

#include <unistd.h>

#include "bgworker/connector/odbc/odbc_source.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/rest_source.hpp"
#include "bgworker/protocol/frame.hpp"
#include "bgworker/protocol/overloaded.hpp"
#include "build_id.hpp"

namespace insync {

namespace {

using nlohmann::json;

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
    const Failure unknown_form(FailureClass::config, "the request is not valid JSON of a known form");
    std::string line;
    while (true) {
        try {
            if (!read_line(line)) break;
            if (line.empty()) continue;
            const Request request = request_of(parse_json(line));
            if (std::holds_alternative<CloseRequest>(request)) return true;
            serve(request);
        } catch (const Failure& failure) {
            fail(failure);
        } catch (const InvalidRequest& invalid) {
            fail(Failure(FailureClass::config, invalid.what(), "", invalid.hint));
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

void RequestLoop::serve(const Request& request) {
    json done = json::object();
    auto result = [&](const json& payload) { out_.send(wire::FrameType::result, payload); };
    std::visit(Overloaded{
                   [&](const OpenRequest& open) {
                       source_ = make_(open.kind, *this, out_);
                       done = source_->open(open);
                   },
                   [&](const CheckRequest& check) {
                       source_ = make_(check.open.kind, *this, out_);
                       source_->check(check, out_);
                   },
                   [&](const DiscoverRequest& discover) { source().discover(discover.pattern, out_); },
                   [&](const DescribeRequest& describe) { result(source().describe(describe)); },
                   [&](const PreviewRequest& preview) { done = source().preview(preview.source, preview.rows, out_); },
                   [&](const ReadRequest& read) { done = source().read(read, out_); },
                   [&](const ExplainRequest& explain) { result(source().explain(explain.rows, out_)); },
                   [&](const MeasureRequest& measure) { done = source().measure(measure, out_); },
                   [](const CloseRequest&) {},
               },
               request);
    out_.send(wire::FrameType::done, done);
}

std::chrono::milliseconds RequestLoop::ask(std::chrono::milliseconds interval, std::chrono::milliseconds hold) {
    out_.send(wire::FrameType::permit, {{"interval_ms", interval.count()}, {"hold_ms", hold.count()}});
    std::string line;
    if (!read_line(line)) throw Failure(FailureClass::transient, "the worker does not answer");
    const json answer = parse_json(line);
    const auto wait = answer.find("wait_ms");
    const bool has_wait = wait != answer.end() && wait->is_number_integer();
    return std::chrono::milliseconds(has_wait ? std::max<std::int64_t>(wait->get<std::int64_t>(), 0) : 0);
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
