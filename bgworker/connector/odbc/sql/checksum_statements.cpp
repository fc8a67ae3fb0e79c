// Grouped statements; see checksum_statements.hpp.
#include "bgworker/connector/odbc/sql/checksum_statements.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "bgworker/connector/odbc/sql/statement_builder.hpp"
#include "bgworker/connector/output/failure.hpp"

namespace insync::odbc {

namespace {

using Unit = MeasureRequest::Unit;

struct GroupExpression {
    std::string value;  // what is grouped by: cheap to compare
    std::string shown;  // the same as text
};

std::string sqlite_group(const TimeColumn& time, Unit unit) {
    const std::string& c = time.reference;
    const std::string text = unit == Unit::day && !time.has_offsets ? c : "(" + sqlite_time_text(time) + ")";
    const std::string day = "substr(" + text + ", 1, 10)";
    if (unit == Unit::day) return day;
    // A date alone is midnight.
    const std::string hour = "CASE WHEN length(" + c + ") > 12 THEN substr(" + text + ", 12, 2) ELSE '00' END";
    if (unit == Unit::hour) return day + " || ' ' || " + hour + " || ':00:00'";
    const std::string quarter = "printf('%02d', CAST(substr(" + text + ", 15, 2) AS INTEGER) / 15 * 15)";
    return day + " || ' ' || " + hour + " || ':' || " + quarter + " || ':00'";
}

// What has a zero month or day arrives as NULL. Groups that are only counted can be put together afterwards, which
// saves a look at each row.
std::string mysql_group(const TimeColumn& time, Unit unit, bool only_counts) {
    const std::string& c = time.reference;
    // Numbers are grouped twice as fast as texts.
    std::string value = time.column.type == Transport::date ? c : "CAST(" + c + " AS DATE)";
    if (unit != Unit::day) value = "EXTRACT(YEAR_MONTH FROM " + c + ") * 10000 + EXTRACT(DAY_HOUR FROM " + c + ")";
    if (unit == Unit::quarter) value = "(" + value + ") * 100 + EXTRACT(MINUTE FROM " + c + ") DIV 15 * 15";
    return only_counts ? value : "IF(TO_DAYS(" + c + "), " + value + ", NULL)";
}

GroupExpression postgresql_group(const TimeColumn& time, Unit unit) {
    // The session's zone is UTC.
    if (unit == Unit::day) {
        const std::string day = "CAST(" + time.reference + " AS date)";
        return {day, "CAST(" + day + " AS text)"};
    }
    const bool zoned = time.column.type == Transport::timestamptz;
    const std::string c = zoned ? "timezone('UTC', " + time.reference + ")" : time.reference;
    std::string value = "date_trunc('hour', " + c + ")";
    if (unit == Unit::quarter) {
        value += " + CASE WHEN isfinite(" + c + ") THEN floor(extract(minute FROM " + c +
                 ") / 15) ELSE 0 END * interval '15 minutes'";
    }
    return {value, "CAST(" + value + " AS text)"};
}

GroupExpression sqlserver_group(const TimeColumn& time, Unit unit) {
    const bool zoned = time.column.type == Transport::timestamptz;
    const std::string c =
        zoned ? "CAST(SWITCHOFFSET(" + time.reference + ", '+00:00') AS datetime2(7))" : time.reference;
    if (unit == Unit::day) {
        const std::string day = "CAST(" + c + " AS date)";
        return {day, "CONVERT(varchar(10), " + day + ", 23)"};
    }
    // Hours of all years fit an int, minutes don't.
    const std::string begin = "CAST('00010101' AS datetime2(0))";
    std::string value = "DATEADD(hour, DATEDIFF(hour, " + begin + ", " + c + "), " + begin + ")";
    if (unit == Unit::quarter) value = "DATEADD(minute, DATEPART(minute, " + c + ") / 15 * 15, " + value + ")";
    return {value, "CONVERT(varchar(19), " + value + ", 120)"};
}

GroupExpression oracle_group(const TimeColumn& time, Unit unit) {
    const bool zoned = time.column.type == Transport::timestamptz;
    const std::string c = zoned ? "SYS_EXTRACT_UTC(" + time.reference + ")" : time.reference;
    std::string value = "TRUNC(" + c + (unit == Unit::day ? ", 'DD')" : ", 'HH24')");
    if (unit == Unit::quarter) {
        value += " + NUMTODSINTERVAL(TRUNC(EXTRACT(MINUTE FROM CAST(" + c + " AS TIMESTAMP)) / 15) * 15, 'MINUTE')";
    }
    return {value, "TO_CHAR(" + value + ", 'YYYY-MM-DD HH24:MI:SS')"};
}

GroupExpression time_group(Dialect dialect, const TimeColumn& time, Unit unit, bool only_counts) {
    if (time.column.type == Transport::date && dialect != Dialect::sqlite) unit = Unit::day;
    switch (dialect) {
        case Dialect::sqlite: {
            // What is written as no time isn't one where it arrives.
            const std::string value = "CASE WHEN " + time.reference +
                                      " GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' THEN " +
                                      sqlite_group(time, unit) + " END";
            return {value, value};
        }
        case Dialect::mysql: {
            const std::string value = mysql_group(time, unit, only_counts);
            return {value, value};
        }
        case Dialect::postgresql:
            return postgresql_group(time, unit);
        case Dialect::sqlserver:
            return sqlserver_group(time, unit);
        case Dialect::oracle:
            return oracle_group(time, unit);
        case Dialect::generic:
            break;
    }
    if (unit != Unit::day) {
        throw Failure(FailureClass::config, "rows of this source cannot be grouped by less than a day",
                      "The engine of the source is not known.", "Choose slices of days or longer.");
    }
    const std::string day = "CAST(" + time.reference + " AS DATE)";
    return {day, day};
}

std::string reference_of(const ReadPlan& plan, const std::string& name) {
    return "s." + quote_name(plan.dialect, name);
}

void require_summable(const ReadPlan& plan, const SourceColumn& column) {
    const bool is_integer =
        column.type == Transport::int2 || column.type == Transport::int4 || column.type == Transport::int8;
    const bool is_exact = column.type == Transport::numeric && plan.dialect != Dialect::sqlite;
    if (is_integer || is_exact) return;
    throw Failure(FailureClass::config,
                  "column \"" + column.name + "\" of type " + column.source_type + " has no exact sum", "",
                  "Name whole numbers or decimals.");
}

std::string sum_expression(const ReadPlan& plan, const SourceColumn& column) {
    const std::string c = reference_of(plan, column.name);
    switch (plan.dialect) {
        case Dialect::sqlite:
            return "SUM(CASE typeof(" + c + ") WHEN 'integer' THEN " + c + " >> 32 END), SUM(CASE typeof(" + c +
                   ") WHEN 'integer' THEN " + c + " & 4294967295 END)";
        case Dialect::sqlserver: {
            const TypeName type = parse_type_name(column.pg_type);
            const int scale = column.type == Transport::numeric ? std::clamp(type.second, 0, 37) : 0;
            return "CONVERT(varchar(41), SUM(CAST(" + c + " AS decimal(38," + std::to_string(scale) + "))))";
        }
        case Dialect::postgresql:
            if (column.source_type == "money") return "CAST(SUM(CAST(" + c + " AS numeric)) AS text)";
            return "CAST(SUM(" + c + ") AS text)";
        case Dialect::oracle:
            return "TO_CHAR(SUM(" + c + "), 'TM9')";
        default:
            return "SUM(" + c + ")";
    }
}

std::string hash_sum(Dialect dialect, const std::vector<HashedColumn>& columns) {
    const std::string hash = row_hash(dialect, columns);
    switch (dialect) {
        case Dialect::sqlserver:
            return "CONVERT(varchar(41), SUM(CAST(" + hash + " AS decimal(38,0))))";
        case Dialect::postgresql:
            return "CAST(SUM(" + hash + ") AS text)";
        case Dialect::oracle:
            return "TO_CHAR(SUM(" + hash + "))";
        default:
            return "SUM(" + hash + ")";
    }
}

}  // namespace

Measures make_measures(const ReadPlan& plan, const MeasureRequest& request) {
    const std::vector<SourceColumn>& all = plan.relation.columns;
    auto column = [&](const std::string& name, const char* role) -> const SourceColumn& {
        return all[find_column(all, name, role)];
    };
    Measures measures;
    if (request.by_time) {
        const SourceColumn& time = column(request.by_time->column, "group");
        measures.time = time_column(plan.dialect, time, reference_of(plan, time.name));
        measures.unit = request.by_time->unit;
    }
    measures.blocks = request.blocks;
    if (request.blocks > 0) {
        if (plan.key.empty()) throw Failure(FailureClass::config, "rows without a key cannot be grouped in blocks");
        for (std::size_t part : plan.key) {
            measures.key.push_back(hashed_column(plan.columns[part], plan.references[part]));
        }
        hash_kind(plan.dialect);
    }
    for (const std::string& name : request.sums) {
        measures.sums.push_back(column(name, "sum"));
        require_summable(plan, measures.sums.back());
    }
    if (!request.hash.empty()) hash_kind(plan.dialect);
    for (const std::string& name : request.hash) {
        const SourceColumn& hashed = column(name, "hash");
        measures.hash.push_back(hashed_column(hashed, reference_of(plan, hashed.name)));
        measures.hash.back().as_stored = request.as_stored;
    }
    measures.unsettled_from = request.unsettled_from;
    if (measures.unsettled_from && !plan.watermark) {
        throw Failure(FailureClass::config, "rows that are still changing cannot be recognized without a watermark");
    }
    return measures;
}

StatementText measure_statement(const ReadPlan& plan, const Measures& measures, const Bounds& bounds) {
    StatementBuilder builder(plan, bounds);
    std::string group;
    builder.select();
    if (measures.blocks > 0) {
        const std::string blocks = std::to_string(measures.blocks);
        const std::string hash = row_hash(plan.dialect, measures.key);
        group = plan.dialect == Dialect::oracle ? "MOD(" + hash + ", " + blocks + ")" : hash + " % " + blocks;
        builder.add(group).add(", ");
    } else if (measures.time) {
        const bool only_counts = measures.sums.empty() && measures.hash.empty();
        const GroupExpression time = time_group(plan.dialect, *measures.time, measures.unit, only_counts);
        group = time.value;
        builder.add(time.shown).add(", ");
    }
    const std::string count = plan.dialect == Dialect::sqlserver ? "COUNT_BIG" : "COUNT";
    builder.add(count).add("(*)");
    if (measures.unsettled_from) {
        builder.add(", ").add(count).add("(CASE WHEN ").reference(*plan.watermark).add(" >= ");
        builder.literal(*plan.watermark, *measures.unsettled_from).add(" THEN 1 END)");
    }
    for (const SourceColumn& column : measures.sums) builder.add(", ").add(sum_expression(plan, column));
    if (!measures.hash.empty()) builder.add(", ").add(hash_sum(plan.dialect, measures.hash));
    builder.from().in_window();
    if (!group.empty()) builder.add(" GROUP BY ").add(group);
    return builder.finish("measure");
}

StatementText charsets_statement(const ReadPlan& plan, const Measures& measures, const Bounds& bounds) {
    StatementBuilder builder(plan, bounds);
    std::string list;
    for (const auto* columns : {&measures.key, &measures.hash}) {
        for (const HashedColumn& hashed : *columns) {
            if (hashed.column.type != Transport::text) continue;
            list += (list.empty() ? "" : ", ") + std::string("CHARSET(") + hashed.reference + ")";
        }
    }
    if (list.empty()) return {};
    builder.select().add(list).from().add(page_suffix(plan.dialect, 1));
    return builder.finish("character sets");
}

std::optional<std::string> time_of_group(const std::string& group) {
    const bool is_number = group.find('-') == std::string::npos &&
                           std::all_of(group.begin(), group.end(), [](unsigned char c) { return std::isdigit(c); });
    if (is_number && group.size() < 9) return std::nullopt;
    std::string time = group.size() == 10 && group[4] == '-' ? group + " 00:00:00" : group;
    if (is_number) {
        // YYYYMMDDHH, or with minutes behind it, without zeros in front.
        const std::size_t digits = group.size() <= 10 ? 10 : 12;
        const std::string padded = std::string(digits - std::min(digits, group.size()), '0') + group;
        const std::string minute = digits == 12 ? padded.substr(10, 2) : "00";
        time = padded.substr(0, 4) + "-" + padded.substr(4, 2) + "-" + padded.substr(6, 2) + " " + padded.substr(8, 2) +
               ":" + minute + ":00";
    }
    const bool is_date = time.size() >= 10 && time[4] == '-';
    const bool is_zero =
        is_date && (time.starts_with("0000") || time.compare(5, 2, "00") == 0 || time.compare(8, 2, "00") == 0);
    return is_zero ? std::nullopt : std::optional(time);
}

std::string number_text(const std::string& number) {
    const std::size_t digits = number.find_first_not_of('-');
    if (digits == std::string::npos || number[digits] != '.') return number;
    return number.substr(0, digits) + "0" + number.substr(digits);
}

std::string sum_of_halves(const std::string& high, const std::string& low) {
    __extension__ using Wide = __int128;
    auto value_of = [](const std::string& text) {
        std::int64_t value = 0;
        std::from_chars(text.data(), text.data() + text.size(), value);
        return value;
    };
    Wide sum = static_cast<Wide>(value_of(high)) * (Wide{1} << 32) + value_of(low);
    const bool negative = sum < 0;
    std::string digits;
    do {
        const int digit = static_cast<int>(sum % 10);
        digits += static_cast<char>('0' + (digit < 0 ? -digit : digit));
        sum /= 10;
    } while (sum != 0);
    if (negative) digits += '-';
    std::reverse(digits.begin(), digits.end());
    return digits;
}

}  // namespace insync::odbc
