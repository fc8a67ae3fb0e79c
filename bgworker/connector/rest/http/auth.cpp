// Puts credentials into requests and takes tokens out of answers; see auth.hpp.
#include "bgworker/connector/rest/http/auth.hpp"

#include <algorithm>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/answer_excerpt.hpp"
#include "bgworker/connector/rest/http/url.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/options/values_rest.hpp"

namespace insync::rest {

namespace {

std::string base64(std::string_view text) {
    constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string encoded;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        std::uint32_t bits = 0;
        for (std::size_t j = 0; j < 3; j++) {
            bits = bits << 8 | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0u);
        }
        for (std::size_t j = 0; j < 4; j++) {
            encoded += i + j > text.size() ? '=' : digits[bits >> (18 - 6 * j) & 63];
        }
    }
    return encoded;
}

std::string as_json(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A member of a token endpoint's answer as text.
std::string member(const nlohmann::json& answer, const char* name) {
    const auto found = answer.find(name);
    if (found == answer.end() || found->is_null() || found->is_structured()) return "";
    return found->is_string() ? found->get<std::string>() : found->dump();
}

void replace_all(std::string& text, const std::string& secret) {
    for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos; at += 3) {
        text.replace(at, secret.size(), "***");
    }
}

// A header of that name that was given otherwise gives way.
void set_header(HttpRequest& request, const std::string& name, const std::string& value) {
    std::erase_if(request.headers, [&](const auto& header) { return to_lower(header.first) == to_lower(name); });
    request.headers.emplace_back(name, value);
}

constexpr std::size_t largest_token_answer = 1u << 20;

}  // namespace

Auth::Auth(const OpenRequest& request, const Settings& settings)
    : name_(settings.text("auth_name")), token_body_(settings.text("token_body")), scope_(settings.text("scope")) {
    const std::string auth = settings.text("auth");
    if (auth == "basic") {
        kind_ = Kind::basic;
    } else if (auth == "bearer") {
        kind_ = Kind::bearer;
    } else if (auth == "header") {
        kind_ = Kind::header;
    } else if (auth == "query") {
        kind_ = Kind::query;
    } else if (auth == "oauth2") {
        kind_ = Kind::oauth2;
    } else if (!auth.empty() && auth != "none") {
        throw Failure(FailureClass::config, "there is no kind of authorization " + quote_for_message(auth));
    }
    auto needed = [&](const char* name) {
        std::string value = member(request.credentials, name);
        if (value.empty()) {
            throw Failure(FailureClass::config, "auth \"" + auth + "\" needs " + name + " in the user mapping", "",
                          std::string("CREATE USER MAPPING FOR ... SERVER ... OPTIONS (") + name + " '...');");
        }
        return value;
    };
    if (kind_ == Kind::basic) {
        user_ = needed("user");
        password_ = member(request.credentials, "password");  // some API keys are a user without one
    } else if (kind_ == Kind::oauth2) {
        client_ = needed("client_id");
        password_ = needed("client_secret");
        const std::string url = settings.text("token_url");
        token_url_ = join_url(settings.text("base_url"), url.empty() ? "oauth/token" : url);
    } else if (kind_ != Kind::none) {
        token_ = needed("token");
    }
    if ((kind_ == Kind::header || kind_ == Kind::query) && name_.empty()) {
        throw Failure(FailureClass::config, "auth \"" + auth + "\" needs the option auth_name", "",
                      "It names the header or parameter that takes the token.");
    }
}

HttpRequest Auth::authorized(HttpRequest request) const {
    switch (kind_) {
        case Kind::none:
            break;
        case Kind::basic:
            set_header(request, "Authorization", "Basic " + base64(user_ + ":" + password_));
            break;
        case Kind::bearer:
            set_header(request, "Authorization", "Bearer " + token_);
            if (!name_.empty()) set_header(request, name_, token_);
            break;
        case Kind::header:
            set_header(request, name_, token_);
            break;
        case Kind::query:
            request.url = with_parameters(request.url, {{name_, token_}});
            break;
        case Kind::oauth2:
            if (name_.empty()) {
                set_header(request, "Authorization", "Bearer " + token_);
            } else {
                set_header(request, name_, token_);
            }
            break;
    }
    return request;
}

