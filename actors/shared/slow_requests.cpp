#include "actors/shared/slow_requests.hpp"

#include "actors/base/utf8_text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace sluice {

namespace {

constexpr int64_t warning_interval_us = 1'000'000;
constexpr size_t max_noted_sql = 1'000;

bool slower(const slow_request& a, const slow_request& b) noexcept { return a.total_us > b.total_us; }

uint64_t us(std::chrono::milliseconds time) noexcept { return static_cast<uint64_t>(time.count()) * 1'000; }

std::string seconds(uint64_t us) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", static_cast<double>(us) / 1e6);
  return text.data();
}

} // namespace

slow_requests::slow_requests(slow_limits limits) : limits_(limits), notable_from_(least.count()) {}

bool slow_requests::passes_a_limit(const slow_request& request) const noexcept {
  return request.queue_us > us(limits_.queue) || request.execute_us > us(limits_.execution);
}

void slow_requests::add(slow_request request) {
  auto warned = passes_a_limit(request);
  if (warned) {
    warnings_.fetch_add(1, std::memory_order_relaxed);
    warn(request);
  }
  if (would_keep(request.total_us))
    keep(std::move(request));
}

void slow_requests::keep(slow_request request) {
  std::lock_guard guard{mutex_};
  kept_.insert(std::upper_bound(kept_.begin(), kept_.end(), request, slower), std::move(request));
  if (kept_.size() > capacity)
    kept_.pop_back();
  if (kept_.size() < capacity)
    return;
  auto from = kept_.back().total_us + 1;
  keep_from_.store(from, std::memory_order_relaxed);
  // A request over a limit is reported, even when slower ones are kept.
  auto limit = std::min(us(limits_.queue), us(limits_.execution)) + 1;
  notable_from_.store(static_cast<int64_t>(std::min(from, limit)), std::memory_order_relaxed);
}

void slow_requests::warn(const slow_request& request) {
  std::lock_guard guard{listener_mutex_};
  // A clock that was set back must not suppress warnings.
  if (request.ts_us >= last_warning_us_ && request.ts_us - last_warning_us_ < warning_interval_us) {
    ++unreported_;
    return;
  }
  last_warning_us_ = request.ts_us;
  auto text = "slow " + request.operation + " by " + request.agent + " on " + request.db + ": "
              + seconds(request.total_us) + " in all, " + seconds(request.queue_us) + " in the queue, "
              + seconds(request.lock_us) + " for the lock, " + seconds(request.execute_us) + " in execution, "
              + seconds(request.commit_us) + " for the commit; " + request.status + ", request " + request.request_id;
  if (auto left_out = std::exchange(unreported_, 0); left_out > 0)
    text += "; " + std::to_string(left_out) + " more slow requests since the last warning";
  if (listener_)
    listener_(text, request.agent);
}

std::vector<slow_request> slow_requests::slowest() const {
  std::lock_guard guard{mutex_};
  return kept_;
}

void slow_requests::on_warning(listener f) {
  std::lock_guard guard{listener_mutex_};
  listener_ = std::move(f);
}

std::string abbreviated_sql(std::span<const statement> statements) {
  std::string text;
  for (const auto& statement : statements) {
    text += text.empty() ? "" : "; ";
    text.append(statement.sql.str(), 0, max_noted_sql + 1);
    if (text.size() > max_noted_sql)
      break;
  }
  text.resize(utf8_prefix(text, max_noted_sql).size());
  return text;
}

} // namespace sluice
