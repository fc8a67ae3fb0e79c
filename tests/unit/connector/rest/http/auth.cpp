// Credentials in requests, and tokens in answers.
#include <gtest/gtest.h>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/auth.hpp"

namespace insync::rest {
namespace {

using nlohmann::json;
using std::chrono::seconds;

const json credentials = {{"user", "me"},
                          {"password", "pass:wörd/+"},
                          {"token", "t0ken/+"},
                          {"client_id", "id:1"},
                          {"client_secret", "s3cret &\"/"}};

Auth auth_of(json options, const json& mapping = credentials) {
    options["base_url"] = "https://api.example.com/ords/erp/";
    OpenRequest request;
    request.server = options;
    request.credentials = mapping;
    return Auth(request, Settings(options, json::object()));
}

HttpRequest sent(const Auth& auth) {
    HttpRequest request;
    request.url = "https://api.example.com/x?a=1";
    request.headers = {{"authorization", "mine"}, {"X-Other", "1"}};
    return auth.authorized(request);
}

std::string header(const HttpRequest& request, const std::string& name) {
    std::string all;
    for (const auto& [each, value] : request.headers) {
        if (each == name) all += value;
    }
    return all;
}

HttpResponse said(long status, const std::string& body) {
    HttpResponse response;
    response.status = status;
    response.body = body;
    return response;
}

TEST(RestAuth, CredentialsStandWhereTheyBelong) {
    const HttpRequest none = sent(auth_of({{"auth", "none"}}));
    EXPECT_EQ(header(none, "authorization"), "mine");
    EXPECT_EQ(header(sent(auth_of({{"auth", "basic"}})), "Authorization"), "Basic bWU6cGFzczp3w7ZyZC8r");
    const HttpRequest bearer = sent(auth_of({{"auth", "bearer"}}));
    EXPECT_EQ(header(bearer, "Authorization"), "Bearer t0ken/+");
    EXPECT_EQ(header(bearer, "authorization"), "") << "two of them would leave it to the server";
    const HttpRequest both = sent(auth_of({{"auth", "bearer"}, {"auth_name", "apikey"}}));
    EXPECT_EQ(header(both, "Authorization"), "Bearer t0ken/+");
    EXPECT_EQ(header(both, "apikey"), "t0ken/+");
    const HttpRequest own = sent(auth_of({{"auth", "header"}, {"auth_name", "X-Token"}}));
    EXPECT_EQ(header(own, "X-Token"), "t0ken/+");
    EXPECT_EQ(header(own, "X-Other"), "1");
    const HttpRequest query = sent(auth_of({{"auth", "query"}, {"auth_name", "api key"}}));
    EXPECT_EQ(query.url, "https://api.example.com/x?a=1&api%20key=t0ken%2F%2B");
}

TEST(RestAuth, WhatIsMissingIsNamed) {
    for (const auto& [auth, missing] : {std::pair("basic", "user"),
                                        {"bearer", "token"},
                                        {"header", "token"},
                                        {"query", "token"},
                                        {"oauth2", "client_id"}}) {
        try {
            auth_of({{"auth", auth}, {"auth_name", "x"}}, json::object());
            ADD_FAILURE() << auth;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.kind, FailureClass::config);
            EXPECT_NE(failure.message.find(missing), std::string::npos) << failure.message;
        }
    }
    EXPECT_THROW(auth_of({{"auth", "header"}}), Failure);
    EXPECT_THROW(auth_of({{"auth", "magic"}}), Failure);
    EXPECT_NO_THROW(auth_of({{"auth", "basic"}}, {{"user", "key-as-a-user"}}));
}

TEST(RestAuth, TokensAreAskedForAsTheEndpointWants) {
    const HttpRequest basic = auth_of({{"auth", "oauth2"}, {"scope", "read all"}}).token_request();
    EXPECT_EQ(basic.method, "POST");
    EXPECT_EQ(basic.url, "https://api.example.com/ords/erp/oauth/token");
    EXPECT_EQ(header(basic, "Authorization"),
              "Basic aWQlM0ExOnMzY3JldCUyMCUyNiUyMiUyRg==");  // id%3A1:s3cret%20%26%22%2F
    EXPECT_EQ(header(basic, "Content-Type"), "application/x-www-form-urlencoded");
    EXPECT_EQ(*basic.body, "grant_type=client_credentials&scope=read%20all");
    const HttpRequest form =
        auth_of({{"auth", "oauth2"}, {"token_body", "form"}, {"token_url", "https://login.example.com/t"}})
            .token_request();
    EXPECT_EQ(form.url, "https://login.example.com/t");
    EXPECT_EQ(header(form, "Authorization"), "");
    EXPECT_EQ(*form.body, "grant_type=client_credentials&client_id=id%3A1&client_secret=s3cret%20%26%22%2F");
    const HttpRequest as_json = auth_of({{"auth", "oauth2"}, {"token_body", "json"}, {"scope", "x"}}).token_request();
    EXPECT_EQ(json::parse(*as_json.body), json({{"grant_type", "client_credentials"},
                                                {"client_id", "id:1"},
                                                {"client_secret", "s3cret &\"/"},
                                                {"scope", "x"}}));
}

TEST(RestAuth, ATokenIsKeptUntilShortlyBeforeItsEnd) {
    Auth auth = auth_of({{"auth", "oauth2"}});
    const auto start = Auth::Clock::now();
    EXPECT_TRUE(auth.needs_token(start));
    auth.accept_token(said(200, R"({"access_token": "new", "token_type": "Bearer", "expires_in": 3600})"), start);
    EXPECT_EQ(header(sent(auth), "Authorization"), "Bearer new");
    EXPECT_FALSE(auth.needs_token(start + seconds(3539)));
    EXPECT_TRUE(auth.needs_token(start + seconds(3541)));
    auth.accept_token(said(200, R"({"access_token": "brief", "expires_in": "10"})"), start);
    EXPECT_FALSE(auth.needs_token(start + seconds(4)));
    EXPECT_TRUE(auth.needs_token(start + seconds(6)));
    for (const char* endless : {R"({"access_token": "x"})", R"({"access_token": "x", "expires_in": null})",
                                R"({"access_token": "x", "expires_in": "never"})"}) {
        auth.accept_token(said(200, endless), start);
        EXPECT_FALSE(auth.needs_token(start + std::chrono::hours(24 * 365))) << endless;
    }
    auth.accept_token(said(200, R"({"access_token": "x", "expires_in": 1e300})"), start);
    EXPECT_FALSE(auth.needs_token(start + std::chrono::hours(24)));
    auth.forget_token();
    EXPECT_TRUE(auth.needs_token(start));
}

TEST(RestAuth, ATokenOfItsOwnHeader) {
    Auth auth = auth_of({{"auth", "oauth2"}, {"auth_name", "X-Shopify-Access-Token"}});
    auth.accept_token(said(200, R"({"access_token": "new"})"), Auth::Clock::now());
    EXPECT_EQ(header(sent(auth), "X-Shopify-Access-Token"), "new");
    EXPECT_EQ(header(sent(auth), "Authorization"), "");
}

TEST(RestAuth, RefusalsOfTheTokenEndpointAreTold) {
    const std::string deep = R"({"access_token":)" + std::string(100000, '[') + std::string(100000, ']') + "}";
    for (const auto& [status, body, told] :
         {std::tuple(401, std::string(R"({"error": "invalid_client", "error_description": "s3cret &\"/ is wrong"})"),
                     "invalid_client: *** is wrong"),
          {400, R"({"error": "invalid_client"})", "status 400 (Bad Request): invalid_client"},
          {404, "<html>no s3cret &\"/ here</html>", "<html>no *** here"},
          {200, "", "status 200"},
          {200, "[]", "[]"},
          {200, R"({"access_token": ""})", "access_token"},
          {200, R"({"access_token": {"a": 1}})", "access_token"},
          {200, deep, "[[["},
          {500, "client_secret=s3cret%20%26%22%2F", "client_secret=***"}}) {
        Auth auth = auth_of({{"auth", "oauth2"}});
        try {
            auth.accept_token(said(status, body), Auth::Clock::now());
            ADD_FAILURE() << body;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.kind, FailureClass::auth);
            EXPECT_NE(failure.detail.find(told), std::string::npos) << failure.detail;
            EXPECT_EQ(failure.detail.find("s3cret"), std::string::npos) << failure.detail;
            EXPECT_LT(failure.detail.size(), 300u);
        }
    }
}

TEST(RestAuth, SecretsAreMaskedInEveryForm) {
    const Auth basic = auth_of({{"auth", "basic"}});
    EXPECT_EQ(basic.masked(R"(pass:wörd/+ pass%3Aw%C3%B6rd%2F%2B pass:wörd\/+ bWU6cGFzczp3w7ZyZC8r me)"),
              "*** *** *** *** me");
    EXPECT_EQ(auth_of({{"auth", "bearer"}}).masked("a t0ken/+t0ken/+ b"), "a ****** b");
    EXPECT_EQ(auth_of({{"auth", "oauth2"}}).masked(R"({"secret":"s3cret &\"/"})"), R"({"secret":"***"})");
    const Auth header = auth_of({{"auth", "header"}, {"auth_name", "X-Own"}});
    EXPECT_TRUE(header.is_secret_header("x-own"));
    EXPECT_TRUE(header.is_secret_header("X-Api-Key"));
    EXPECT_TRUE(header.is_secret_header("authorization"));
    EXPECT_FALSE(header.is_secret_header("Accept"));
}

}  // namespace
}  // namespace insync::rest
