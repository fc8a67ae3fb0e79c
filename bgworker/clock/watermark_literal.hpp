// Arithmetic on watermark literals, the source's own text of a watermark value.
//
// A literal is never rounded and never changes its layout: what the source wrote with seven digits is compared, and
// moved back by the lookback, with seven digits. Otherwise rows next to a rounded bound are read for ever or never.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace insync {

enum class WatermarkKind { none, time, integer, rowversion, text };

// The word for the kind in a describe reply; "none" has no word there.
std::string_view name_of(WatermarkKind kind);

// `literal` less `lookback`: seconds (decimals allowed) for time, a count for integer and rowversion, nothing for text.
// Returns nothing where the literal doesn't have the form of its kind.
std::optional<std::string> subtract_lookback(WatermarkKind kind, std::string_view literal, std::string_view lookback);

// Orders two literals of one kind; nothing where either doesn't have the form of its kind.
std::optional<std::strong_ordering> compare_literals(WatermarkKind kind, std::string_view left, std::string_view right);

// True if `literal` has the form of `kind`.
bool is_literal_of(WatermarkKind kind, std::string_view literal);

// Seconds by which `later` is after `earlier`, both time literals; nothing where either isn't one.
std::optional<double> seconds_between(std::string_view earlier, std::string_view later);

}  // namespace insync
