// Exchanges over HTTP with a server that answers well, badly or not at all.
#include <gtest/gtest.h>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/http.hpp"
#include "tests/unit/connector/rest/http/http_server.hpp"

namespace insync::rest {
namespace {

using std::chrono::milliseconds;
using test::Answer;
using test::answer;
using test::ScriptedServer;
using test::ServedRequest;

HttpRequest get(const std::string& url) {
    HttpRequest request;
    request.url = url;
    return request;
}

// The failure of one request to a server that answers so.
Failure failure_of(const Answer& said, const HttpLimits& limits = {}) {
    ScriptedServer server([&](const ServedRequest&) { return said; });
    HttpClient client(limits);
    try {
        client.send(get(server.url()));
    } catch (const Failure& failure) {
        EXPECT_NE((failure.message + failure.detail).find("127.0.0.1"), std::string::npos) << failure.message;
        return failure;
    }
    ADD_FAILURE() << "the answer was taken";
    return {FailureClass::source, ""};
}

TEST(RestHttp, ExchangesOverOneConnection) {
    ScriptedServer server([](const ServedRequest& request) {
        return answer(request.target == "/none" ? 404 : 200, "said " + request.body, {{"X-Kind", " Some thing "}});
    });
    HttpClient client({});
    HttpRequest request = get(server.url("/a?b=c%20d"));
    request.method = "POST";
    request.body = "this";
    request.headers = {{"X-Own", "value"}, {"X-Empty", ""}};
    const HttpResponse first = client.send(request);
    EXPECT_EQ(first.status, 200);
    EXPECT_EQ(first.body, "said this");
    EXPECT_EQ(first.header("x-kind"), "Some thing");
    EXPECT_FALSE(first.header("x-other"));
    EXPECT_EQ(client.send(get(server.url("/none"))).status, 404);
    EXPECT_EQ(client.requests(), 2u);
    EXPECT_EQ(client.bytes_received(), std::string("said this"
                                                   "said ")
                                           .size());
    EXPECT_EQ(server.connections(), 1);
    const ServedRequest served = server.requests().front();
    EXPECT_EQ(served.method, "POST");
    EXPECT_EQ(served.target, "/a?b=c%20d");
    EXPECT_EQ(served.header("x-own"), "value");
    EXPECT_NE(served.header("accept-encoding").find("gzip"), std::string::npos);
    EXPECT_EQ(server.requests().back().method, "GET");
}

TEST(RestHttp, RedirectsAreReturned) {
    ScriptedServer server([](const ServedRequest&) { return answer(302, "", {{"Location", "/elsewhere"}}); });
    HttpClient client({});
    EXPECT_EQ(client.send(get(server.url())).header("location"), "/elsewhere");
    EXPECT_EQ(server.requests().size(), 1u);
}

// gzip of {"rows":[000…]} with 100,000 digits.
std::string packed() {
    using namespace std::string_literals;
    return "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x31\x0d\x00\x20\x0c\x00\x30\x2f\x53\xc0\x8d\x95\x05\x0d\x24\x70\x70\x2c\x78\xc7\x06\x47\xdb\x8a\x35\xcf\x8e\x9e\x0d"s +
           std::string(96, '\0') + "\xf8\xd6\xb8\x0f\x20\xab\x26\xdc\xab\x86\x01\x00"s;
}

TEST(RestHttp, HeadersThatCantBeSentAreRefused) {
    HttpClient client({});
    for (const auto& [name, value] :
         {std::pair("X-Key", "secret\r\nX-Other: 1"), {"X-Key\r\nX", "secret"}, {"", "secret"}}) {
        HttpRequest request = get("http://127.0.0.1:1/");
        request.headers = {{name, value}};
        try {
            client.send(request);
            ADD_FAILURE() << name;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.kind, FailureClass::config);
            EXPECT_EQ((failure.message + failure.detail).find("secret"), std::string::npos);
        }
    }
    HttpRequest request = get("http://127.0.0.1:1/");
    request.method = "GET / HTTP/1.1\r\nX: ";
    EXPECT_THROW(client.send(request), Failure);
}

TEST(RestHttp, OnlyWebAddressesAreAsked) {
    HttpClient client({});
    for (const char* url :
         {"file:///etc/passwd", "ftp://127.0.0.1/", "http://me:secret@127.0.0.1:1/", "", "http://a b/"}) {
        try {
            client.send(get(url));
            ADD_FAILURE() << url;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.kind, FailureClass::config) << url << failure.message;
            EXPECT_EQ((failure.message + failure.detail).find("secret"), std::string::npos);
        }
    }
}

