#include "runtime/os/heap_policy.hpp"

#include <malloc.h>

#include <atomic>
#include <chrono>
#include <semaphore>
#include <thread>

namespace sluice::heap_policy {

namespace {

using namespace std::chrono_literals;

constexpr uint64_t large = 1ULL << 20;
// Several answers in a row cause one trim; the text of an answer is freed later than its rows.
constexpr auto pause_between_trims = 1s;

std::atomic<bool> is_on{false};
std::atomic<bool> is_trim_due{false};
std::binary_semaphore trim_due{0};

} // namespace

void give_memory_back() {
  std::thread{[] {
    for (;;) {
      trim_due.acquire();
      std::this_thread::sleep_for(pause_between_trims);
      is_trim_due = false;
      malloc_trim(0);
    }
  }}.detach();
  is_on = true;
}

void released(uint64_t bytes) noexcept {
  if (bytes >= large && is_on.load(std::memory_order_relaxed) && !is_trim_due.exchange(true))
    trim_due.release();
}

void statement_ended(std::chrono::nanoseconds took) noexcept {
  constexpr auto is_long = 100ms;
  if (took >= is_long)
    released(large);
}

} // namespace sluice::heap_policy
