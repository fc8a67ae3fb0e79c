// The connector's conversation: any lines are answered, each request by whole frames that end with done or error, also
// where the source fails in the middle of a row; and no answer repeats the password.
#include <algorithm>
#include <new>
#include <set>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/output/frame_queue.hpp"
#include "bgworker/connector/request_loop.hpp"
#include "tests/fuzz/support/frames.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

// A source that does what the "source" of a request says: how a read goes, one letter a step.
class ScriptedSource : public Source {
  public:
    nlohmann::json open(const OpenRequest& request) override {
        REQUIRE(request.connect_timeout_ms >= 1 && request.query_timeout_ms >= 1 && request.max_value_bytes >= 1);
        REQUIRE(request.server.is_object());
        if (request.user() == "fail") throw Failure(FailureClass::auth, "refused");
        return {{"dbms", "scripted"}};
    }
    void check(const CheckRequest&, FrameWriter& out) override {
        out.send(wire::FrameType::result, {{"step", "reach"}});
    }
    void discover(const std::string& pattern, FrameWriter& out) override {
        out.send(wire::FrameType::result, {{"name", pattern}});
    }
    nlohmann::json describe(const DescribeRequest& request) override { return {{"source", request.source}}; }
    nlohmann::json preview(const std::string& source, std::size_t rows, FrameWriter& out) override {
        REQUIRE(rows >= 1);
        return play(source, out);
    }
    nlohmann::json read(const ReadRequest& request, FrameWriter& out) override {
        REQUIRE(request.batch_rows >= 1 && request.batch_bytes >= 1 && request.page_rows >= 1);
        return play(request.source, out);
    }
    nlohmann::json explain(const ReadRequest& request, FrameWriter&) override {
        return {{"lookback", request.lookback}};
    }
    nlohmann::json measure(const MeasureRequest& request, FrameWriter&) override {
        return {{"blocks", request.blocks}, {"columns", request.sums.size() + request.hash.size()}};
    }
    bool is_disconnected() override { return disconnected_; }

  private:
    nlohmann::json play(const std::string& script, FrameWriter& out) {
        bool begun = false;  // a row that isn't whole when the next step fails
        for (char step : script) {
            if (begun && std::string_view("FJM").find(step) == std::string_view::npos) {
                out.drop_row();
                begun = false;
            }
            switch (step) {
                case 'b':
                    out.begin_row(1);
                    begun = true;
                    break;
                case 'r':
                    out.begin_row(1);
                    out.append_null();
                    out.end_row();
                    break;
                case 'p':
                    out.send(wire::FrameType::position, nlohmann::json::object());
                    break;
                case 'F':
                    throw Failure(FailureClass::transient, "failed");
                case 'J':
                    return nlohmann::json::object().at("missing");
                case 'M':
                    throw std::bad_alloc();
                case 'x':
                    disconnected_ = true;
                    break;
                default:
                    break;
            }
        }
        out.drop_row();
        return {{"rows", 1}};
    }
    bool disconnected_ = false;
};

std::unique_ptr<Source> make_scripted(const std::string& kind, Permits&, FrameWriter&) {
    if (kind != "odbc") throw Failure(FailureClass::config, "there is no source of kind \"" + kind + "\"");
    return std::make_unique<ScriptedSource>();
}

FUZZ_TARGET(requests) {
    static fuzz::MemoryFile requests, replies;
    static constexpr std::string_view password = "s3cr3t-p4ss";
    // A line of letters is a script for a read; anything else is the request itself.
    std::string lines = R"({"verb":"open","credentials":{"user":"u","password":"s3cr3t-p4ss"}})"
                        "\n";
    std::size_t expected = 1;
    while (!input.empty()) {
        std::string line(input.line());
        if (!line.empty() && line.find_first_not_of("brpFJMx") == std::string::npos) {
            line = R"({"verb":"read","source":")" + line + "\"}";
        }
        if (line.find(password) != std::string::npos) continue;  // what it says itself may be repeated
        if (!line.empty()) expected++;
        lines += line + "\n";
    }
    requests.fill(lines);
    replies.clear();
    RequestLoop(requests.descriptor(), to_descriptor(replies.descriptor()), make_scripted).run();
    auto frames = fuzz::frames_in(replies);
    REQUIRE(!frames.empty() && frames[0].type == wire::FrameType::hello);
    std::size_t answers = 0;
    std::set<std::string_view> understood;  // many answers are the same
    for (const Frame& frame : frames) {
        answers += frame.type == wire::FrameType::done || frame.type == wire::FrameType::error;
        REQUIRE(frame.payload.find(password) == std::string::npos);
        if (frame.type == wire::FrameType::rows) {
            // Whole rows of one NULL.
            REQUIRE(frame.payload.size() % 6 == 0);
        } else if (understood.insert(frame.payload).second) {
            REQUIRE(frame.json().is_object());
        }
    }
    bool closed = lines.find("close") != std::string::npos;
    REQUIRE(answers == expected || (closed && answers < expected));
}

}  // namespace
}  // namespace insync
