// Keeps plans by what they were made for; see plan_cache.hpp.
#include "bgworker/connector/odbc/plan_cache.hpp"

#include <utility>

namespace insync::odbc {

namespace {

constexpr std::chrono::minutes longest_trust{3};

// A server's streams are fewer; where they aren't, they are asked for again.
constexpr std::size_t most_entries = 1000;

// Everything of a request that its plan depends on.
std::string key_of(const ReadRequest& request) {
    nlohmann::json key = {request.source,  request.key,       request.key_columns,   request.watermark,
                          request.version, request.page_rows, request.is_change_log, request.options};
    key.push_back(request.columns ? nlohmann::json(*request.columns) : nlohmann::json());
    return key.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

bool PlanCache::can_keep(Dialect dialect, const ReadRequest& request) const {
    if (request.full || request.key.empty() || request.page_rows == 0) return false;
    return dialect == Dialect::mysql || dialect == Dialect::postgresql || dialect == Dialect::sqlserver;
}

KnownSource* PlanCache::find(const ReadRequest& request) {
    if (request.full) return nullptr;
    const auto found = known_.find(key_of(request));
    if (found == known_.end()) return nullptr;
    if (std::chrono::steady_clock::now() - found->second.loaded < longest_trust) return &found->second;
    known_.erase(found);
    return nullptr;
}

void PlanCache::keep(const ReadRequest& request, KnownSource known) {
    if (known_.size() >= most_entries) known_.clear();
    known_.insert_or_assign(key_of(request), std::move(known));
}

void PlanCache::drop(const ReadRequest& request) {
    known_.erase(key_of(request));
}

void PlanCache::clear() {
    known_.clear();
    knows_marks = true;
}

}  // namespace insync::odbc
