// Exchanges over libcurl; see http.hpp.
#include "bgworker/connector/rest/http/http.hpp"

#include <algorithm>
#include <exception>
#include <new>

#include <curl/curl.h>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/url.hpp"
#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/options/values_rest.hpp"

namespace insync::rest {

namespace {

using Clock = std::chrono::steady_clock;

// Of all headers of one exchange, interim answers and trailers included. Some versions of libcurl have a limit of their
// own, somewhat higher, and don't tell it from a lost connection.
constexpr std::size_t max_header_bytes = 256u << 10;
constexpr std::chrono::milliseconds tick_interval{500};

std::string host_of(const std::string& url) {
    const std::string origin = origin_of(url);
    return origin.substr(std::min(origin.find("://") + 3, origin.size()));
}

// What callbacks know of the exchange that runs.
struct Exchange {
    const HttpLimits& limits;
    const std::function<void()>& tick;
    HttpResponse response = {};
    std::size_t header_bytes = 0;
    bool is_too_large = false, has_stalled = false, is_connected = false, has_all_headers = false;
    bool refuses_local = false, is_refused = false;
    curl_off_t moved = 0;
    Clock::time_point last_moved = Clock::now(), last_tick = Clock::now();
    std::exception_ptr exception = nullptr;
};

// Runs a part of a callback: an exception may not cross libcurl, so it waits for the end of the exchange.
template <typename Part>
bool guarded(Exchange& exchange, Part part) {
    try {
        return part();
    } catch (...) {
        exchange.exception = std::current_exception();
        return false;
    }
}

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    const std::size_t bytes = size * count;
    const bool taken = guarded(exchange, [&] {
        exchange.is_too_large = bytes > exchange.limits.max_response - exchange.response.body.size();
        if (!exchange.is_too_large) exchange.response.body.append(data, bytes);
        return !exchange.is_too_large;
    });
    return taken ? bytes : CURL_WRITEFUNC_ERROR;
}

std::size_t take_header(char* data, std::size_t size, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    const std::size_t bytes = size * count;
    const bool taken = guarded(exchange, [&] {
        exchange.header_bytes += bytes;
        exchange.is_too_large = exchange.header_bytes > max_header_bytes;
        const std::string_view line = trim({data, bytes});
        // A new status line: what came before belongs to an interim answer.
        if (line.starts_with("HTTP/")) exchange.response.headers.clear();
        exchange.has_all_headers = line.empty() || (exchange.has_all_headers && !line.starts_with("HTTP/"));
        const std::size_t colon = line.find(':');
        if (colon != std::string_view::npos && colon > 0) {
            exchange.response.headers.emplace_back(to_lower(trim(line.substr(0, colon))), trim(line.substr(colon + 1)));
        }
        return !exchange.is_too_large;
    });
    return taken ? bytes : CURL_WRITEFUNC_ERROR;
}

// Called once the connection stands, be it new or kept.
int note_connected(void* user, char* address, char*, int, int) {
    auto& exchange = *static_cast<Exchange*>(user);
    // A name says nothing of where it leads; nothing has been sent yet.
    exchange.is_refused = exchange.refuses_local && is_local_address(address);
    if (exchange.is_refused) return CURL_PREREQFUNC_ABORT;
    exchange.is_connected = true;
    exchange.last_moved = Clock::now();
    return CURL_PREREQFUNC_OK;
}

// Called about once a second. libcurl's own low-speed limit measures over five seconds and knows whole seconds only.
int watch(void* user, curl_off_t, curl_off_t received, curl_off_t, curl_off_t sent) {
    auto& exchange = *static_cast<Exchange*>(user);
    const auto now = Clock::now();
    const curl_off_t moved = received + sent + static_cast<curl_off_t>(exchange.header_bytes);
    if (moved != exchange.moved) exchange.last_moved = now;
    exchange.moved = moved;
    exchange.has_stalled = exchange.is_connected && now - exchange.last_moved > exchange.limits.stall_timeout;
    if (exchange.has_stalled) return 1;
    if (!exchange.tick || now - exchange.last_tick < tick_interval) return 0;
    exchange.last_tick = now;
    return guarded(exchange,
                   [&] {
                       exchange.tick();
                       return true;
                   })
               ? 0
               : 1;
}

struct HeaderList {
    curl_slist* first = nullptr;
    ~HeaderList() { curl_slist_free_all(first); }
    void add(const std::string& line) {
        curl_slist* longer = curl_slist_append(first, line.c_str());
        if (longer == nullptr) throw std::bad_alloc();
        first = longer;
    }
};

void fill(HeaderList& list, const HttpRequest& request) {
    for (const auto& [name, value] : request.headers) {
        if (!is_header_name(name)) {
            throw Failure(FailureClass::config, "a header cannot be named " + quote_for_message(name));
        }
        // Its value may be a secret, so it isn't quoted.
        if (has_control_characters(value)) {
            throw Failure(FailureClass::config, "the value of header " + name + " holds a control character");
        }
        list.add(value.empty() ? name + ";" : name + ": " + value);
    }
    list.add("Expect:");  // a body is small: no waiting for "100 Continue"
}

std::string seconds_text(std::chrono::milliseconds duration) {
    return format_duration(duration);
}

// libcurl's own words. They name hosts and numbers; it is asked for nothing else, so no credential is in them.
std::string words_of(CURLcode code, const char* buffer) {
    std::string words = replaced_utf8(buffer[0] != '\0' ? buffer : curl_easy_strerror(code));
    for (char& c : words) c = static_cast<unsigned char>(c) < 32 || c == 127 ? ' ' : c;
    return "The transport says: " + std::string(trim(utf8_prefix(words, 300))) + ".";
}

[[noreturn]] void fail_tls(CURLcode code, const std::string& host, const std::string& words) {
    // A connection that is cut while it is being made secure gives the same code as one that speaks no TLS.
    const bool may_pass = code == CURLE_SSL_CONNECT_ERROR && words.find("version") == std::string::npos &&
                          words.find("alert") == std::string::npos && words.find("certificate") == std::string::npos;
    throw Failure(
        may_pass ? FailureClass::transient : FailureClass::config, "no secure connection to " + host, words,
        may_pass ? "" : "Option tls_ca names a file of the certificates to trust, where they are not the system's.");
}

[[noreturn]] void fail(CURLcode code, const Exchange& exchange, const std::string& url, const char* buffer) {
    const std::string host = host_of(url), words = words_of(code, buffer);
    if (exchange.is_refused) {
        throw Failure(FailureClass::config, "the source redirects to an address of this machine or its network link",
                      "It redirects to " + host + ".", "If the API is there, set the option base_url.");
    }
    if (exchange.is_too_large) {
        const std::size_t limit =
            exchange.header_bytes > max_header_bytes ? max_header_bytes : exchange.limits.max_response;
        throw Failure(FailureClass::source, "the answer of " + host + " is larger than allowed",
                      "More than " + format_size(static_cast<std::int64_t>(limit)) + " came.",
                      "Ask for smaller pages with option page_size, or raise option max_response.");
    }
    if (exchange.has_stalled) {
        throw Failure(FailureClass::transient, host + " stopped in the middle of an exchange",
                      "No byte came for " + seconds_text(exchange.limits.stall_timeout) + ".",
                      "Option stall_timeout says how long to wait for the next byte.");
    }
    switch (code) {
        case CURLE_OUT_OF_MEMORY:
            throw std::bad_alloc();
        case CURLE_URL_MALFORMAT:
        case CURLE_LOGIN_DENIED:  // user and password in the URL, which may not be quoted
            throw Failure(FailureClass::config, "the address is not a URL that can be asked", "",
                          "Options base_url and path make the URL; credentials belong to the user mapping.");
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
            throw Failure(FailureClass::config, host + " does not answer like a web server", words);
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_INVALIDCERTSTATUS:
            fail_tls(code, host, words);
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_COULDNT_CONNECT:
        case CURLE_PROXY:
            throw Failure(FailureClass::transient, "could not reach " + host, words);
        case CURLE_OPERATION_TIMEDOUT:
            if (!exchange.is_connected) {
                throw Failure(FailureClass::transient, "could not reach " + host,
                              "It did not answer within " + seconds_text(exchange.limits.connect_timeout) + ".",
                              "Option connect_timeout says how long to wait.");
            }
            throw Failure(FailureClass::transient, host + " was too slow",
                          "The answer was not complete after " + seconds_text(exchange.limits.timeout) + ".",
                          "Option timeout says how long an exchange may take.");
        case CURLE_BAD_CONTENT_ENCODING:
            throw Failure(FailureClass::source, "the answer of " + host + " cannot be unpacked", words);
        default:
            throw Failure(FailureClass::transient, "the connection to " + host + " broke", words);
    }
}

}  // namespace

