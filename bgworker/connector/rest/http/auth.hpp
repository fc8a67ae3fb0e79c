// Who sends a request: credentials of the user mapping and where they stand, and OAuth2 tokens (client credentials).
//
// Nothing is sent from here; the session sends what token_request() says and hands the answer in.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/connector/output/source.hpp"
#include "bgworker/connector/rest/http/http.hpp"
#include "bgworker/connector/rest/options/effective_options.hpp"

namespace insync::rest {

class Auth {
  public:
    using Clock = std::chrono::steady_clock;

    // Options auth, auth_name, token_url, token_body and scope, with the credentials of the user mapping. Raises
    // Failure (config) where one of them is missing.
    //   basic: user and password. bearer: token, in Authorization and in the header auth_name as well. header, query:
    //   token, as the header or parameter auth_name. oauth2: client_id and client_secret; the token they give stands in
    //   Authorization, or in the header auth_name in its place.
    Auth(const OpenRequest& request, const Settings& settings);

    // True if requests carry something that another server mustn't see.
    bool sends_credentials() const { return kind_ != Kind::none; }

    // The request with credentials. There has to be a token where one is needed.
    HttpRequest authorized(HttpRequest request) const;

    // True if a token has to be got before a request can be sent.
    bool needs_token(Clock::time_point now) const;
    // True if another token may help where this one was refused.
    bool can_renew() const { return kind_ == Kind::oauth2; }
    void forget_token() { token_.clear(); }
    HttpRequest token_request() const;
    // Takes the token of an answer, whatever its status. Raises Failure (auth) where there is none in it.
    void accept_token(const HttpResponse& response, Clock::time_point now);

    // `text` with *** in place of each secret, in whatever form it stands there.
    std::string masked(std::string text) const;
    // Names of parameters and headers whose values are secrets.
    std::vector<std::string> secret_parameters() const;
    bool is_secret_header(std::string_view name) const;

  private:
    enum class Kind { none, basic, bearer, header, query, oauth2 };

    std::vector<std::string> secrets() const;

    Kind kind_ = Kind::none;
    std::string name_;                      // auth_name
    std::string user_, password_, client_;  // of the mapping; password_ is the client's secret, too
    std::string token_;                     // of the mapping, or the one that OAuth2 gave; empty: none yet
    std::optional<Clock::time_point> expires_;
    std::string token_url_, token_body_, scope_;
};

}  // namespace insync::rest
