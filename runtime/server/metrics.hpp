#pragma once

#include "runtime/broker/store_status.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// What Prometheus is told of a broker. Used by one thread.
class metrics {
public:
  metrics();
  ~metrics();

  /// One request has been answered. Methods and codes other than those of the protocol are counted as `other`, so that
  /// clients cannot make new series; `code` is `ok` or the word of an `errc`.
  void observe(std::string_view method, std::string_view code, std::chrono::nanoseconds latency);

  /// Everything in Prometheus' text format 0.0.4: what was observed, and what `status` (the answer to the method
  /// `status`) says of the broker and of each database, and where the time of writes went. What is missing in `status`
  /// is left out.
  std::string scrape(const nlohmann::json& status, const std::vector<database_timings>& timings = {}) const;

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace sluice
