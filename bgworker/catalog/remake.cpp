// See remake.hpp.
#include "bgworker/catalog/remake.hpp"

namespace insync {

std::string remaking_statements(const Stream& stream) {
    auto literal = [](const std::string& text) { return pg::quote_literal(text); };
    const std::string target =
        pg::quote_identifier(stream.target_schema) + "." + pg::quote_identifier(stream.target_table);
    std::string watermark;
    for (const auto& name : stream.watermark) watermark += (watermark.empty() ? "" : ", ") + name;
    std::string made = literal(stream.name) + ", " + literal(stream.server) + ", " + literal(stream.source) +
                       ", target => " + literal(target);
    if (!watermark.empty()) made += ", watermark => " + literal(watermark);
    if (stream.schedule) made += ", schedule => " + literal(*stream.schedule);
    if (!stream.options.map().empty()) made += ", options => " + literal(stream.options.map().dump());
    return "SELECT sync_drop(" + literal(stream.name) + ", true); SELECT sync_create(" + made + ");";
}

}  // namespace insync
