// Requests as a source wants them, against a server that answers as each test tells it.
#include <gtest/gtest.h>

#include <atomic>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/session.hpp"
#include "tests/unit/connector/frames.hpp"
#include "tests/unit/connector/rest/http/http_server.hpp"

namespace insync::rest {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using test::Answer;
using test::answer;
using test::ScriptedServer;
using test::ServedRequest;

const std::string secret = "s3cret/+";

// Gives every place at once, and keeps what was asked.
struct FreePermits : Permits {
    std::vector<std::pair<milliseconds, milliseconds>> asked;
    milliseconds wait{0};
    milliseconds ask(milliseconds interval, milliseconds hold) override {
        asked.emplace_back(interval, hold);
        return wait;
    }
};

// A session with a server of its own.
struct Talk {
    explicit Talk(ScriptedServer::Handler handler, json options = json::object())
        : server(std::move(handler)), settings(server_options(std::move(options)), json::object()) {
        OpenRequest request;
        request.credentials = {{"user", "me"},
                               {"password", secret},
                               {"token", secret},
                               {"client_id", "client"},
                               {"client_secret", secret}};
        session = std::make_unique<Session>(request, settings, permits, capture.writer);
    }

    json server_options(json options) const {
        if (!options.contains("base_url")) options["base_url"] = server.url("/api");
        if (!options.contains("retries")) options["retries"] = "1";
        return options;
    }

    HttpResponse get(const std::string& path = "/api/x") {
        HttpRequest request;
        request.url = path;
        return session->send(request);
    }

    // What a request fails with; nothing that anybody may read holds the secret.
    Failure failure(const std::string& path = "/api/x") {
        try {
            const HttpResponse response = get(path);
            ADD_FAILURE() << "answered with " << response.status << ": " << response.body;
        } catch (const Failure& failure) {
            for (const std::string& text : {failure.message, failure.detail, failure.hint}) {
                EXPECT_EQ(text.find("s3cret"), std::string::npos) << text;
            }
            for (const test::Frame& frame : capture.frames()) {
                EXPECT_EQ(frame.payload.find("s3cret"), std::string::npos) << frame.payload;
            }
            return failure;
        }
        return {FailureClass::source, ""};
    }

