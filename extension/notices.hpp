// What a statement tells the client beside its result.
#pragma once

#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"

namespace insync {

// A NOTICE; an empty hint is none.
void notice(const std::string& text, const std::string& hint = "");

// While there is one, what notice() would say is kept instead.
class NoticeList {
  public:
    NoticeList();
    ~NoticeList();
    NoticeList(const NoticeList&) = delete;
    NoticeList& operator=(const NoticeList&) = delete;
    // Without hints, separated by semicolons; NULL if nothing was said.
    pg::Value text() const;

  private:
    friend void notice(const std::string& text, const std::string& hint);
    std::string text_;
    NoticeList* outer_;
};

// matching_streams() for a user's own pattern: says so where there are none.
std::vector<std::string> chosen_streams(const std::string& pattern, Access access = Access::own);

// Says what require_workers() would raise: what was asked for is right, but no worker will do it.
void tell_missing_workers();

// Tells who runs the stream, where that isn't the workers by a schedule.
void tell_how_it_runs(const Stream& stream);

}  // namespace insync
