// Checks given watermarks; see watermark_check.hpp.
#include "bgworker/definition/watermark_check.hpp"

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/clock/civil_time.hpp"
#include "bgworker/clock/watermark_literal.hpp"
#include "bgworker/source/session.hpp"

namespace insync {

namespace {

// By so much a clock without a zone may show a later time than the source's own.
constexpr std::int64_t widest_offset_us = std::int64_t{14} * 3600 * 1000000;

WatermarkKind kind_named(const std::string& name) {
    for (WatermarkKind kind : {WatermarkKind::time, WatermarkKind::integer, WatermarkKind::rowversion}) {
        if (name == name_of(kind)) return kind;
    }
    return WatermarkKind::text;
}

[[noreturn]] void refuse(const Stream& stream, const std::string& literal, const std::string& detail,
                         const std::string& hint) {
    throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                    "invalid watermark \"" + literal + "\" for stream \"" + stream.name + "\"", detail, hint);
}

void check_form(const Stream& stream, const std::string& literal, WatermarkKind kind) {
    if (is_literal_of(kind, literal) && !literal.empty()) return;
    const char* form = kind == WatermarkKind::time      ? "It is not a time as the source writes it."
                       : kind == WatermarkKind::integer ? "It is not a number as the source writes it."
                                                        : "It is not a rowversion as the source writes it.";
    const char* example = kind == WatermarkKind::time      ? "2025-01-31 18:00:00"
                          : kind == WatermarkKind::integer ? "12345"
                                                           : "0x00000000000007D1";
    if (kind == WatermarkKind::text) form = "It is empty.";
    refuse(stream, literal, form,
           kind == WatermarkKind::text
               ? std::string("Give it as the source writes it; sync_status() shows the present one.")
               : std::string("Write it like '") + example + "'; sync_status() shows the present one.");
}

bool is_beyond(WatermarkKind kind, const std::string& literal, const std::string& bound) {
    return compare_literals(kind, literal, bound) == std::strong_ordering::greater;
}

// The clock as the latest time that a watermark without a zone can have by now.
std::string latest_time(const std::string& clock, bool knows_zone) {
    const auto time = parse_civil_time(clock);
    return time && !knows_zone ? format_moved(*time, widest_offset_us) : clock;
}

void check_bounds(const Stream& stream, const std::string& literal, WatermarkKind kind, const std::string& highest,
                  const std::string& latest) {
    if (kind == WatermarkKind::text) return;  // the source's own order
    if (highest.empty() && latest.empty()) return;
    if (!highest.empty() && !is_beyond(kind, literal, highest)) return;
    if (!latest.empty() && !is_beyond(kind, literal, latest)) return;
    std::string detail = highest.empty() ? "" : "The source's highest is \"" + highest + "\". ";
    if (!latest.empty()) detail += "Its clock shows at most " + latest + ". ";
    refuse(stream, literal, detail + "No row would be read.",
           "Give one that the source has reached, or read everything: SELECT sync_reset(" +
               pg::quote_literal(stream.name) + ").");
}

}  // namespace

void check_watermark(const Stream& stream, const std::string& literal, const SourceDescription& description) {
    if (stream.watermark.empty()) return;  // a token of the source's own
    const WatermarkKind kind = kind_named(description.literal_kind);
    check_form(stream, literal, kind);
    const std::string& clock = description.clock;
    check_bounds(stream, literal, kind, description.highest_watermark,
                 clock.empty() ? clock : latest_time(clock, description.clock_has_zone));
}

void check_watermark(const Stream& stream, const std::string& literal) {
    if (stream.watermark.empty()) return;
    // What an API writes for a time may be a number, which it says itself.
    const bool is_table = kind_of_server(stream.server) != Kind::rest;
    const WatermarkKind kind = is_table ? kind_named(stream.watermark_kind) : WatermarkKind::text;
    if (is_table) check_form(stream, literal, kind);
    std::optional<SourceDescription> description;
    require_owner(stream);
    pg::Subtransaction subtransaction;
    try {
        Stream asked = stream;
        asked.options.remove(&StreamOptions::initial_watermark);
        description = describe_source(server_of(stream), asked);
        subtransaction.commit();
    } catch (const pg::Error& error) {
        if (error.is_interrupt()) throw;
        subtransaction.rollback();
        const std::string text =
            "the watermark could not be compared with the source of stream \"" + stream.name + "\": " + error.message;
        const char* message = text.c_str();
        pg::call([&] { ereport(NOTICE, (errmsg_internal("%s", message))); });
    }
    if (description) return check_watermark(stream, literal, *description);
    Bookkeeping bookkeeping;
    const auto now = pg::query("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::text");
    check_bounds(stream, literal, kind, load_state(stream.id).watermark.value_or(""),
                 kind == WatermarkKind::time ? latest_time(*now.first()[0], false) : "");
}

}  // namespace insync
