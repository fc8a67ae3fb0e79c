// An HTTP server on loopback that answers as a test tells it, well or badly.
#pragma once

#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bgworker/connector/rest/http/http.hpp"

namespace insync::test {

struct ServedRequest {
    std::string method, target, body;
    rest::Headers headers;  // names in lower case

    std::string header(std::string_view name) const {
        for (const auto& [each, value] : headers) {
            if (each == name) return value;
        }
        return "";
    }
};

// Bytes as they go out, and what comes after them.
struct Answer {
    std::string bytes;
    enum class Then { keep, close, reset, stall, drip } then = Then::keep;  // drip: a byte each 20 ms, for ever
};

inline Answer answer(int status, const std::string& body = "{}", const rest::Headers& headers = {}) {
    std::string text = "HTTP/1.1 " + std::to_string(status) + " Said\r\n";
    for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
    const std::string length = "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return {text + (status == 204 || status == 304 ? "" : length) + "\r\n" + body};
}

class ScriptedServer {
  public:
    using Handler = std::function<Answer(const ServedRequest&)>;

    explicit ScriptedServer(Handler handler) : handler_(std::move(handler)) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        if (bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(listener_, 16) != 0 ||
            getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
            throw std::runtime_error("no socket to listen at");
        }
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }

    ~ScriptedServer() {
        shutdown(listener_, SHUT_RDWR);
        {
            const std::lock_guard lock(mutex_);
            if (connection_ >= 0) shutdown(connection_, SHUT_RDWR);
        }
        thread_.join();
        close(listener_);
    }

    std::string origin() const { return "http://127.0.0.1:" + std::to_string(port_); }
    std::string url(const std::string& path = "/") const { return origin() + path; }

    std::vector<ServedRequest> requests() {
        const std::lock_guard lock(mutex_);
        return requests_;
    }
    int connections() {
        const std::lock_guard lock(mutex_);
        return connections_;
    }

  private:
    void serve() {
        for (int connection; (connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
            {
                const std::lock_guard lock(mutex_);
                connection_ = connection;
                connections_++;
            }
            std::string pending;
            while (converse(connection, pending)) {
            }
            const std::lock_guard lock(mutex_);
            close(connection);
            connection_ = -1;
        }
    }

    // One exchange; false where the connection is to end.
    bool converse(int connection, std::string& pending) {
        ServedRequest request;
        if (!read_request(connection, pending, request)) return false;
        {
            const std::lock_guard lock(mutex_);
            requests_.push_back(request);
        }
        Answer answer = handler_(request);
        for (std::string_view rest = answer.bytes; !rest.empty();) {
            const ssize_t sent = send(connection, rest.data(), rest.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            rest.remove_prefix(static_cast<std::size_t>(sent));
        }
        char byte = ' ';
        switch (answer.then) {
            case Answer::Then::keep:
                return true;
            case Answer::Then::close:
                break;
            case Answer::Then::reset: {
                const linger at_once{1, 0};
                setsockopt(connection, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
                break;
            }
            case Answer::Then::stall:
                (void)!read(connection, &byte, 1);  // until the other side gives up
                break;
            case Answer::Then::drip:
                while (send(connection, &byte, 1, MSG_NOSIGNAL) == 1) usleep(20000);
                break;
        }
        return false;
    }

    static bool read_request(int connection, std::string& pending, ServedRequest& request) {
        auto fill = [&] {
            char buffer[4096];
            const ssize_t got = read(connection, buffer, sizeof buffer);
            if (got > 0) pending.append(buffer, static_cast<std::size_t>(got));
            return got > 0;
        };
        std::size_t end;
        while ((end = pending.find("\r\n\r\n")) == std::string::npos) {
            if (!fill()) return false;
        }
        const std::string head = pending.substr(0, end + 2);
        pending.erase(0, end + 4);
        std::size_t at = head.find("\r\n") + 2;
        const std::string line = head.substr(0, at - 2);
        request.method = line.substr(0, line.find(' '));
        request.target = line.substr(line.find(' ') + 1, line.rfind(' ') - line.find(' ') - 1);
        for (std::size_t next; at < head.size(); at = next + 2) {
            next = head.find("\r\n", at);
            const std::size_t colon = head.find(':', at);
            std::string name = head.substr(at, colon - at);
            for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
            const std::size_t value = std::min(head.find_first_not_of(' ', colon + 1), next);
            request.headers.emplace_back(name, head.substr(value, next - value));
        }
        const std::string length = request.header("content-length");
        const std::size_t bytes = length.empty() ? 0 : std::stoul(length);
        while (pending.size() < bytes) {
            if (!fill()) return false;
        }
        request.body = pending.substr(0, bytes);
        pending.erase(0, bytes);
        return true;
    }

    Handler handler_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::mutex mutex_;
    int connection_ = -1, connections_ = 0;
    std::vector<ServedRequest> requests_;
    std::thread thread_;
};

}  // namespace insync::test
