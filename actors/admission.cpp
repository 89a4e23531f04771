#include "actors/admission.hpp"

#include <algorithm>

namespace sluice {

namespace {

// An agent that has nothing queued keeps its slot, for it will be back; only a crowd of names is worth clearing.
constexpr size_t max_idle_agents = 4'096;

} // namespace

std::optional<failure> admission::admit(const std::string& agent, uint64_t bytes) {
  std::lock_guard guard{mutex_};
  if (bytes > limits_.max_bytes / 4) {
    ++refused_;
    failure x;
    x.code = errc::too_large;
    x.message = "the request has " + std::to_string(bytes) + " bytes; at most " + std::to_string(limits_.max_bytes / 4)
                + " may wait for one agent";
    return x;
  }
  if (agents_.size() > max_idle_agents)
    std::erase_if(agents_, [](const auto& entry) { return entry.second.requests == 0; });
  auto& own = agents_[agent];
  auto refusal = [&](const char* what) {
    ++refused_;
    return overloaded(what);
  };
  if (total_.requests + 1 > limits_.max_requests || total_.bytes + bytes > limits_.max_bytes)
    return refusal("the write queue of this database is full");
  if (own.requests + 1 > std::max<uint64_t>(1, limits_.max_requests / 4) || own.bytes + bytes > limits_.max_bytes / 4)
    return refusal("this agent's share of the write queue is full");
  ++total_.requests;
  total_.bytes += bytes;
  ++own.requests;
  own.bytes += bytes;
  return std::nullopt;
}

void admission::release(const std::string& agent, uint64_t bytes) {
  std::lock_guard guard{mutex_};
  auto own = agents_.find(agent);
  if (own == agents_.end() || own->second.requests == 0)
    return;
  --total_.requests;
  total_.bytes -= bytes;
  --own->second.requests;
  own->second.bytes -= bytes;
}

void admission::served(uint64_t count, std::chrono::nanoseconds elapsed) {
  if (count == 0)
    return;
  std::lock_guard guard{mutex_};
  auto latest = static_cast<double>(elapsed.count()) / static_cast<double>(count);
  ns_per_request_ = 0.8 * ns_per_request_ + 0.2 * latest;
}

admission::usage admission::queued() const {
  std::lock_guard guard{mutex_};
  return total_;
}

uint64_t admission::refused() const {
  std::lock_guard guard{mutex_};
  return refused_;
}

failure admission::overloaded(const char* what) const {
  failure x;
  x.code = errc::overloaded;
  x.message = what;
  // Half of the queue should have drained by then.
  auto drain_ms = ns_per_request_ * static_cast<double>(total_.requests) / 2 / 1e6;
  x.retry_after_ms = static_cast<uint32_t>(std::clamp(drain_ms, 10.0, 5'000.0));
  return x;
}

} // namespace sluice
