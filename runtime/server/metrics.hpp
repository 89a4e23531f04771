#pragma once

#include "runtime/broker/store_status.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The metrics of a broker for Prometheus. Used by one thread.
class metrics {
public:
  metrics();
  ~metrics();

  /// One request has been answered. Methods and codes other than those of the protocol are counted as `other`, so that
  /// clients cannot create series; `code` is `ok` or the name of an `errc`.
  void observe(std::string_view method, std::string_view code, std::chrono::nanoseconds latency);

  /// All metrics in Prometheus' text format 0.0.4: the observed requests, the numbers of the broker and of each
  /// database in `status` (the answer to the method `status`), and the times of the parts of a write. Leaves out
  /// members that `status` lacks.
  std::string scrape(const nlohmann::json& status, const std::vector<database_timings>& timings = {}) const;

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace sluice
