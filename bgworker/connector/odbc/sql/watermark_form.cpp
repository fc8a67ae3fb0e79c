// Conditions on texts; see watermark_form.hpp.
#include "bgworker/connector/odbc/sql/watermark_form.hpp"

#include <optional>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/values/text_form.hpp"

namespace insync::odbc {

std::string written_alike(Dialect dialect, const std::string& reference, const std::string& literal) {
    // SQLite's LIKE takes small letters for great ones, which sort elsewhere.
    const bool globs = dialect == Dialect::sqlite;
    auto like = [&](const std::string& pattern) {
        std::string text;
        for (char c : pattern) {
            if (globs && (c == '_' || c == '%')) {
                text += c == '_' ? "[0-9]" : "*";
            } else {
                text += c;
            }
        }
        return reference + (globs ? " GLOB '" : " LIKE '") + text + "'";
    };
    const std::string layout = layout_of(literal);
    if (layout.empty()) return "";
    const std::optional<CivilTime> time = parse_civil_time(literal);
    if (!time || !time->zone.empty() || !time->has_time) return like(layout);
    std::string condition = like(layout + "%");
    for (const char* zone : {"%Z", "%z", "%+__:__", "%-__:__", "%+____", "%+__", "%-__", "% UTC"}) {
        condition += " AND NOT " + like(zone);
    }
    return condition;
}

}  // namespace insync::odbc
