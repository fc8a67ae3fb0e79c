// Widths of types; see column_width.hpp.
#include "bgworker/target/column_width.hpp"

#include "bgworker/target/value_fit.hpp"

namespace insync {

namespace {

// Digits before and behind the point that a number's type has room for; -1 before the point: any number of both.
struct Room {
    int whole = 0, fraction = 0;
    bool holds(const Room& other) const {
        return whole < 0 || (other.whole >= 0 && whole >= other.whole && fraction >= other.fraction);
    }
};

// Whether the room of the integers is enough is told by their digits: smallint has 5.
std::optional<Room> room_of(const std::string& type, int precision, int scale) {
    if (type == "smallint") return Room{5, 0};
    if (type == "integer") return Room{10, 0};
    if (type == "bigint") return Room{19, 0};
    if (type != "numeric") return std::nullopt;
    return precision < 0 ? Room{-1, 0} : Room{precision - scale, scale};
}

}  // namespace

std::optional<std::string> widening(const TargetColumn& column, const std::string& type, const std::string& zone) {
    if (column.generated || column.identity_always) return std::nullopt;
    const std::string name = pg::quote_identifier(column.name), base = type.substr(0, type.find('('));
    const auto arguments = type_arguments(type);
    int precision = -1, scale = -1;
    if (column.base_type == "numeric" && column.modifier >= 0) {
        precision = ((column.modifier - 4) >> 16) & 0xffff;
        scale = scale_of(column.modifier);
    }
    const auto held = room_of(column.base_type, precision, scale);
    const auto wanted = room_of(base, arguments[0], std::max(arguments[1], 0));
    if (held && wanted) {
        if (!wanted->holds(*held) || held->holds(*wanted)) return std::nullopt;
        return name + "::" + type;
    }
    // A double holds the integers of 32 bits; those of a bigint it may round.
    const bool is_small = column.base_type == "smallint" || column.base_type == "integer";
    if (base == "double precision" && (is_small || column.base_type == "real")) {
        return column.base_type == "real" ? name + "::text::double precision" : name + "::double precision";
    }
    const bool is_day = column.base_type == "date";
    const bool is_short = column.base_type == "timestamp without time zone" && column.modifier >= 0;
    if (base == "timestamp" && arguments[0] < 0 && (is_day || is_short)) return name + "::timestamp";
    if (base == "timestamptz" && is_day && !zone.empty())
        return "(" + name + "::timestamp) AT TIME ZONE " + pg::quote_literal(zone);
    return std::nullopt;
}

}  // namespace insync