TEST(RestHttp, TheEnvironmentsProxyIsNotUsed) {
    ScriptedServer server([](const ServedRequest&) { return answer(200, "direct"); });
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    HttpClient client({});
    EXPECT_EQ(client.send(get(server.url())).body, "direct");
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

TEST(RestHttp, AProxyIsUsed) {
    ScriptedServer proxy([](const ServedRequest& request) { return answer(200, request.target); });
    HttpLimits limits;
    limits.proxy = proxy.origin();
    HttpClient client(limits);
    EXPECT_EQ(client.send(get("http://nowhere.invalid/x")).body, "http://nowhere.invalid/x");
}

TEST(RestHttp, NoWholeAnswerIsTransient) {
    const std::string half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    const std::string chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    for (const std::string& bytes : {std::string(), std::string("HTTP/1.1 200 OK\r\nContent-"), half, chunk}) {
        EXPECT_EQ(failure_of({bytes, Answer::Then::close}).kind, FailureClass::transient) << bytes;
        EXPECT_EQ(failure_of({bytes, Answer::Then::reset}).kind, FailureClass::transient) << bytes;
    }
}

TEST(RestHttp, AServerThatCantBeReachedIsTransient) {
    int port;
    {
        ScriptedServer gone([](const ServedRequest&) { return answer(200); });
        port = std::stoi(gone.origin().substr(gone.origin().rfind(':') + 1));
    }
    HttpClient client({});
    try {
        client.send(get("http://127.0.0.1:" + std::to_string(port) + "/"));
        ADD_FAILURE();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.kind, FailureClass::transient);
        EXPECT_EQ(failure.message, "could not reach 127.0.0.1:" + std::to_string(port));
    }
}

TEST(RestHttp, AStallIsNoticed) {
    HttpLimits limits;
    limits.stall_timeout = milliseconds(300);
    const Failure failure =
        failure_of({"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", Answer::Then::stall}, limits);
    EXPECT_EQ(failure.kind, FailureClass::transient);
    EXPECT_NE(failure.hint.find("stall_timeout"), std::string::npos) << failure.message;
    EXPECT_NE(failure_of({"", Answer::Then::stall}, limits).hint.find("stall_timeout"), std::string::npos);
}

TEST(RestHttp, ADripIsTooSlow) {
    HttpLimits limits;
    limits.stall_timeout = milliseconds(1000);
    limits.timeout = milliseconds(1500);
    const Failure failure =
        failure_of({"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", Answer::Then::drip}, limits);
    EXPECT_EQ(failure.kind, FailureClass::transient);
    EXPECT_NE(failure.hint.find("Option timeout"), std::string::npos) << failure.message;
}

TEST(RestHttp, SomebodyIsToldThatAnExchangeGoesOn) {
    ScriptedServer server([](const ServedRequest&) -> Answer {
        return {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", Answer::Then::drip};
    });
    HttpLimits limits;
    limits.timeout = milliseconds(2500);
    int ticks = 0;
    HttpClient client(limits, [&] { ticks++; });
    EXPECT_THROW(client.send(get(server.url())), Failure);
    EXPECT_GT(ticks, 0);
    HttpClient throwing(limits, [] { throw std::runtime_error("no"); });
    EXPECT_THROW(throwing.send(get(server.url())), std::runtime_error);
}

TEST(RestHttp, AnAnswerHasASize) {
    HttpLimits limits;
    limits.max_response = 1000;
    ScriptedServer server([](const ServedRequest&) { return answer(200, std::string(1000, 'x')); });
    HttpClient client(limits);
    EXPECT_EQ(client.send(get(server.url())).body.size(), 1000u);
    const Failure failure = failure_of(answer(200, std::string(1001, 'x')), limits);
    EXPECT_EQ(failure.kind, FailureClass::source);
    EXPECT_NE(failure.hint.find("max_response"), std::string::npos);
    // Headers have one, too.
    std::string endless = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 30000; i++) endless += "X-Header-" + std::to_string(i) + ": " + std::string(40, 'x') + "\r\n";
    EXPECT_EQ(failure_of({endless + "\r\n", Answer::Then::close}).kind, FailureClass::source);
}

TEST(RestHttp, TheSizeIsThatOfTheUnpackedAnswer) {
    ScriptedServer server([](const ServedRequest&) { return answer(200, packed(), {{"Content-Encoding", "gzip"}}); });
    {
        HttpClient client({});
        EXPECT_EQ(client.send(get(server.url())).body, "{\"rows\":[" + std::string(100000, '0') + "]}");
        EXPECT_LT(client.bytes_received(), 1000u);
    }
    HttpLimits limits;
    limits.max_response = 100000;
    EXPECT_EQ(failure_of(answer(200, packed(), {{"Content-Encoding", "gzip"}}), limits).kind, FailureClass::source);
    EXPECT_EQ(failure_of(answer(200, "no gzip at all", {{"Content-Encoding", "gzip"}})).kind, FailureClass::source);
}

TEST(RestHttp, WhatIsNoWebServerIsNamed) {
    EXPECT_EQ(failure_of({"SSH-2.0-OpenSSH_9.2\r\n", Answer::Then::close}).kind, FailureClass::config);
}

}  // namespace
}  // namespace insync::rest
