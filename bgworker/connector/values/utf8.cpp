// Checks and repairs UTF-8; see utf8.hpp. The check skips over ASCII eight bytes at a time: it is on the hot path.
#include "bgworker/connector/values/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace insync {

namespace {

// The length of the valid, non-ASCII character at `at`, or 0.
std::size_t character_length(const unsigned char* at, const unsigned char* end) {
    auto continues = [&](std::size_t i, unsigned char low = 0x80, unsigned char high = 0xBF) {
        return at + i < end && at[i] >= low && at[i] <= high;
    };
    const unsigned char first = at[0];
    if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const unsigned char low = first == 0xE0 ? 0xA0 : 0x80;   // overlong
        const unsigned char high = first == 0xED ? 0x9F : 0xBF;  // surrogates
        return continues(1, low, high) && continues(2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const unsigned char low = first == 0xF0 ? 0x90 : 0x80;
        const unsigned char high = first == 0xF4 ? 0x8F : 0xBF;
        return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

// The first byte at or after `at` that doesn't start a valid character, or `end`.
const unsigned char* first_invalid(const unsigned char* at, const unsigned char* end) {
    while (at < end) {
        while (end - at >= 8) {
            std::uint64_t word;
            std::memcpy(&word, at, 8);
            const bool has_high = word & 0x8080808080808080u;
            const bool has_nul = (word - 0x0101010101010101u) & ~word & 0x8080808080808080u;
            if (has_high || has_nul) break;
            at += 8;
        }
        if (at == end) break;
        if (*at < 0x80) {
            if (*at == 0) return at;
            at++;
            continue;
        }
        const std::size_t length = character_length(at, end);
        if (length == 0) return at;
        at += length;
    }
    return end;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
    const auto* begin = reinterpret_cast<const unsigned char*>(text.data());
    return first_invalid(begin, begin + text.size()) == begin + text.size();
}

void append_replaced_utf8(std::string& out, std::string_view text) {
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    const auto* end = at + text.size();
    while (at < end) {
        const unsigned char* bad = first_invalid(at, end);
        out.append(reinterpret_cast<const char*>(at), static_cast<std::size_t>(bad - at));
        if (bad == end) return;
        out += "\xEF\xBF\xBD";
        at = bad + 1;
        // One replacement for one damaged character: its continuation bytes go with it.
        if (*bad >= 0xC0) {
            while (at < end && (*at & 0xC0) == 0x80) at++;
        }
    }
}

std::string replaced_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    append_replaced_utf8(out, text);
    return out;
}

std::string_view utf8_prefix(std::string_view text, std::size_t limit) {
    if (text.size() <= limit) return text;
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) limit--;
    return text.substr(0, limit);
}

std::u16string utf16_of(std::string_view text) {
    const std::string valid = replaced_utf8(text);
    std::u16string out;
    for (std::size_t at = 0; at < valid.size();) {
        const auto lead = static_cast<unsigned char>(valid[at]);
        const std::size_t bytes = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        char32_t code = bytes == 1 ? lead : lead & (0x7Fu >> bytes);
        for (std::size_t i = 1; i < bytes; i++) code = code << 6 | (static_cast<unsigned char>(valid[at + i]) & 0x3Fu);
        at += bytes;
        if (code < 0x10000) {
            out += static_cast<char16_t>(code);
        } else {
            out += static_cast<char16_t>(0xD800 + ((code - 0x10000) >> 10));
            out += static_cast<char16_t>(0xDC00 + ((code - 0x10000) & 0x3FF));
        }
    }
    return out;
}

}  // namespace insync