    ScriptedServer server;
    Settings settings;
    FreePermits permits;
    test::Capture capture;
    std::unique_ptr<Session> session;
};

// Answers in their order, the last for ever.
ScriptedServer::Handler in_order(std::vector<Answer> answers) {
    return [answers, next = std::make_shared<std::atomic<std::size_t>>(0)](const ServedRequest&) {
        return answers[std::min(next->fetch_add(1), answers.size() - 1)];
    };
}

TEST(RestSession, ARequestIsCompleted) {
    Talk talk(
        [](const ServedRequest&) {
            return answer(200, "[]", {{"Date", "Sat, 31 Jan 2026 10:00:00 GMT"}});
        },
        {{"auth", "bearer"}});
    EXPECT_FALSE(talk.session->source_now());
    HttpRequest request;
    request.method = "POST";
    request.url = talk.server.url("/api/search?a=b");
    request.body = "{}";
    request.headers = {{"ACCEPT", "application/vnd.x+json"}};
    const HttpResponse response = talk.session->send(request);
    EXPECT_EQ(response.body, "[]");
    EXPECT_EQ(response.url, request.url);
    EXPECT_EQ(talk.session->source_now().value_or("").substr(0, 16), "2026-01-31T10:00");
    const ServedRequest served = talk.server.requests().at(0);
    EXPECT_EQ(served.header("authorization"), "Bearer " + secret);
    EXPECT_EQ(served.header("accept"), "application/vnd.x+json");
    EXPECT_EQ(served.header("content-type"), "application/json");
    EXPECT_EQ(served.target, "/api/search?a=b");
    EXPECT_TRUE(talk.permits.asked.empty()) << "nobody asked for a pace";
    EXPECT_EQ(talk.session->requests(), 1u);
}

TEST(RestSession, WhatIsShownHoldsNoSecret) {
    Talk query([](const ServedRequest&) { return answer(200); }, {{"auth", "query"}, {"auth_name", "key"}});
    HttpRequest request;
    request.url = "/api/x?a=1";
    request.headers = {{"X-Session-Token", "mine"}, {"X-Echo", secret}};
    EXPECT_EQ(query.session->shown(request),
              "GET " + query.server.url("/api/x?a=1&key=***") +
                  "\nX-Session-Token: ***\nX-Echo: ***\nAccept: application/json\nUser-Agent: pg_insync");
    Talk basic([](const ServedRequest&) { return answer(200); }, {{"auth", "basic"}});
    EXPECT_NE(basic.session->shown(request).find("\nAuthorization: ***"), std::string::npos);
    EXPECT_EQ(query.session->requests(), 0u);
}

TEST(RestSession, StatusesSayWhatToDo) {
    for (const auto& [status, kind] : {std::pair(400, FailureClass::config),
                                       {401, FailureClass::auth},
                                       {403, FailureClass::auth},
                                       {404, FailureClass::config},
                                       {422, FailureClass::config},
                                       {302, FailureClass::source}}) {
        // A server that says all that it was told.
        Talk talk(
            [status = status](const ServedRequest& request) {
                std::string told = "no: " + request.target;
                for (const auto& [name, value] : request.headers) told += " " + name + ": " + value;
                return answer(status, told + std::string(1000, 'x'));
            },
            {{"auth", "query"}, {"auth_name", "key"}});
        const Failure failure = talk.failure();
        EXPECT_EQ(failure.kind, kind) << status;
        EXPECT_NE(failure.message.find(std::to_string(status)), std::string::npos) << failure.message;
        EXPECT_NE(failure.detail.find("/api/x"), std::string::npos) << failure.detail;
        EXPECT_NE(failure.detail.find("The answer: no: /api/x?key=***"), std::string::npos) << failure.detail;
        EXPECT_LT(failure.detail.size(), 500u);
        EXPECT_EQ(talk.server.requests().size(), 1u) << status;
    }
}

TEST(RestSession, OnStatusAndAcceptedStatuses) {
    Talk talk(in_order({answer(404, "nothing"), answer(410, "gone"), answer(400, "past the end"), answer(304)}),
              {{"on_status", R"({"404": "empty", "4xx": "fail"})"}});
    const HttpResponse empty = talk.get();
    EXPECT_EQ(empty.status, 404);
    EXPECT_EQ(empty.body, "");
    EXPECT_EQ(talk.failure().kind, FailureClass::config);
    HttpRequest request;
    request.url = "/api/x";
    request.accepted = {400};
    EXPECT_EQ(talk.session->send(request).body, "past the end");
    EXPECT_EQ(talk.get().status, 304);
    talk.session->use(Settings(talk.server_options({}), json{{"on_status", R"({"304": "fail"})"}}));
    EXPECT_EQ(talk.failure().kind, FailureClass::source);
}

TEST(RestSession, WhatMayPassIsTriedAgain) {
    for (int status : {408, 425, 429, 500, 502, 503, 504}) {
        Talk talk(in_order({answer(status), answer(200, "[1]")}));
        EXPECT_EQ(talk.get().body, "[1]") << status;
    }
    const std::string half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    Talk cut(in_order({{half, Answer::Then::close}, answer(200, "[1]")}));
    EXPECT_EQ(cut.get().body, "[1]");
    Talk as_told(in_order({answer(409), answer(200, "[1]")}), {{"on_status", R"({"409": "retry"})"}});
    EXPECT_EQ(as_told.get().body, "[1]");
}

TEST(RestSession, TriesHaveAnEnd) {
    Talk broken(in_order({answer(500, "broken")}));
    EXPECT_EQ(broken.failure().kind, FailureClass::transient);
    EXPECT_EQ(broken.server.requests().size(), 2u);
    for (const Headers& headers : {Headers{}, Headers{{"Retry-After", "0"}}}) {
        Talk storm(in_order({answer(429, "slow down", headers)}));
        EXPECT_EQ(storm.failure().kind, FailureClass::rate_limited);
        EXPECT_EQ(storm.server.requests().size(), 2u);
    }
    Talk once(in_order({answer(503)}), {{"retries", "0"}});
    EXPECT_EQ(once.failure().kind, FailureClass::transient);
    EXPECT_EQ(once.server.requests().size(), 1u);
    Talk failing(in_order({answer(503)}), {{"on_status", R"({"5xx": "fail"})"}});
    EXPECT_EQ(failing.failure().kind, FailureClass::transient);
    EXPECT_EQ(failing.server.requests().size(), 1u);
}

TEST(RestSession, ASilenceIsKeptAndToldToTheOthers) {
    Talk talk(in_order({answer(429, "", {{"Retry-After", "1"}}), answer(200, "[1]")}));
    EXPECT_EQ(talk.get().body, "[1]");
    ASSERT_EQ(talk.permits.asked.size(), 1u);
    EXPECT_GT(talk.permits.asked[0].second, milliseconds(500));
    // A debug message a second at least, or the worker would take the connector for hung.
    EXPECT_FALSE(talk.capture.frames().empty());
}

TEST(RestSession, ALongSilenceIsTheWorkersToKeep) {
    Talk talk(in_order({answer(503, "", {{"Retry-After", "3600"}})}));
    const Failure failure = talk.failure();
    EXPECT_EQ(failure.kind, FailureClass::rate_limited);
    EXPECT_EQ(failure.retry_after_seconds, 3600);
    ASSERT_EQ(talk.permits.asked.size(), 1u);
    EXPECT_EQ(talk.permits.asked[0].second, std::chrono::hours(1));
    Talk forever(in_order({answer(429, "", {{"Retry-After", "99999999999999999"}})}));
    EXPECT_EQ(forever.failure().retry_after_seconds, 86400);
}

TEST(RestSession, WhereNothingRemainsNothingIsAsked) {
    const std::string reset = std::to_string(time(nullptr) + 1800);
    const Headers none_left{{"X-RateLimit-Remaining", "0"}, {"X-RateLimit-Reset", reset}};
    Talk talk(in_order({answer(200, "[1]", none_left)}));
    EXPECT_EQ(talk.get().body, "[1]");
    const Failure failure = talk.failure();
    EXPECT_EQ(failure.kind, FailureClass::rate_limited);
    EXPECT_NEAR(failure.retry_after_seconds.value_or(0), 1800, 60);
    EXPECT_EQ(talk.server.requests().size(), 1u);
    Talk github(in_order({answer(403, "API rate limit exceeded", none_left)}), {{"on_status", R"({"4xx": "empty"})"}});
    EXPECT_EQ(github.failure().kind, FailureClass::rate_limited);
}

TEST(RestSession, ABucketThatFillsSlowsDown) {
    Talk talk(in_order({answer(200, "[1]", {{"X-Calls", "34/40"}}), answer(200, "[2]", {{"X-Calls", "3/40"}})}),
              {{"rate_header", "X-Calls"}});
    talk.get();
    EXPECT_TRUE(talk.permits.asked.empty());
    talk.get();
    ASSERT_EQ(talk.permits.asked.size(), 1u);
    EXPECT_GT(talk.permits.asked[0].second, milliseconds(500));
    talk.get();
    EXPECT_EQ(talk.permits.asked.size(), 1u);
}

TEST(RestSession, APaceIsAskedForBeforeEachRequest) {
    Talk talk([](const ServedRequest&) { return answer(200); }, {{"rate", "120/min"}});
    talk.get();
    talk.get();
    EXPECT_EQ(talk.permits.asked, (std::vector{std::pair(milliseconds(500), milliseconds(0)),
                                               std::pair(milliseconds(500), milliseconds(0))}));
    talk.permits.wait = std::chrono::hours(1);
    EXPECT_EQ(talk.failure().retry_after_seconds, 3600);
}

TEST(RestSession, AThrottledAnswerOfStatus200) {
    Talk talk([](const ServedRequest&) { return answer(200); });
    talk.get();
    talk.session->wait_as_told(0.9);
    talk.get();
    ASSERT_EQ(talk.permits.asked.size(), 1u);
    EXPECT_GT(talk.permits.asked[0].second, milliseconds(700));
    EXPECT_THROW(talk.session->wait_as_told(0.1), Failure) << "for ever";
    talk.get();
    talk.get();
    EXPECT_NO_THROW(talk.session->wait_as_told(0)) << "it had stopped in between";
}

// ------------------------------------------------------------------------------------------------------------ OAuth2

// Gives tokens t1, t2, … each good for `uses` requests.
struct TokenServer {
    int given = 0, used = 0, uses = 1000;
    std::string members = ", \"expires_in\": 3600";
    Answer operator()(const ServedRequest& request) {
        if (request.target == "/api/oauth/token") {
            used = 0;
            return answer(200, "{\"access_token\": \"t" + std::to_string(++given) + "\"" + members + "}");
        }
        const bool is_right = request.header("authorization") == "Bearer t" + std::to_string(given) && used++ < uses;
        return is_right ? answer(200, "[1]") : answer(401, "expired, " + request.header("authorization"));
    }
};

TEST(RestSession, ATokenIsGotOnceAndRenewedWhenRefused) {
    auto tokens = std::make_shared<TokenServer>();
    tokens->uses = 2;
    Talk talk([tokens](const ServedRequest& request) { return (*tokens)(request); }, {{"auth", "oauth2"}});
    talk.session->login();
    talk.session->login();
    for (int i = 0; i < 6; i++) EXPECT_EQ(talk.get().body, "[1]");
    EXPECT_EQ(tokens->given, 3);
    EXPECT_EQ(talk.server.requests().size(), 3u + 6 + 2);
    tokens->uses = 0;
    const Failure failure = talk.failure();
    EXPECT_EQ(failure.kind, FailureClass::auth);
    EXPECT_EQ(tokens->given, 4) << "once for each request";
    EXPECT_EQ(failure.detail.find("t4"), std::string::npos) << failure.detail;
}

TEST(RestSession, TheTokenEndpointMayBeSlowToStart) {
    auto tokens = std::make_shared<TokenServer>();
    auto tries = std::make_shared<int>(0);
    Talk talk([=](const ServedRequest& request) { return (*tries)++ == 0 ? answer(503) : (*tokens)(request); },
              {{"auth", "oauth2"}});
    EXPECT_EQ(talk.get().body, "[1]");
}

TEST(RestSession, TheTokenEndpointsRefusalsArePlain) {
    for (const auto& [said, kind] :
         {std::pair(answer(401, R"({"error": "invalid_client", "error_description": "not s3cret/+"})"),
                    FailureClass::auth),
          {answer(302, "", {{"Location", "https://elsewhere.example.com/"}}), FailureClass::config},
          {answer(500, "broken s3cret/+"), FailureClass::transient},
          {answer(429, "", {{"Retry-After", "600"}}), FailureClass::rate_limited}}) {
        Talk talk([said = said](const ServedRequest&) { return said; }, {{"auth", "oauth2"}});
        EXPECT_EQ(talk.failure().kind, kind) << said.bytes;
        for (const ServedRequest& request : talk.server.requests()) EXPECT_EQ(request.target, "/api/oauth/token");
    }
}

// --------------------------------------------------------------------------------------------- redirects and origins

TEST(RestSession, RedirectsWithinTheOriginAreFollowed) {
    Talk talk(
        [](const ServedRequest& request) -> Answer {
            if (request.target == "/api/x") return answer(308, "", {{"Location", "y?a=1"}});
            if (request.target == "/api/y?a=1") return answer(303, "", {{"Location", "/z"}});
            return answer(200, request.method + request.body);
        },
        {{"auth", "bearer"}});
    HttpRequest request;
    request.method = "POST";
    request.body = "{}";
    request.url = "/api/x";
    const HttpResponse response = talk.session->send(request);
    EXPECT_EQ(response.body, "GET");
    EXPECT_EQ(response.url, talk.server.url("/z"));
    EXPECT_EQ(talk.server.requests().at(1).method, "POST");
    EXPECT_EQ(talk.server.requests().at(1).body, "{}");
    for (const ServedRequest& served : talk.server.requests()) {
        EXPECT_EQ(served.header("authorization"), "Bearer " + secret);
    }
}

TEST(RestSession, RedirectsOfNoUseAreRefused) {
    Talk circle([](const ServedRequest&) { return answer(302, "", {{"Location", "/api/x"}}); });
    EXPECT_EQ(circle.failure().kind, FailureClass::config);
    EXPECT_EQ(circle.server.requests().size(), 6u);
    Talk file([](const ServedRequest&) { return answer(302, "", {{"Location", "file:///etc/passwd"}}); });
    EXPECT_EQ(file.failure().kind, FailureClass::source);
    Talk echo(
        [](const ServedRequest& request) {
            return answer(302, "", {{"Location", "ftp://x/" + request.target}});
        },
        {{"auth", "query"}, {"auth_name", "key"}});
    EXPECT_NE(echo.failure().detail.find("***"), std::string::npos);
    Talk post([](const ServedRequest&) { return answer(301, "", {{"Location", "/api/x/"}}); });
    HttpRequest request;
    request.method = "POST";
    request.body = "{}";
    request.url = "/api/x";
    EXPECT_THROW(post.session->send(request), Failure);
}

TEST(RestSession, CredentialsStayAtTheirOrigin) {
    ScriptedServer other(
        [](const ServedRequest& request) { return answer(200, "authorization: " + request.header("authorization")); });
    const Answer redirect = answer(302, "", {{"Location", other.url("/there?key=1")}});
    for (const char* auth : {"none", "basic", "bearer", "header", "query", "oauth2"}) {
        Talk talk(
            [&](const ServedRequest& request) {
                return request.target == "/api/oauth/token" ? answer(200, R"({"access_token": "t1"})") : redirect;
            },
            {{"auth", auth}, {"auth_name", "X-Key"}});
        const Failure redirected = talk.failure();
        EXPECT_EQ(redirected.kind, FailureClass::config) << auth;
        EXPECT_NE(redirected.detail.find(other.origin()), std::string::npos) << redirected.detail;
        EXPECT_NE(redirected.hint.find("base_url"), std::string::npos);
        const std::size_t before = talk.server.requests().size();
        const Failure linked = talk.failure(other.url("/next"));
        EXPECT_EQ(linked.kind, FailureClass::config) << auth;
        EXPECT_NE(linked.detail.find(other.origin()), std::string::npos) << linked.detail;
        EXPECT_EQ(talk.server.requests().size(), before);
    }
    EXPECT_TRUE(other.requests().empty());
}

TEST(RestSession, RequestsGoToOriginsThatAreAllowed) {
    ScriptedServer other(
        [](const ServedRequest& request) { return answer(200, "authorization: " + request.header("authorization")); });
    const Answer redirect = answer(302, "", {{"Location", other.url("/there")}});
    Talk open([&](const ServedRequest&) { return redirect; }, {{"allowed_origins", other.origin()}});
    EXPECT_EQ(open.get(other.url("/next")).body, "authorization: ");
    // This machine is no place to be redirected to, whatever is allowed.
    EXPECT_EQ(open.failure().kind, FailureClass::config);
    EXPECT_EQ(other.requests().size(), 1);
    EXPECT_THROW(Talk([&](const ServedRequest&) { return redirect; }, {{"allowed_origins", "example.com"}}), Failure);
}

TEST(RestSession, OptionsThatCantBeAreRefused) {
    const auto handler = [](const ServedRequest&) { return answer(200); };
    for (const json& options :
         {json{{"base_url", "ftp://example.com/"}}, json{{"base_url", "https://me:pw@example.com/"}},
          json{{"rate", "often"}}, json{{"auth", "header"}}}) {
        EXPECT_THROW(Talk(handler, options), Failure) << options;
    }
}

}  // namespace
}  // namespace insync::rest
