// Sources behind ODBC drivers.
#pragma once

#include <memory>

#include "bgworker/connector/odbc/catalog.hpp"
#include "bgworker/connector/odbc/connection.hpp"
#include "bgworker/connector/odbc/plan_cache.hpp"
#include "bgworker/connector/output/source.hpp"

namespace insync::odbc {

class OdbcSource : public Source {
  public:
    nlohmann::json open(const OpenRequest& request) override;
    void check(const CheckRequest& request, FrameWriter& out) override;
    void discover(const std::string& pattern, FrameWriter& out) override;
    nlohmann::json describe(const DescribeRequest& request) override;
    nlohmann::json preview(const std::string& source, std::size_t rows, FrameWriter& out) override;
    nlohmann::json read(const ReadRequest& request, FrameWriter& out) override;
    nlohmann::json explain(const ReadRequest& request, FrameWriter& out) override;
    nlohmann::json measure(const MeasureRequest& request, FrameWriter& out) override;
    bool is_disconnected() override { return connection_ != nullptr && connection_->is_dead(); }

  private:
    void connect(const OpenRequest& request);
    Connection& connection();

    std::unique_ptr<Connection> connection_;
    PlanCache plans_;  // of this connection
};

}  // namespace insync::odbc