bool Auth::needs_token(Clock::time_point now) const {
    return kind_ == Kind::oauth2 && (token_.empty() || (expires_ && now >= *expires_));
}

HttpRequest Auth::token_request() const {
    HttpRequest request;
    request.method = "POST";
    request.url = token_url_;
    request.headers.emplace_back("Accept", "application/json");
    if (token_body_ == "json") {
        std::string scope = scope_.empty() ? "" : ",\"scope\":" + as_json(scope_);
        request.headers.emplace_back("Content-Type", "application/json");
        request.body = "{\"grant_type\":\"client_credentials\",\"client_id\":" + as_json(client_) +
                       ",\"client_secret\":" + as_json(password_) + scope + "}";
        return request;
    }
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    std::string body = "grant_type=client_credentials";
    if (token_body_ == "form") {
        body += "&client_id=" + percent_encode(client_) + "&client_secret=" + percent_encode(password_);
    } else {
        // RFC 6749, 2.3.1: both are encoded first.
        request.headers.emplace_back("Authorization",
                                     "Basic " + base64(percent_encode(client_) + ":" + percent_encode(password_)));
    }
    if (!scope_.empty()) body += "&scope=" + percent_encode(scope_);
    request.body = std::move(body);
    return request;
}

void Auth::accept_token(const HttpResponse& response, Clock::time_point now) {
    token_.clear();
    expires_.reset();
    const bool is_small = response.body.size() <= largest_token_answer;
    const auto answer = nlohmann::json::parse(is_small ? response.body : "", nullptr, false);
    const bool is_object = answer.is_object();
    const std::string token = is_object ? member(answer, "access_token") : "";
    if (response.status / 100 == 2 && !token.empty()) {
        token_ = token;
        double seconds = 0;
        try {
            seconds = std::stod(member(answer, "expires_in"));
        } catch (const std::exception&) {  // none, or none that is a number: until it is refused
        }
        // A minute early, so that it doesn't expire on its way; a token that lives for minutes keeps half its time.
        if (seconds > 0) {
            const double used = std::min(seconds, 365 * 86400.0);
            expires_ = now + std::chrono::milliseconds(static_cast<std::int64_t>(1000 * std::max(used - 60, used / 2)));
        }
        return;
    }
    const std::string error = is_object ? member(answer, "error") : "";
    const std::string description = is_object ? member(answer, "error_description") : "";
    std::string said = quoted_text(masked(error + (error.empty() || description.empty() ? "" : ": ") + description));
    if (said.empty()) said = quoted_text(masked(response.body.substr(0, longest_masked)));
    throw Failure(FailureClass::auth, "the token endpoint gave no token",
                  "It answered " + status_text(response.status) + (said.empty() ? "" : ": " + said) + ".",
                  "Check token_url, token_body and scope of the server, and client_id and client_secret of the user "
                  "mapping.");
}

std::vector<std::string> Auth::secrets() const {
    std::vector<std::string> all;
    for (const std::string& secret : {password_, token_}) {
        if (secret.empty()) continue;
        const std::string json = as_json(secret);
        std::string slashes;  // as some write them in JSON
        for (char c : json.substr(1, json.size() - 2)) slashes += c == '/' ? "\\/" : std::string(1, c);
        all.insert(all.end(),
                   {secret, percent_encode(secret), json.substr(1, json.size() - 2), slashes, base64(secret)});
    }
    if (!password_.empty()) {
        all.push_back(base64((kind_ == Kind::basic ? user_ : percent_encode(client_)) + ":" +
                             (kind_ == Kind::basic ? password_ : percent_encode(password_))));
    }
    // A secret can be a part of another.
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
    return all;
}

std::string Auth::masked(std::string text) const {
    for (const std::string& secret : secrets()) replace_all(text, secret);
    return text;
}

std::vector<std::string> Auth::secret_parameters() const {
    return kind_ == Kind::query ? std::vector<std::string>{name_} : std::vector<std::string>{};
}

bool Auth::is_secret_header(std::string_view name) const {
    // What a DBA put among the headers is shown, unless it looks like a credential.
    return to_lower(name) == to_lower(name_) || is_secret_header_name(name);
}

}  // namespace insync::rest
