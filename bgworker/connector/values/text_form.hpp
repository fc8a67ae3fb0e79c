// How texts are written that stand for times or numbers.
//
// Texts sort as what they mean only where all are written in one way: '9' is behind '10', '31/12/2024' behind
// '01/01/2025', and '2025-01-05T08:00:00' behind '2025-01-05 09:00:00'.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace insync {

// How a time is written, '_' for each digit of date and time, its zone as it stands; of a number as many '_' as it has
// digits. Without a zone the fraction is left out, as more digits sort behind fewer. Empty where it is neither.
std::string layout_of(const std::string& literal);

// Whether two literals are written in such a way that they sort.
bool are_written_alike(const std::string& left, const std::string& right);

// The lowest text that a time at or after `literal` can have, whatever its separators and offset; an empty text where
// the literal is no time.
std::string lowest_text_since(const std::string& literal);

// Why texts of this form don't sort by what they mean; nothing where nothing is known against it.
std::optional<std::string> unsorted_form(const std::string& literal);

// The same of several values; `times_in_any_layout` where the engine's texts are compared as times.
std::optional<std::string> unsorted_forms(const std::vector<std::string>& values, bool times_in_any_layout);

// By how many microseconds later than `literal` something can have happened that is stamped with it: the coarsest unit
// of which the time is a whole number. A second at least.
std::int64_t resolution_us(const std::string& literal);

}  // namespace insync
