// The worker's end of the pipe: bytes in random pieces become the same frames as all at once, none larger than allowed,
// and what they say is read or refused with a ProtocolError.
#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/protocol/frame.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

constexpr std::uint32_t max_payload = 4096;

struct Frames {
    std::vector<Frame> frames;
    std::string error;
    std::size_t pending = 0;
};

// Reads as ConnectorProcess does. `sizes`: how long each piece is; whatever is behind the last comes at once.
Frames read(std::string_view bytes, std::string_view sizes) {
    FrameReader reader;
    Frames result;
    try {
        for (std::size_t piece = 0;; piece++) {
            while (auto frame = reader.next(max_payload)) result.frames.push_back(std::move(*frame));
            if (bytes.empty()) break;
            std::size_t count = piece < sizes.size() ? static_cast<std::uint8_t>(sizes[piece]) % 16 : bytes.size();
            count = std::min(count, bytes.size());
            bytes.copy(reader.reserve(count + 7), count);  // a read may bring less than there is room for
            reader.commit(count);
            bytes.remove_prefix(count);
        }
        result.pending = reader.pending();
    } catch (const ProtocolError& error) {
        result.error = error.what();
    }
    return result;
}

std::size_t depth_of(const nlohmann::json& value) {
    if (!value.is_structured()) return 0;
    std::size_t deepest = 0;
    for (const auto& member : value) deepest = std::max(deepest, depth_of(member));
    return deepest + 1;
}

void check_json(const Frame& frame) {
    nlohmann::json value;
    try {
        value = frame.json();
    } catch (const ProtocolError&) {
        return;
    }
    REQUIRE(depth_of(value) <= max_json_depth);
    REQUIRE(parse_json(value.dump()) == value);
    if (frame.type == wire::FrameType::error) {
        SourceFailure failure = read_failure(value);
        REQUIRE(!failure.message.empty());
        REQUIRE(failure.kind == FailureClass::source || name_of(failure.kind) == text_member(value, "class"));
        REQUIRE(!failure.retry_after ||
                (failure.retry_after->count() >= 0 && failure.retry_after->count() <= 86400000));
        for (const std::string& text : {failure.message, failure.detail, failure.hint}) {
            // A zero byte ends a text early in PostgreSQL; anything else that isn't UTF-8 it would refuse to send.
            REQUIRE(is_valid_utf8(text.substr(0, text.find('\0'))));
        }
    }
    if (frame.type == wire::FrameType::permit) {
        PermitRequest permit = read_permit(value);
        for (auto time : {permit.interval, permit.hold}) REQUIRE(time.count() >= 0 && time.count() <= 86400000);
    }
    if (frame.type == wire::FrameType::log) {
        std::string message = read_log_entry(value).message;
        REQUIRE(message == text_member(value, "message"));
    }
}

FUZZ_TARGET(pipe) {
    std::string_view sizes = input.bytes(input.below(8));
    std::string_view bytes = input.rest();
    Frames whole = read(bytes, ""), pieces = read(bytes, sizes);
    REQUIRE(whole.error == pieces.error);
    REQUIRE(whole.frames.size() == pieces.frames.size());
    std::string again;
    for (std::size_t i = 0; i < whole.frames.size(); i++) {
        const Frame& frame = whole.frames[i];
        REQUIRE(frame.type == pieces.frames[i].type);
        REQUIRE(frame.payload == pieces.frames[i].payload);
        REQUIRE(frame.payload.size() <= max_payload);
        std::string header(wire::header_size, '\0');
        wire::put_header(header.data(), frame.type, static_cast<std::uint32_t>(frame.payload.size()));
        again += header + frame.payload;
        check_json(frame);
    }
    REQUIRE(bytes.substr(0, again.size()) == again);
    if (whole.error.empty()) REQUIRE(whole.pending == bytes.size() - again.size());
}

}  // namespace
}  // namespace insync