bool has_header(const Headers& headers, std::string_view name) {
    return std::any_of(headers.begin(), headers.end(),
                       [&](const auto& header) { return to_lower(header.first) == name; });
}

std::optional<std::string> HttpResponse::header(std::string_view name) const {
    for (const auto& [each, value] : headers) {
        if (each == name) return value;
    }
    return std::nullopt;
}

struct HttpClient::Handle {
    CURL* easy = nullptr;
    HttpLimits limits;
    std::function<void()> tick;
    std::uint64_t requests = 0, bytes_received = 0;
    ~Handle() {
        if (easy != nullptr) curl_easy_cleanup(easy);
    }
};

HttpClient::HttpClient(const HttpLimits& limits, std::function<void()> tick) : handle_(std::make_unique<Handle>()) {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    handle_->easy = ready == CURLE_OK ? curl_easy_init() : nullptr;
    if (handle_->easy == nullptr) throw std::bad_alloc();
    handle_->limits = limits;
    handle_->tick = std::move(tick);
}

HttpClient::~HttpClient() = default;

HttpResponse HttpClient::send(const HttpRequest& request) {
    CURL* easy = handle_->easy;
    const HttpLimits& limits = handle_->limits;
    Exchange exchange{limits, handle_->tick};
    // A proxy's own address is another matter.
    exchange.refuses_local = request.refuses_local && limits.proxy.empty();
    HeaderList headers;
    char words[CURL_ERROR_SIZE] = "";
    auto set = [&](CURLoption option, auto value) {
        if (curl_easy_setopt(easy, option, value) != CURLE_OK) {
            throw Failure(FailureClass::config, "the transport does not take an option of the server",
                          "It is option " + std::to_string(option) + " of libcurl.");
        }
    };
    curl_easy_reset(easy);  // keeps connections and TLS sessions
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_ERRORBUFFER, words);
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_ACCEPT_ENCODING, "");
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // a resolver that hangs isn't waited for
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect_timeout.count()));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(limits.timeout.count()));
    set(CURLOPT_PROXY, limits.proxy.c_str());  // an empty one keeps the environment's out
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (!limits.tls_ca.empty()) set(CURLOPT_CAINFO, limits.tls_ca.c_str());
    set(CURLOPT_WRITEFUNCTION, take_body);
    set(CURLOPT_WRITEDATA, &exchange);
    set(CURLOPT_HEADERFUNCTION, take_header);
    set(CURLOPT_HEADERDATA, &exchange);
    set(CURLOPT_PREREQFUNCTION, note_connected);
    set(CURLOPT_PREREQDATA, &exchange);
    set(CURLOPT_XFERINFOFUNCTION, watch);
    set(CURLOPT_XFERINFODATA, &exchange);
    set(CURLOPT_NOPROGRESS, 0L);

    if (!is_header_name(request.method)) {
        throw Failure(FailureClass::config, "there is no method " + quote_for_message(request.method));
    }
    set(CURLOPT_URL, request.url.c_str());
    fill(headers, request);
    set(CURLOPT_HTTPHEADER, headers.first);
    if (request.body) {
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
        set(CURLOPT_POSTFIELDS, request.body->c_str());
    }
    if (request.method == "HEAD") {
        set(CURLOPT_NOBODY, 1L);
    } else if (request.method != (request.body ? "POST" : "GET")) {
        set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }

    handle_->requests++;
    const CURLcode code = curl_easy_perform(easy);
    curl_off_t received = 0;
    if (curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &received) == CURLE_OK && received > 0) {
        handle_->bytes_received += static_cast<std::uint64_t>(received);
    }
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &exchange.response.status);
    // What the handle points to ends with this function.
    curl_easy_reset(easy);
    if (exchange.exception) std::rethrow_exception(exchange.exception);
    if (code != CURLE_OK) fail(code, exchange, request.url, words);
    // A connection that ends among the headers is an answer without a body to libcurl.
    if (!exchange.has_all_headers) fail(CURLE_PARTIAL_FILE, exchange, request.url, "");
    exchange.response.url = request.url;
    return std::move(exchange.response);
}

std::uint64_t HttpClient::requests() const {
    return handle_->requests;
}

std::uint64_t HttpClient::bytes_received() const {
    return handle_->bytes_received;
}

}  // namespace insync::rest
