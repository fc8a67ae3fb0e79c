// UTF-8 as PostgreSQL accepts it: no NUL, no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <string>
#include <string_view>

namespace insync {

// True if PostgreSQL would take `text` as it is in a UTF-8 database.
bool is_valid_utf8(std::string_view text);

// Appends `text` to `out` with each byte that can't stand where it stands (and each NUL) replaced by U+FFFD.
void append_replaced_utf8(std::string& out, std::string_view text);

// `text` made valid; for messages and records, where a damaged byte is better than none.
std::string replaced_utf8(std::string_view text);

// `text` cut to at most `limit` bytes on a character border.
std::string_view utf8_prefix(std::string_view text, std::size_t limit);

// As UTF-16; bytes that aren't valid UTF-8 become U+FFFD.
std::u16string utf16_of(std::string_view text);

}  // namespace insync
