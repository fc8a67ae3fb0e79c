// The settings (GUCs) of the extension, insync.*.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace insync::settings {

// Defines them; called from _PG_init. `preloaded`: the library is being loaded by the postmaster, so those that size
// shared memory can still be set.
void define(bool preloaded);

std::string connector_path();           // the connector program
std::int64_t connector_memory_bytes();  // address space that it may use; 0: no limit
std::uint32_t frame_limit_bytes();      // the longest frame that the worker takes from it
std::int64_t max_value_bytes();         // the longest value of a row; longer ones are rejected
int batch_rows();
std::int64_t batch_bytes();
std::chrono::milliseconds connect_timeout();
std::chrono::milliseconds query_timeout();
std::chrono::milliseconds linger();  // how near the next run must be for a worker to wait for it
int max_workers();
int max_streams();
std::vector<std::string> databases();  // whose streams run; a single "*": all databases
std::vector<std::string> allowed_drivers();
bool driver_allowed(const std::string& driver);
std::string odbc_drivers();

}  // namespace insync::settings
