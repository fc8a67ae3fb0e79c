// Decides which pairs of types need a look at each value; see value_fit.hpp.
#include "bgworker/target/value_fit.hpp"

extern "C" {
#include "parser/parse_coerce.h"
#include "utils/errcodes.h"
}

#include <algorithm>
#include <array>

#include "bgworker/batch/batch_relation.hpp"
#include "bgworker/protocol/canonical_text.hpp"
#include "bgworker/protocol/text.hpp"

namespace insync {

namespace {

bool is_integer(Transport type) {
    return type == Transport::int2 || type == Transport::int4 || type == Transport::int8;
}

bool is_float(Transport type) {
    return type == Transport::float4 || type == Transport::float8;
}

bool is_integer(const std::string& type) {
    return is_one_of(type, {"smallint", "integer", "bigint"});
}

bool is_float(const std::string& type) {
    return is_one_of(type, {"real", "double precision"});
}

bool is_number(const std::string& type) {
    return is_integer(type) || is_float(type) || type == "numeric";
}

// A number as a numeric with all the digits that it is written with.
std::string exact(const std::string& value, bool is_floating) {
    return is_floating ? "(" + value + ")::text::numeric" : "(" + value + ")::numeric";
}

std::string same(const std::string& left, const std::string& right) {
    return left + " = " + right;
}

std::string number_fits(const SourceColumn& source, const TargetColumn& target, const std::string& before,
                        const std::string& after) {
    const bool floating = is_float(source.transport);
    if (is_integer(target.base_type)) {
        // A numeric without a scale is the engine's own promise of whole numbers.
        const bool whole = is_integer(source.transport) ||
                           (source.transport == Transport::numeric && type_arguments(source.pg_type)[1] == 0);
        return whole ? "" : same(exact(before, floating), after + "::numeric");
    }
    if (target.base_type == "numeric") {
        if (target.modifier < 0) return "";
        const int scale = scale_of(target.modifier);
        if (is_integer(source.transport) && scale >= 0) return "";
        const int given = type_arguments(source.pg_type)[1];
        if (source.transport == Transport::numeric && given >= 0 && given <= scale) return "";
        // Of a binary fraction the digits count that it has for certain: 0.30000000000000004 is 0.3.
        return same("(" + before + ")::numeric", after);
    }
    if (target.base_type == "double precision") {
        if (floating || source.transport == Transport::int2 || source.transport == Transport::int4) return "";
    } else if (source.transport == Transport::float4 || source.transport == Transport::int2) {
        return "";
    }
    return same(exact(before, floating), exact(after, true));
}

std::string time_fits(const SourceColumn& source, const TargetColumn& target, const MappedColumn& mapped,
                      const std::string& before, const std::string& after, const std::string& zone) {
    // An hour that the clocks left out is another one in the zone: of two keys it could make one.
    if (mapped.key && mapped.field.empty() && source.transport == Transport::timestamp && !zone.empty())
        return same(after + " AT TIME ZONE " + pg::quote_literal(zone), before);
    const bool instant = source.transport == Transport::timestamptz;
    if (target.base_type == "date") return same(after + (instant ? "::timestamptz" : "::timestamp"), before);
    if (target.base_type.rfind("time", 0) != 0 || target.modifier < 0 || target.modifier >= 6) return "";
    const int given = type_arguments(source.pg_type)[0];
    if (source.pg_type.rfind("time", 0) == 0 && given >= 0 && given <= target.modifier) return "";
    return same(after, "(" + mapped.expression + "\n)");
}

// Texts that a type reads and keeps a part of.
std::string text_fits(const TargetColumn& target, const MappedColumn& mapped, const std::string& before,
                      const std::string& after) {
    const std::string& type = target.base_type;
    if (type == "name" || type == "\"char\"") return same(after + "::text", before);
    // Of keys: trailing blanks that are cut.
    if (mapped.key && type == "character varying" && !target.length_function.empty())
        return same(after + "::text", before);
    if (type == "numeric" && target.modifier >= 0) return same(before + "::numeric", after);
    if (is_float(type)) return same(before + "::numeric", exact(after, true));
    if (type == "date") return same(before + "::timestamp", after + "::timestamp");
    if (type == "timestamp without time zone") return same("(" + before + "::timestamptz)::timestamp", after);
    if (type == "timestamp with time zone" && target.modifier >= 0) return same(before + "::timestamptz", after);
    if (type == "time without time zone") {
        // A day or a zone that is written with the time.
        const std::string plain = "pg_catalog.strpos(pg_catalog.translate(" + before + ", '+/', '--'), '-') = 0";
        return target.modifier < 0 ? plain : plain + " AND " + same(before + "::time", after);
    }
    if (type == "interval" && target.modifier >= 0) return same(before + "::interval", after);
    return "";
}

}  // namespace

int scale_of(int modifier) {
    return (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
}

std::array<int, 2> type_arguments(const std::string& type) {
    std::array<int, 2> found{-1, -1};
    const auto open = type.find('(');
    if (open == std::string::npos) return found;
    std::size_t item = 0;
    for (std::size_t i = open + 1; i < type.size() && item < 2; i++) {
        if (type[i] >= '0' && type[i] <= '9') {
            found[item] = std::max(found[item], 0) * 10 + (type[i] - '0');
        } else if (type[i] == ',') {
            item++;
        }
    }
    return found;
}

std::string castable_value(const SourceColumn& source, const TargetColumn& target, const std::string& table) {
    const std::string field = "batch." + pg::quote_identifier(source.field);
    const std::string& type = target.base_type;
    const bool whole = is_integer(source.transport) || source.transport == Transport::numeric;
    if (whole && type == "boolean") return field + "::integer::boolean";
    if (source.transport == Transport::boolean && is_number(type)) return field + "::integer";
    if (source.transport == Transport::bytea && type == "uuid") return "pg_catalog.encode(" + field + ", 'hex')::uuid";
    // The cast would keep 15 digits of 17.
    if (is_float(source.transport) && type == "numeric" && target.modifier < 0) return field + "::text";
    const Oid from = type_of(source.transport), to = target.base_oid;
    const bool loses_day = is_one_of(name_of(source.transport), {"timestamp", "timestamptz"}) &&
                           is_one_of(type, {"time without time zone", "time with time zone"});
    if (!loses_day && pg::call([&] { return can_coerce_type(1, &from, &to, COERCION_EXPLICIT); })) return field;
    pg::Error error(ERRCODE_CANNOT_COERCE,
                    "column \"" + target.name + "\" of target " + table + " is " + target.type +
                        ", which cannot hold the source's type " + std::string(name_of(source.transport)),
                    source.source_type.empty() ? "" : "The source calls it " + source.source_type + ".",
                    "Fill the column by an expression of option columns, or give it another type: ALTER TABLE " +
                        table + " ALTER COLUMN " + pg::quote_identifier(target.name) + " TYPE ...");
    error.error_class = pg::ErrorClass::config;
    throw error;
}

std::string fit_condition(const SourceColumn& source, const TargetColumn& target, const MappedColumn& mapped,
                          const std::string& zone) {
    const std::string before = "batch." + pg::quote_identifier(source.field), after = converted(mapped);
    const std::string& type = target.base_type;
    std::string condition;
    switch (source.transport) {
        case Transport::int2:
        case Transport::int4:
        case Transport::int8:
        case Transport::float4:
        case Transport::float8:
        case Transport::numeric:
            if (type == "boolean") condition = before + " IN (0, 1)";
            if (type == "money") condition = same(after + "::numeric", before + "::numeric");
            if (type == "bit") condition = same(after + "::bigint", before);
            if (is_number(type)) condition = number_fits(source, target, before, after);
            break;
        case Transport::timestamp:
        case Transport::timestamptz:
        case Transport::time:
            condition = time_fits(source, target, mapped, before, after, zone);
            break;
        case Transport::text:
            condition = text_fits(target, mapped, before, after);
            break;
        case Transport::jsonb:
            if (is_number(type)) condition = same("(" + before + ")::numeric", exact(after, is_float(type)));
            break;
        default:
            break;
    }
    return condition.empty() ? "" : "coalesce(" + condition + ", true)";
}

bool stays_apart(const SourceColumn& source, const TargetColumn& target) {
    const std::string& type = target.base_type;
    if (target.compare_as_text) return false;
    switch (source.transport) {
        case Transport::text:
            // Blanks at the end mean something to the one and nothing to the other.
            if (type == "character") {
                const auto format = value_format(Transport::text, "text", source.source_type);
                return format && format->kind == ValueFormat::Kind::padded;
            }
            return is_one_of(type, {"text", "character varying", "name", "\"char\""});
        case Transport::jsonb:
            return false;
        case Transport::float4:
        case Transport::float8:
            return type != "numeric" || target.modifier < 0;
        default:
            return true;
    }
}

std::string contested_key(const Stream& stream, const std::vector<SourceColumn>& columns, const Target& target,
                          const ApplyShape& shape) {
    if (!stream.source_key_unique) return "";
    bool stays = true;
    std::string parts;
    for (const auto& name : stream.source_key) {
        const SourceColumn* source = find_field(columns, fold_name(name));
        if (source == nullptr) return "";
        stays &= std::any_of(shape.columns.begin(), shape.columns.end(), [&](const MappedColumn& column) {
            return column.key && column.source == pg::quote_identifier(source->field) &&
                   stays_apart(*source, *target.find(column.plain_name));
        });
        const std::string field = "batch." + pg::quote_identifier(source->field);
        parts += (parts.empty() ? "" : ", ") +
                 (source->transport == Transport::numeric ? "pg_catalog.trim_scale(" + field + ")" : field);
    }
    return stays ? "" : "pg_catalog.jsonb_build_array(" + parts + ")::text";
}

int misfit_state(const std::string& target_type) {
    if (is_number(target_type) || is_one_of(target_type, {"boolean", "money", "bit"}))
        return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
    const bool is_time = target_type == "date" || target_type == "interval" || target_type.rfind("time", 0) == 0;
    return is_time ? ERRCODE_DATETIME_FIELD_OVERFLOW : ERRCODE_STRING_DATA_RIGHT_TRUNCATION;
}

}  // namespace insync
