// The one table of server, user mapping and stream options: what validates options also documents them.
//
// sync_options() prints this table, the foreign-data wrapper's validator and sync_create() / sync_alter() check against
// it; nothing else knows option names. Pure: what needs a catalog (do the columns exist, is the caller a superuser, is
// the time zone known) is checked by the caller. Problems never contain a secret: passwords and connection strings are
// not quoted in them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "bgworker/options/values.hpp"

namespace insync {

// Where an option is given; a bit each, so that one option may apply in several places.
enum class Where : unsigned {
    server = 1,
    mapping = 2,
    stream = 4,
    other = 8,  // the foreign-data wrapper itself and foreign tables: no option applies there
};

// The kind of server that an option is for (for a stream: of its server); a bit each.
enum class Kind : unsigned {
    odbc = 1,
    rest = 2,
};
// Either: an option of one of them is known.
inline constexpr Kind any_kind =
    static_cast<Kind>(static_cast<unsigned>(Kind::odbc) | static_cast<unsigned>(Kind::rest));

enum class ValueType {
    text,
    name,  // of a column, or of a registered driver: short, on one line
    integer,
    duration,
    size,
    boolean,
    enumeration,
    share,  // of a whole, 0% to 100%
    share_or_count,
    weekdays,      // 'mon-sat'
    json_object,   // whose values are SQL expressions
    text_map,      // a JSON object whose values are texts or numbers
    json_options,  // a JSON object of further options
    pointer,       // JSON pointer (RFC 6901), such as /data/items; '!' in front of it negates
    rate,          // requests by time, such as 2/s
    lookback,
    connection_string,
};

struct Option {
    std::string_view name;
    ValueType type = ValueType::text;
    // As a user would write it. Empty where there is no default, or where it depends on something that the description
    // tells: a setting, the kind of watermark.
    std::string_view default_text = {};
    unsigned where = 0;  // bits of Where
    unsigned kinds = 0;  // bits of Kind
    bool superuser_only = false;
    bool secret = false;                            // never shown, not even to who may see the other options
    bool is_template = false;                       // of a request, or of a part of one; see template_text.hpp
    bool shapes_rows = false;                       // what a row becomes depends on it, of rows read before as well
    bool several_lines = false;                     // a text that may have line ends and tabs, wherever it applies
    std::span<const std::string_view> values = {};  // of an enumeration
    std::int64_t min = 0;                           // integer; milliseconds of a duration; bytes of a size
    std::int64_t max = 0;                           // both 0: no limits other than the type's own
    std::string_view description = {};              // one sentence, with units

    bool applies(Where place, Kind kind) const {
        return (where & static_cast<unsigned>(place)) != 0 && (kinds & static_cast<unsigned>(kind)) != 0;
    }
};

// Why an option isn't accepted, in PostgreSQL's message style; detail and hint may be empty.
struct OptionProblem {
    std::string message;
    std::string detail;
    std::string hint;
};

// Options as given: name to value. Values from JSON come as texts: strings without quotes, the rest as written.
using OptionMap = std::map<std::string, std::string, std::less<>>;

// Every option, grouped by where it applies, in the order in which to explain them.
std::span<const Option> all_options();

// The option of that name (case-sensitive) that applies at `where`, or nullptr.
const Option* find_option(Where where, std::string_view name);

// What sync_options() shows: 'integer (1 to 65535)', 'auto, incremental or full'; 'server, stream', with
// (ODBC) or (REST) where it is for sources of one kind.
std::string type_text(const Option& option);
std::string applies_to_text(const Option& option);

// The limits of a value, '1 to 65535' or '1 second to 7 days', and an enumeration's values, 'auto, incremental or
// full'; empty if it has none.
std::string range_text(const Option& option);
std::string values_text(const Option& option);

// Checks one option by itself; nothing if it is right. Whether the caller may set it is up to the caller:
// `superuser_only` tells.
std::optional<OptionProblem> check_option(Where where, Kind kind, std::string_view name, std::string_view value);

// Checks each option of a complete set (after ALTER: what would be in force), then that they go together; the first
// problem found, or nothing.
std::optional<OptionProblem> check_option_set(Where where, Kind kind, const OptionMap& options);

}  // namespace insync
