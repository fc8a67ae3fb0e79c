// Cuts frames and reads their JSON; see frame.hpp.
#include "bgworker/protocol/frame.hpp"

#include <algorithm>
#include <cstring>

namespace insync {

nlohmann::json parse_json(std::string_view text) {
    // Counted before it is parsed, as values are copied and compared by recursion.
    std::size_t depth = 0;
    bool in_text = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        if (c == '"') in_text = !in_text;
        if (in_text && c == '\\') i++;
        if (in_text) continue;
        if (c == '[' || c == '{') depth++;
        if ((c == ']' || c == '}') && depth > 0) depth--;
        if (depth > max_json_depth) throw ProtocolError("a frame of JSON nested too deeply");
    }
    auto value = nlohmann::json::parse(text, nullptr, false);
    if (value.is_discarded()) throw ProtocolError("a frame that holds no JSON");
    return value;
}

std::string text_member(const nlohmann::json& object, const char* name) {
    auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

char* FrameReader::reserve(std::size_t count) {
    const std::size_t kept = pending();
    if (capacity_ - end_ < count) {
        if (capacity_ - kept < count) {
            capacity_ = std::max(kept + count, 2 * capacity_);
            std::unique_ptr<char[]> larger(new char[capacity_]);
            if (kept > 0) std::memcpy(larger.get(), buffer_.get() + begin_, kept);
            buffer_ = std::move(larger);
        } else if (kept > 0) {
            std::memmove(buffer_.get(), buffer_.get() + begin_, kept);
        }
        begin_ = 0;
        end_ = kept;
    }
    return buffer_.get() + end_;
}

std::optional<Frame> FrameReader::next(std::uint32_t max_payload) {
    if (pending() < wire::header_size) return std::nullopt;
    const char* header = buffer_.get() + begin_;
    if (!wire::is_frame_type(header[0])) {
        throw ProtocolError("unknown frame type " + std::to_string(static_cast<unsigned char>(header[0])));
    }
    auto length = static_cast<std::uint32_t>(wire::get_int32(header + 1));
    if (length > max_payload) {
        throw ProtocolError("a frame of " + std::to_string(length) + " bytes, more than " +
                            std::to_string(max_payload));
    }
    if (pending() - wire::header_size < length) return std::nullopt;
    Frame frame{static_cast<wire::FrameType>(header[0]), std::string(header + wire::header_size, length)};
    begin_ += wire::header_size + length;
    return frame;
}

namespace {

// A time of at most a day; nothing where the member is no number.
std::optional<std::chrono::milliseconds> time_member(const nlohmann::json& object, const char* name,
                                                     double milliseconds_each) {
    auto found = object.find(name);
    if (found == object.end() || !found->is_number()) return std::nullopt;
    double time = std::clamp(found->get<double>() * milliseconds_each, 0.0, 86400e3);
    return std::chrono::milliseconds(static_cast<std::int64_t>(time));
}

}  // namespace

SourceFailure read_failure(const nlohmann::json& payload) {
    SourceFailure failure{failure_class_of(text_member(payload, "class")),
                          text_member(payload, "message"),
                          text_member(payload, "detail"),
                          text_member(payload, "hint"),
                          {}};
    if (failure.message.empty()) failure.message = "the source reported an error without a message";
    if (auto state = text_member(payload, "sqlstate"); !state.empty()) {
        failure.detail += (failure.detail.empty() ? "" : " ") + ("The source's SQLSTATE is " + state + ".");
    }
    failure.retry_after = time_member(payload, "retry_after", 1000);
    return failure;
}

PermitRequest read_permit(const nlohmann::json& payload) {
    return {time_member(payload, "interval_ms", 1).value_or(std::chrono::milliseconds(0)),
            time_member(payload, "hold_ms", 1).value_or(std::chrono::milliseconds(0))};
}

LogEntry read_log_entry(const nlohmann::json& payload) {
    std::string level = text_member(payload, "level");
    return {level == "warning"  ? LogEntry::Level::warning
            : level == "notice" ? LogEntry::Level::notice
                                : LogEntry::Level::debug,
            text_member(payload, "message")};
}

}  // namespace insync
