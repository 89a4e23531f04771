#include "runtime/server/traffic.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <vector>

namespace sluice {

namespace {

constexpr std::chrono::seconds window_length{10};
constexpr std::chrono::seconds agent_memory{60};
constexpr size_t max_agents = 1'000;

} // namespace

void traffic::answered(std::string_view method, const std::string& agent, bool failed, std::chrono::nanoseconds latency,
                       time_point now) {
  turn(now);
  ++requests_;
  failed_ += failed ? 1 : 0;
  methods_[method].current.add(latency);
  if (agent.empty())
    return;
  if (agents_.size() >= max_agents && !agents_.contains(agent))
    forget_agents(now);
  auto& row = agents_[agent];
  ++row.requests;
  row.failed += failed ? 1 : 0;
  row.seen = now;
}

void traffic::turn(time_point now) {
  if (now - turned_ < window_length)
    return;
  auto stale = now - turned_ >= 2 * window_length;
  for (auto& [name, entry] : methods_) {
    entry.previous = stale ? latencies{} : entry.current;
    entry.current = {};
  }
  turned_ = now;
}

void traffic::forget_agents(time_point now) {
  std::erase_if(agents_, [&](const auto& x) { return now - x.second.seen > agent_memory; });
  if (agents_.size() < max_agents)
    return;
  auto oldest = std::min_element(agents_.begin(), agents_.end(),
                                 [](const auto& a, const auto& b) { return a.second.seen < b.second.seen; });
  agents_.erase(oldest);
}

nlohmann::json traffic::report(time_point now) {
  using nlohmann::json;
  turn(now);
  std::vector<std::pair<std::string, agent_row>> recent;
  for (const auto& entry : agents_)
    if (now - entry.second.seen <= agent_memory)
      recent.emplace_back(entry);
  std::sort(recent.begin(), recent.end(),
            [](const auto& a, const auto& b) { return a.second.requests > b.second.requests; });
  auto agents = json::array();
  for (const auto& [name, row] : recent)
    agents.push_back({{"agent", name},
                      {"requests", row.requests},
                      {"failed", row.failed},
                      {"idle_ms", std::chrono::duration_cast<std::chrono::milliseconds>(now - row.seen).count()}});
  auto latency_us = json::object();
  for (const auto& [name, entry] : methods_) {
    auto both = entry.current;
    both.add(entry.previous);
    auto us = [&](double q) { return std::chrono::duration<double, std::micro>{both.quantile(q)}.count(); };
    if (both.count() > 0)
      latency_us[std::string{name}] = {
        {"count", both.count()}, {"p50", us(0.5)}, {"p99", us(0.99)}, {"p99_9", us(0.999)}, {"max", us(1)}};
  }
  return {
    {"requests", requests_}, {"failed", failed_}, {"agents", std::move(agents)}, {"latency_us", std::move(latency_us)}};
}

} // namespace sluice
