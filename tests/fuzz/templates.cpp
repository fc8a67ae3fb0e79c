// Templates of requests: whatever a value is, it stays a value where it stands; optional parts go whole; times are what
// their formats say.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/json_scanner.hpp"
#include "bgworker/connector/rest/request/template.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync::rest {
namespace {

constexpr const char* names[] = {"since", "until", "page_token", "source", "offset", "parent.id"};

std::optional<std::string> rendered(const Template& text, const Values& values, Place place) {
    try {
        return text.render(values, place);
    } catch (const Failure& failure) {
        REQUIRE(failure.kind == FailureClass::config);
        return std::nullopt;
    }
}

// What is left of JSON without its strings and words: brackets, commas and colons.
std::string structure_of(std::string_view json) {
    std::string structure;
    bool in_string = false;
    for (std::size_t i = 0; i < json.size(); i++) {
        if (in_string && json[i] == '\\') {
            i++;
        } else if (json[i] == '"') {
            in_string = !in_string;
        } else if (!in_string && std::string_view("{}[],:").find(json[i]) != std::string_view::npos) {
            structure += json[i];
        }
    }
    return structure + (in_string ? "\"" : "");
}

std::string delimiters_of(std::string_view path) {
    std::string found;
    std::copy_if(path.begin(), path.end(), std::back_inserter(found),
                 [](char c) { return c == '/' || c == '?' || c == '#' || c == '&'; });
    return found;
}

void check_time(std::string_view literal, std::string_view format) {
    const std::optional<std::string> time = format_time(literal, format);
    if (!time) return;
    const bool is_iso = format == "iso" || format == "iso_ms" || format == "iso_us";
    if (is_iso || format == "date") {
        REQUIRE(parse_civil_time(*time));
        REQUIRE(format_time(*time, format) == *time);
    }
    if (is_iso) REQUIRE(parse_civil_time(*time)->offset_seconds == 0);
    if (format == "epoch" && time->size() <= 11) REQUIRE(format_time(*time, "iso") == format_time(literal, "iso"));
}

FUZZ_TARGET(templates) {
    const std::uint8_t given = input.byte();  // one bit for each value that there is
    Values values, plain, numbers, negative;
    std::string hostile(input.line());
    for (std::size_t i = 0; i < std::size(names); i++) {
        if ((given >> i & 1) == 0) continue;
        values.texts[names[i]] = hostile;
        // Formats need times, which these are as well.
        plain.texts[names[i]] = "2026-01-31T10:00:00";
        numbers.texts[names[i]] = "1700000000";
        negative.texts[names[i]] = "-1700000000";
    }
    if ((given & 64) != 0) {
        values.order = {hostile, "b"};
        plain.order = numbers.order = negative.order = {"a", "b"};
    }
    const std::string_view text = input.rest();

    Template parsed;
    try {
        parsed = Template(text);
    } catch (const Failure& failure) {
        REQUIRE(failure.kind == FailureClass::config && !failure.hint.empty());
        return;
    }
    bool has_placeholder = !parsed.parent_fields().empty();
    for (const char* name : {"since", "until", "run_start", "asof", "last_key", "offset", "page", "limit", "page_token",
                             "source", "select", "watermark", "key", "order"}) {
        has_placeholder = has_placeholder || parsed.uses(name);
    }
    if (!has_placeholder) {
        for (Place place : {Place::plain, Place::path, Place::json}) REQUIRE(parsed.render(values, place) == text);
    }
    for (const char* name : names) {
        if (parsed.uses(name)) continue;
        Values without = plain;
        without.texts.erase(name);
        REQUIRE(rendered(parsed, without, Place::json) == rendered(parsed, plain, Place::json));
    }

    if (const auto path = rendered(parsed, values, Place::path)) {
        const auto harmless = rendered(parsed, plain, Place::path);
        REQUIRE(harmless && delimiters_of(*path) == delimiters_of(*harmless));
        REQUIRE(!has_placeholder || ("/" + *path + "/").find("/../") == std::string::npos ||
                path->find('?') < path->find("/../"));
    }
    const auto json = rendered(parsed, values, Place::json);
    const auto harmless = rendered(parsed, plain, Place::json);
    if (json) {
        REQUIRE(harmless && structure_of(*json) == structure_of(*harmless));
        // A template that makes one number of its own digits and of a value isn't JSON with each value.
        bool makes_json = nlohmann::json::accept(*harmless);
        for (const Values* others : {&numbers, &negative}) {
            const auto other = rendered(parsed, *others, Place::json);
            makes_json = makes_json && other && nlohmann::json::accept(*other);
        }
        if (makes_json) REQUIRE(nlohmann::json::accept(*json));
    }
    for (const char* format : {"iso", "iso_ms", "iso_us", "date", "epoch", "epoch_ms", "%Y%m%d %H:%M:%S.%f %s"}) {
        check_time(hostile, format);
    }
}

}  // namespace
}  // namespace insync::rest
