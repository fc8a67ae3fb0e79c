// The options in force for a read: the stream's over the server's over the preset's over the defaults.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace insync::rest {

class Settings {
  public:
    Settings() = default;
    // Both are objects of option name to text (or what stands in a stream's options: numbers, objects). Raises Failure
    // (config) for a preset that there isn't.
    Settings(const nlohmann::json& server, const nlohmann::json& stream);

    // The value as text; empty where there is none.
    std::string text(std::string_view name) const;
    bool has(std::string_view name) const { return !text(name).empty(); }
    // The option watermark_format where it says that a number is a time; otherwise empty.
    std::string epoch() const;
    bool flag(std::string_view name) const;
    std::int64_t number(std::string_view name) const;
    std::int64_t size(std::string_view name) const;
    std::optional<std::chrono::milliseconds> duration(std::string_view name) const;
    // The members of an option that is a JSON object, in order: the more specific place's over the other's, one by one;
    // an empty value takes a member away.
    std::vector<std::pair<std::string, std::string>> object(std::string_view name) const;

    // The same server with other options of a stream: those of a second resource, such as the parent.
    Settings with_stream(const nlohmann::json& stream) const;

    // The same stream with other options laid over its own, object by object.
    Settings with_options(const nlohmann::json& options) const;

    // Every option that has a value, with where it comes from: stream, server, preset or default; secrets are never
    // among them.
    struct Entry {
        std::string name, value, from;
    };
    std::vector<Entry> entries() const;

  private:
    std::vector<std::pair<std::string, std::string>> over_, stream_, server_, preset_;
};

}  // namespace insync::rest
