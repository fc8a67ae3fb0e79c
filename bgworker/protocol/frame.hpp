// Frames as the worker reads them: cut out of the pipe's bytes, and what those that aren't rows say.
//
// The connector is not trusted: a length is looked at before memory is taken, and JSON is measured before it is parsed.
// Pure code, without PostgreSQL and without the pipe; rows are batch.hpp's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "bgworker/protocol/failure_class.hpp"
#include "bgworker/protocol/wire.hpp"

namespace insync {

// The other side said something that the protocol doesn't allow.
struct ProtocolError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Nesting of JSON in the pipe; the protocol's own is below ten.
inline constexpr std::size_t max_json_depth = 64;

// `text` as JSON. Throws ProtocolError where it is none, or nested more deeply than max_json_depth.
nlohmann::json parse_json(std::string_view text);

// The member of that name if it is a text, "" otherwise.
std::string text_member(const nlohmann::json& object, const char* name);

struct Frame {
    wire::FrameType type{};
    std::string payload;

    // The payload as JSON. Throws ProtocolError.
    nlohmann::json json() const { return parse_json(payload); }
};

// Bytes go in as they come, whole frames come out.
class FrameReader {
  public:
    // Where the next `count` bytes may be written; commit() says how many of them were. Valid until the next call.
    char* reserve(std::size_t count);
    void commit(std::size_t count) { end_ += count; }

    // The next frame; nothing until more bytes have come. Throws ProtocolError where they begin no frame, or one of
    // more than `max_payload` bytes.
    std::optional<Frame> next(std::uint32_t max_payload);

    // Bytes that came and are in no frame yet.
    std::size_t pending() const { return end_ - begin_; }

  private:
    std::unique_ptr<char[]> buffer_;  // not a string, which would clear what is to be written over
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0, end_ = 0;  // of the pending bytes in buffer_
};

// What an error frame says.
struct SourceFailure {
    FailureClass kind = FailureClass::source;
    std::string message, detail, hint;
    std::optional<std::chrono::milliseconds> retry_after;  // what the source asked for, at most a day
};
SourceFailure read_failure(const nlohmann::json& payload);

// What a log frame says.
struct LogEntry {
    enum class Level { debug, notice, warning } level = Level::debug;
    std::string message;
};
LogEntry read_log_entry(const nlohmann::json& payload);

// What a permit frame asks for; see Permits. At most a day each.
struct PermitRequest {
    std::chrono::milliseconds interval{0}, hold{0};
};
PermitRequest read_permit(const nlohmann::json& payload);

}  // namespace insync
