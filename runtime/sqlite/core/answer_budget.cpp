#include "runtime/sqlite/core/answer_budget.hpp"

#include "runtime/os/heap_policy.hpp"

#include <string>

namespace sluice {

namespace {

constexpr uint64_t bytes_per_step = 64ULL << 10;
constexpr uint32_t retry_for_bytes_after_ms = 250;

} // namespace

bool answer_budget::share::grow(uint64_t bytes) noexcept {
  auto wanted = (bytes / bytes_per_step + 1) * bytes_per_step;
  auto more = wanted - held_;
  auto before = of_->used_.fetch_add(more, std::memory_order_relaxed);
  if (before + more > of_->max_bytes_) {
    of_->used_.fetch_sub(more, std::memory_order_relaxed);
    return false;
  }
  held_ = wanted;
  return true;
}

caf::error answer_budget::used_up() const {
  return make_error(
    errc::overloaded,
    "the answers under way take all of the " + std::to_string(max_bytes_)
      + " bytes that they may (max_inflight_answer_bytes, cache_max_bytes); try again, or ask for fewer rows",
    {.retry_after_ms = retry_for_bytes_after_ms});
}

void answer_budget::share::shrink_to(uint64_t bytes) noexcept {
  if (bytes >= held_)
    return;
  auto returned = held_ - bytes;
  of_->used_.fetch_sub(returned, std::memory_order_relaxed);
  held_ = bytes;
  if (bytes == 0)
    heap_policy::released(returned);
}

std::shared_ptr<answer_budget> make_answer_budget(const broker_config& config) {
  return std::make_shared<answer_budget>(config.max_inflight_answer_bytes
                                         + (config.cache ? config.cache_max_bytes : 0));
}

std::shared_ptr<answer_budget> given_or_own(std::shared_ptr<answer_budget> given, const broker_config& config) {
  return given ? std::move(given) : make_answer_budget(config);
}

} // namespace sluice
