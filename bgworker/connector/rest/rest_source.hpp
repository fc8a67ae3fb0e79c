// JSON APIs as sources.
#pragma once

#include <memory>
#include <string>

#include "bgworker/connector/output/rate_permits.hpp"
#include "bgworker/connector/output/source.hpp"
#include "bgworker/connector/rest/discovery.hpp"
#include "bgworker/connector/rest/http/session.hpp"

namespace insync::rest {

class RestSource : public Source {
  public:
    // Both are used as long as the source lives.
    RestSource(Permits& permits, FrameWriter& out) : permits_(permits), out_(out) {}

    nlohmann::json open(const OpenRequest& request) override;
    void check(const CheckRequest& request, FrameWriter& out) override;
    void discover(const std::string& pattern, FrameWriter& out) override;
    nlohmann::json describe(const DescribeRequest& request) override;
    nlohmann::json preview(const std::string& source, std::size_t rows, FrameWriter& out) override;
    nlohmann::json read(const ReadRequest& request, FrameWriter& out) override;
    nlohmann::json explain(const ReadRequest& request, FrameWriter& out) override;
    nlohmann::json measure(const MeasureRequest& request, FrameWriter& out) override;
    // A request that was cut is sent again, so there is no connection to lose.
    bool is_disconnected() override { return false; }

  private:
    Settings settings(const nlohmann::json& stream) const { return Settings(open_.server, stream); }
    Settings settings_for(const ReadRequest& request) const;
    std::vector<std::string> catalog();
    nlohmann::json describe_as(const std::string& source, const Discovery& found) const;

    Permits& permits_;
    FrameWriter& out_;
    OpenRequest open_;
    std::unique_ptr<Session> session_;
};

}  // namespace insync::rest
