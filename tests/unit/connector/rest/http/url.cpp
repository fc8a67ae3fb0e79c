// URLs of REST sources.
#include <gtest/gtest.h>

#include <cctype>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/url.hpp"

namespace insync::rest {
namespace {

// The digits of %c3 are large in newer versions of libcurl, which means the same.
std::string with_large_digits(std::string url) {
    for (std::size_t at = url.find('%'); at != std::string::npos && at + 2 < url.size(); at = url.find('%', at + 3)) {
        for (std::size_t i : {at + 1, at + 2})
            url[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(url[i])));
    }
    return url;
}

TEST(RestUrl, ReferencesAreResolved) {
    const std::string base = "https://api.example.com/ords/erp/items?offset=25";
    const std::pair<const char*, const char*> cases[] = {
        {"https://other.example.com/x", "https://other.example.com/x"},
        {"//other.example.com/x", "https://other.example.com/x"},
        {"/v2/items?page=2", "https://api.example.com/v2/items?page=2"},
        {"items?offset=50", "https://api.example.com/ords/erp/items?offset=50"},
        {"../hr/", "https://api.example.com/ords/hr/"},
        {"?offset=50", "https://api.example.com/ords/erp/items?offset=50"},
        {"", base.c_str()},
        {"items?q={\"a\": 1}", "https://api.example.com/ords/erp/items?q={\"a\":+1}"},
        {"größe", "https://api.example.com/ords/erp/gr%C3%B6%C3%9Fe"},
        {"/x#part", "https://api.example.com/x"},
        {"https://me:secret@api.example.com/x", "https://api.example.com/x"},
        {"items?a=%2F%20", "https://api.example.com/ords/erp/items?a=%2F%20"},
    };
    for (const auto& [reference, whole] : cases)
        EXPECT_EQ(with_large_digits(resolve_url(base, reference)), whole) << reference;
}

TEST(RestUrl, OnlyWebAddressesAreResolved) {
    for (const char* reference : {"file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "http://",
                                  "https://exa mple.com/", "http://example.com:port/", "javascript:alert(1)//"}) {
        try {
            const std::string url = resolve_url("https://example.com/", reference);
            EXPECT_EQ(origin_of(url), "https://example.com:443") << reference << " became " << url;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.kind, FailureClass::source);
        }
    }
    EXPECT_THROW(resolve_url("https://example.com/", "file:///etc/passwd"), Failure);
}

TEST(RestUrl, ParametersAreAddedByTheirNames) {
    EXPECT_EQ(with_missing_parameters("https://h/x?page=2", "https://h/x?page=1&q=a%20b&limit=5#f"),
              "https://h/x?page=2&q=a%20b&limit=5");
    EXPECT_EQ(with_missing_parameters("https://h/x?a%5Bb%5D=1", "https://h/x?a[b]=2"), "https://h/x?a%5Bb%5D=1");
    EXPECT_EQ(with_missing_parameters("https://h/x", "https://h/y?a=1"), "https://h/x?a=1");
    EXPECT_EQ(with_missing_parameters("https://h/x?a", "https://h/y"), "https://h/x?a");
}

TEST(RestUrl, AddressesOfTheMachineAndItsLink) {
    for (const char* address : {"127.0.0.1", "127.1.2.3", "0.0.0.0", "169.254.169.254", "::1", "::", "fe80::1",
                                "febf::1%eth0", "::ffff:127.0.0.1", "::ffff:169.254.1.1", "::127.0.0.1"}) {
        EXPECT_TRUE(is_local_address(address)) << address;
    }
    for (const char* address : {"10.0.0.1", "192.168.1.1", "8.8.8.8", "169.253.0.1", "2001:db8::1", "fec0::1",
                                "::ffff:8.8.8.8", "fd00::1", "localhost", ""}) {
        EXPECT_FALSE(is_local_address(address)) << address;
    }
}

TEST(RestUrl, PathsAreJoinedBelowTheBase) {
    EXPECT_EQ(join_url("https://h/api", "items"), "https://h/api/items");
    EXPECT_EQ(join_url("https://h/api/", "/items/"), "https://h/api/items/");
    EXPECT_EQ(join_url("https://h", "items?a=1"), "https://h/items?a=1");
    EXPECT_EQ(join_url("https://h/api?v=1", "items?a=1"), "https://h/api/items?v=1&a=1");
    EXPECT_EQ(join_url("https://h/api/", "?a=1"), "https://h/api/?a=1");
    EXPECT_EQ(join_url("https://h/api/", ""), "https://h/api/");
    EXPECT_EQ(join_url("https://h/api/", "HTTPS://other/x"), "HTTPS://other/x");
    EXPECT_EQ(join_url("https://h/api/", "//other/x"), "https://h/api/other/x");
}

TEST(RestUrl, OriginsAreCompared) {
    EXPECT_EQ(origin_of("HTTPS://API.Example.com/x"), "https://api.example.com:443");
    EXPECT_EQ(origin_of("https://api.example.com:443"), origin_of("https://me:pw@api.example.com/?y#z"));
    EXPECT_EQ(origin_of("http://[::1]:8080/"), "http://[::1]:8080");
    EXPECT_NE(origin_of("http://example.com/"), origin_of("https://example.com/"));
    EXPECT_NE(origin_of("https://example.com.evil.org/"), origin_of("https://example.com/"));
    EXPECT_EQ(origin_of("https://example.com\\@evil.org/"), origin_of("https://evil.org/"));
    for (const char* none : {"", "example.com", "ftp://example.com/", "/x", "http://"}) EXPECT_EQ(origin_of(none), "");
}

TEST(RestUrl, ParametersAreEncoded) {
    EXPECT_EQ(with_parameters("https://h/x", {{"q", "{\"a\":\"ü\"}"}, {"$top", "1 0"}}),
              "https://h/x?q=%7B%22a%22%3A%22%C3%BC%22%7D&%24top=1%200");
    EXPECT_EQ(with_parameters("https://h/x?a=1#part", {{"b", "&=#?"}}), "https://h/x?a=1&b=%26%3D%23%3F");
    EXPECT_EQ(with_parameters("https://h/x?", {{"b", ""}}), "https://h/x?b=");
    EXPECT_EQ(with_parameters("https://h/x", {}), "https://h/x");
}

TEST(RestUrl, SecretsAreNotShown) {
    EXPECT_EQ(shown_url("https://me:secret@h/x?a=1&API%5Fkey=secret&b=2#f", {"api_key"}),
              "https://h/x?a=1&API%5Fkey=***&b=2#f");
    EXPECT_EQ(shown_url("https://h/x?mail=a@b.c", {}), "https://h/x?mail=a@b.c");
    EXPECT_EQ(shown_url("//me:secret@h", {}), "//h");
    EXPECT_EQ(shown_url("me:secret@h/x", {}), "h/x");
}

}  // namespace
}  // namespace insync::rest
