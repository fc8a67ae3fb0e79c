// The connector's conversation with a source that fails in ways of its own.
#include <gtest/gtest.h>

#include <limits>

#include "bgworker/connector/output/frame_queue.hpp"
#include "bgworker/connector/request_loop.hpp"
#include "bgworker/protocol/frame.hpp"
#include "tests/fuzz/support/frames.hpp"

namespace insync {
namespace {

// Each read sends one row, begins another and then does what `source` says.
class FailingSource : public Source {
  public:
    nlohmann::json open(const OpenRequest&) override { return nlohmann::json::object(); }
    void check(const CheckRequest&, FrameWriter&) override {}
    void discover(const std::string&, FrameWriter&) override {}
    nlohmann::json describe(const DescribeRequest&) override { return {}; }
    nlohmann::json preview(const std::string&, std::size_t, FrameWriter&) override { return {}; }
    nlohmann::json explain(const ReadRequest&, FrameWriter&) override { return {}; }
    nlohmann::json measure(const MeasureRequest& request, FrameWriter&) override {
        return {{"blocks", request.blocks}, {"columns", request.sums.size() + request.hash.size()}};
    }
    bool is_disconnected() override { return false; }
    nlohmann::json read(const ReadRequest& request, FrameWriter& out) override {
        out.begin_row(1);
        out.append_null();
        out.end_row();
        out.begin_row(1);
        if (request.source == "json") return nlohmann::json::object().at("missing");
        out.drop_row();
        return {{"batch_rows", request.batch_rows}, {"depth", request.position.size()}};
    }
};

// What a connector over FailingSource answers to a read with these members.
std::vector<Frame> answer(const std::string& members) {
    fuzz::MemoryFile requests, replies;
    requests.fill("{\"verb\":\"open\"}\n{\"verb\":\"read\"," + members + "}\n");
    RequestLoop(requests.descriptor(), to_descriptor(replies.descriptor()),
                [](const std::string&, Permits&, FrameWriter&) -> std::unique_ptr<Source> {
                    return std::make_unique<FailingSource>();
                })
        .run();
    auto frames = fuzz::frames_in(replies);
    frames.erase(frames.begin(), frames.begin() + 2);  // hello, and open's done
    return frames;
}

TEST(ConnectorRequests, NoPartOfARowIsSentWithAFailure) {
    auto frames = answer("\"source\":\"json\"");
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_EQ(frames[0].payload.size(), 6u) << "one row of one NULL";
    EXPECT_EQ(frames[1].type, wire::FrameType::error);
}

TEST(ConnectorRequests, ANumberBeyondItsTypeIsTheLargest) {
    auto done = answer("\"source\":\"x\",\"batch_rows\":1e300").back();
    ASSERT_EQ(done.type, wire::FrameType::done);
    EXPECT_EQ(done.json().at("batch_rows"), std::numeric_limits<std::size_t>::max());
}

// A source that asks for a permit in each read, and says how long it was told to wait.
class AskingSource : public FailingSource {
  public:
    explicit AskingSource(Permits& permits) : permits_(permits) {}
    nlohmann::json read(const ReadRequest&, FrameWriter& out) override {
        out.begin_row(0);
        out.end_row();
        using std::chrono::milliseconds;
        return {{"waits", permits_.ask(milliseconds(200), milliseconds(50)).count()}};
    }

  private:
    Permits& permits_;
};

TEST(ConnectorRequests, APermitIsAskedForWithAFrameAndAnsweredByALine) {
    fuzz::MemoryFile requests, replies;
    requests.fill("{\"verb\":\"open\"}\n{\"verb\":\"read\",\"source\":\"x\"}\n{\"wait_ms\":70}\n");
    RequestLoop(requests.descriptor(), to_descriptor(replies.descriptor()),
                [](const std::string&, Permits& permits, FrameWriter&) -> std::unique_ptr<Source> {
                    return std::make_unique<AskingSource>(permits);
                })
        .run();
    auto frames = fuzz::frames_in(replies);
    ASSERT_EQ(frames.size(), 5u);  // hello, done, rows, permit, done
    EXPECT_EQ(frames[2].type, wire::FrameType::rows) << "what was read goes out before the wait";
    EXPECT_EQ(frames[3].type, wire::FrameType::permit);
    EXPECT_EQ(frames[3].json(), nlohmann::json::parse(R"({"interval_ms": 200, "hold_ms": 50})"));
    EXPECT_EQ(frames[4].json().at("waits"), 70);
}

TEST(ConnectorRequests, NestingHasALimit) {
    auto nested = [](std::size_t depth) {
        return "\"source\":\"x\",\"position\":" + std::string(depth, '[') + std::string(depth, ']');
    };
    EXPECT_EQ(answer(nested(max_json_depth - 1)).back().type, wire::FrameType::done);
    EXPECT_EQ(answer(nested(max_json_depth)).back().type, wire::FrameType::error);
    EXPECT_EQ(answer(nested(1'000'000)).back().type, wire::FrameType::error);
}

}  // namespace
}  // namespace insync
