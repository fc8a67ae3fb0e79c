// One HTTP exchange after another over one kept connection; what libcurl does, with limits.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace insync::rest {

using Headers = std::vector<std::pair<std::string, std::string>>;

// Whether there is a header of that name (in lower case), however it is written.
bool has_header(const Headers& headers, std::string_view name);

struct HttpRequest {
    std::string method = "GET";
    std::string url;
    Headers headers;
    std::optional<std::string> body;
    bool refuses_local = false;  // not to be sent to this machine or its own link, whatever the name stands for
    std::vector<long> accepted;  // further statuses that Session::send() returns as they are, such as 400
    bool accepts_any = false;    // all of them
};

struct HttpResponse {
    long status = 0;
    Headers headers;  // names in lower case
    std::string body;
    std::string url;  // that it came from, after redirects

    // The first header of that name (in lower case).
    std::optional<std::string> header(std::string_view name) const;
};

struct HttpLimits {
    std::chrono::milliseconds connect_timeout{15000};
    std::chrono::milliseconds timeout{600000};       // for a whole exchange
    std::chrono::milliseconds stall_timeout{60000};  // without a byte
    std::size_t max_response = 64u << 20;            // bytes of a body, unpacked
    std::string tls_ca;                              // file of certificates in place of the system's
    std::string proxy;
};

class HttpClient {
  public:
    // `tick` is called about once a second while an exchange runs, for who has to tell that it still does.
    explicit HttpClient(const HttpLimits& limits, std::function<void()> tick = {});
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // Sends the request and returns whatever the server answers, redirects as they are. http and https only, TLS
    // verified, HTTP/2 where offered, compression. Raises Failure: transient where there was no whole answer (not
    // reached, cut, stalled, too slow), source where the body is larger than allowed, config where TLS or the URL is
    // wrong or leads to an address that it refuses. The message names host and cause, never a credential.
    HttpResponse send(const HttpRequest& request);

    std::uint64_t requests() const;        // sent so far
    std::uint64_t bytes_received() const;  // of bodies, as they came over the wire

  private:
    struct Handle;
    std::unique_ptr<Handle> handle_;
};

}  // namespace insync::rest
