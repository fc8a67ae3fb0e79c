// Leave to send a request: the pace that all streams of a server keep together.
#pragma once

#include <chrono>

namespace insync {

class Permits {
  public:
    virtual ~Permits() = default;

    // Takes the next place in the queue of the server's requests, which follow each other at `interval`, and returns
    // how long to wait for it. `hold`: the source asked for silence, so nobody's request goes out before that.
    virtual std::chrono::milliseconds ask(std::chrono::milliseconds interval, std::chrono::milliseconds hold) = 0;
};

}  // namespace insync
