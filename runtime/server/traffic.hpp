#pragma once

#include "actors/base/duration_histogram.hpp"
#include "messages/fields.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sluice {

/// The clients of a broker that serves others.
struct front_door_status {
  uint64_t connections = 0;
  uint64_t subscriptions = 0;
};

template <>
inline constexpr auto fields_of<front_door_status> =
  list_fields("front_door_status",
              named_field{"connections", &front_door_status::connections,
                          as_gauge("sluice_connections", "Clients that are connected.")},
              named_field{"subscriptions", &front_door_status::subscriptions,
                          as_gauge("sluice_subscriptions", "Subscriptions to changes of tables.")});

/// Recent requests through the front door, for `status` and `top`: agents, counts, latencies. Used by one thread.
class traffic {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// One request has been answered. `method` outlives this.
  void answered(std::string_view method, const std::string& agent, bool failed, std::chrono::nanoseconds latency,
                time_point now);

  /// {"requests", "failed", "agents":[{"agent", "requests", "failed", "idle_ms"}], "latency_us":{METHOD:{"count",
  /// "p50", "p99", "p99_9", "max"}}}: counts since the start, agents of the last minute (the busiest first, at most
  /// 1,000 are known), latencies of the last 10 to 20 seconds.
  nlohmann::json report(time_point now);

private:
  struct agent_row {
    uint64_t requests = 0;
    uint64_t failed = 0;
    time_point seen{};
  };

  using latencies = duration_counts<narrow_buckets>;

  struct window {
    latencies current;
    latencies previous;
  };

  void turn(time_point now);
  void forget_agents(time_point now);

  uint64_t requests_ = 0;
  uint64_t failed_ = 0;
  std::unordered_map<std::string, agent_row> agents_;
  std::unordered_map<std::string_view, window> methods_;
  time_point turned_{};
};

} // namespace sluice
