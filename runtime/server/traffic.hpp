#pragma once

#include "messages/fields.hpp"

#include <nlohmann/json_fwd.hpp>

#include <array>
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

/// Counts durations in buckets whose width grows with them, an eighth of an octave each, as HdrHistogram does: any
/// quantile is exact to 13 %, whatever the range. 1 us to 2.5 hours; what is beyond is counted at the end.
class latency_histogram {
public:
  void add(std::chrono::nanoseconds x) noexcept;
  void clear() noexcept;
  void add(const latency_histogram& other) noexcept;

  uint64_t count() const noexcept { return count_; }

  /// The upper end of the bucket that holds the quantile `q` (0 to 1), in microseconds; 0 when there is none.
  double quantile_us(double q) const noexcept;

private:
  static constexpr size_t steps = 8;
  static constexpr size_t octaves = 33;

  std::array<uint32_t, steps * octaves> buckets_{};
  uint64_t count_ = 0;
};

/// What came through the front door of late, for people who watch it: which agents, how many requests, how fast. Used
/// by one thread.
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

  struct window {
    latency_histogram current;
    latency_histogram previous;
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
