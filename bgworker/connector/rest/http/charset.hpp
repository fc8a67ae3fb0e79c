// The encoding of an answer: JSON is UTF-8, but not every server knows that.
#pragma once

#include <string>
#include <string_view>

namespace insync::rest {

// The charset that a Content-Type header names, in lower case; empty where it names none.
std::string charset_of(std::string_view content_type);

// The body in UTF-8. Without a charset it is taken as it is, but for the mark that some put in front of UTF-8. A text
// of one byte a character that is valid UTF-8 and not ASCII is what many servers send under a wrong name: it stays.
// Raises Failure (source) for a charset that isn't known, and for bytes that it doesn't have.
std::string utf8_body(std::string body, std::string_view content_type);

}  // namespace insync::rest
