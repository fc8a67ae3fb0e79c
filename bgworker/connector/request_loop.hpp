// Requests from one descriptor, frames to another: the connector's whole conversation.
//
// Requests are JSON lines. One connector serves many requests over one connection, one after the other. Whatever goes
// wrong in a request becomes its error frame; only the end of the input, or "close", ends the loop.
#pragma once

#include <memory>
#include <string>

#include "bgworker/connector/output/source.hpp"

namespace insync {

class RequestLoop : private Permits {
  public:
    using MakeSource = std::unique_ptr<Source> (*)(const std::string& kind, Permits& permits, FrameWriter& out);

    RequestLoop(int input, FrameWriter::Output output, MakeSource make = make_source)
        : input_(input), out_(std::move(output)), make_(make) {}

    // Says hello and serves requests until the input ends. False: a driver has failed in a way after which nothing of
    // it may be called again, not even to disconnect.
    bool run();

  private:
    // Asks the worker, which knows of the other processes at the same server.
    std::chrono::milliseconds ask(std::chrono::milliseconds interval, std::chrono::milliseconds hold) override;
    bool read_line(std::string& line);
    void serve(const Request& request);
    Source& source();

    int input_;
    FrameWriter out_;
    MakeSource make_;
    std::string pending_;  // read, but behind the last line
    std::unique_ptr<Source> source_;
};

}  // namespace insync
