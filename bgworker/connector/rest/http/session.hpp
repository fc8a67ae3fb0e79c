// Requests as a source wants them: authorized, paced, tried again, redirected no further than to their own origin.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "bgworker/connector/output/frame_writer.hpp"
#include "bgworker/connector/output/rate_permits.hpp"
#include "bgworker/connector/output/source.hpp"
#include "bgworker/connector/rest/http/http.hpp"
#include "bgworker/connector/rest/options/effective_options.hpp"

namespace insync::rest {

class Session {
  public:
    // Reads auth, auth_name, token_url, token_body, scope, rate, pause, time-outs and the like from the settings, and
    // credentials from the request. Sends nothing. `out` gets warnings about long waits; `permits` is asked before each
    // request where there is a rate, or where the source has said that it wants a pause.
    Session(const OpenRequest& request, const Settings& settings, Permits& permits, FrameWriter& out);
    ~Session();

    // The options of a stream over those of the server, for what follows: on_status and retries.
    void use(const Settings& settings);

    // Sends a request with credentials (only to the origin of base_url, or of token_url), after a pause where one is
    // due. Tries again with doubling waits and jitter on 408, 425, 429, 5xx and lost connections, a Retry-After or
    // x-ratelimit header coming first; renews an OAuth2 token once on 401; follows redirects within the origin.
    // Returns an answer of status 2xx or 304, or one that on_status calls empty (with an empty body). Raises Failure:
    // auth (401, 403), config (404, other 4xx, a redirect or link to another origin; `{"404": "empty"}` in on_status
    // avoids it), rate_limited and transient (with the wait that the source asked for) where trying again didn't help.
    HttpResponse send(const HttpRequest& request);

    // A GraphQL answer of status 200 can say that it was throttled; the reader tells, and calls send() again.
    void wait_as_told(double seconds);

    // The source's clock in UTC, 2026-01-31T10:00:00Z, as the last answer's Date header told it and time went on since;
    // nothing before the first answer.
    std::optional<std::string> source_now() const;

    // Gets an OAuth2 token, or nothing to do: the step "login" of a check.
    void login();

    // The request as sync_explain() may show it: method, URL and headers, *** for credentials.
    std::string shown(const HttpRequest& request) const;

    std::uint64_t requests() const;
    std::uint64_t bytes_received() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace insync::rest
