// What a kind of source has to offer. The request loop knows only this, so that another kind comes beside ODBC without
// a change there.
//
// Every function may raise Failure; the connector then answers with an error frame and waits for the next request.
// Functions that read send their frames through the writer they were given and return the members of the done frame.
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "bgworker/connector/output/frame_writer.hpp"
#include "bgworker/connector/output/rate_permits.hpp"
#include "bgworker/protocol/request.hpp"

namespace insync {

class Source {
  public:
    virtual ~Source() = default;

    // Connects; what the source says of itself (dbms, version, driver, database, source_now).
    virtual nlohmann::json open(const OpenRequest& request) = 0;

    // Connects step by step and reports each step as a result frame, up to the first that fails; further frames may
    // come of what is read.
    virtual void check(const CheckRequest& request, FrameWriter& out) = 0;

    // One result frame for each table and view whose name matches the LIKE pattern.
    virtual void discover(const std::string& pattern, FrameWriter& out) = 0;

    virtual nlohmann::json describe(const DescribeRequest& request) = 0;

    // Columns and at most `rows` rows.
    virtual nlohmann::json preview(const std::string& source, std::size_t rows, FrameWriter& out) = 0;

    // Columns, then rows, rejects and positions.
    virtual nlohmann::json read(const ReadRequest& request, FrameWriter& out) = 0;

    // The statements that read() would send, and their bounds.
    virtual nlohmann::json explain(const ReadRequest& request, FrameWriter& out) = 0;

    // One result frame for each group of rows: how many they are, and what else was asked for. The done frame names the
    // formats (bgworker/canonical_text.hpp) of what was hashed.
    virtual nlohmann::json measure(const MeasureRequest& request, FrameWriter& out) = 0;

    // True once the connection was found dead; open() again then.
    virtual bool is_disconnected() = 0;
};

// The source of the given kind ("odbc", "rest"), which asks `permits` before its requests and logs to `out`; raises
// Failure (config) for any other word.
std::unique_ptr<Source> make_source(const std::string& kind, Permits& permits, FrameWriter& out);

}  // namespace insync
