// URLs: resolving, encoding, comparing origins. Parsing is libcurl's.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace insync::rest {

// `reference` (absolute, with or without a host, or relative) seen from `base`. Raises Failure (source) where the
// result is not an http or https URL. User, password and fragment are left out; what a URL can't hold as it is (blanks,
// UTF-8) is encoded.
std::string resolve_url(const std::string& base, const std::string& reference);

// `path` below `base`, whatever slashes the two end and begin with; an absolute URL stays itself.
std::string join_url(const std::string& base, const std::string& path);

// Scheme, host and port in one text, lower case, the port always named; empty where `url` is none.
std::string origin_of(const std::string& url);

// The path of `url`, without a slash at its end; empty where `url` is none.
std::string path_of(const std::string& url);

// `url` with those parameters of `other` added whose names it doesn't have.
std::string with_missing_parameters(const std::string& url, const std::string& other);

// True for an address, of IPv4 or IPv6, that leads to this machine or to its own link: loopback, link-local or none.
bool is_local_address(std::string_view address);

// `url` with the parameters added to its query, in their order, encoded.
std::string with_parameters(const std::string& url, const std::vector<std::pair<std::string, std::string>>& parameters);

// Unreserved characters stay, all others become %XX.
std::string percent_encode(std::string_view text);

// The URL as it may be shown: without user and password, and with *** for the values of the parameters named.
std::string shown_url(const std::string& url, const std::vector<std::string>& secret_parameters);

}  // namespace insync::rest
