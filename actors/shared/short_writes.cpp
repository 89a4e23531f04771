#include "actors/shared/short_writes.hpp"

#include <algorithm>

namespace sluice {

namespace {

constexpr uint64_t time_bits = 16;
constexpr uint64_t max_time = (uint64_t{1} << time_bits) - 1;

uint64_t to_us(std::chrono::nanoseconds duration) noexcept {
  auto us = std::chrono::ceil<std::chrono::microseconds>(duration).count();
  return static_cast<uint64_t>(std::clamp<int64_t>(us, 1, static_cast<int64_t>(max_time)));
}

} // namespace

uint64_t short_writes::hash_of(const write_request& request) noexcept {
  // FNV-1a over the hashes of the statements; its lower bits choose the slot.
  uint64_t result = 14'695'981'039'346'656'037ULL;
  for (const auto& statement : request.statements)
    result = (result ^ statement.sql.hash()) * 1'099'511'628'211ULL;
  return result ^ (result >> 32);
}

void short_writes::note(const write_request& request, std::chrono::nanoseconds duration, bool is_bounded) noexcept {
  auto hash = hash_of(request);
  auto& slot = slots_[index_of(hash)];
  auto before = slot.load(std::memory_order_relaxed);
  auto is_same = before >> time_bits == hash >> time_bits;
  auto us = is_bounded ? to_us(duration) : max_time;
  // A moving average: several short durations are needed to lower it after a long one.
  if (is_same && is_bounded) {
    auto faded = before & max_time;
    us = std::max(us, faded - faded / 8);
  }
  slot.store((hash >> time_bits << time_bits) | us, std::memory_order_relaxed);
}

void short_writes::note_commit(std::chrono::nanoseconds duration) noexcept {
  auto us = static_cast<uint32_t>(to_us(duration));
  auto before = commit_us_.load(std::memory_order_relaxed);
  commit_us_.store(before == 0 ? us : std::max<uint32_t>(1, before - before / 8 + us / 8), std::memory_order_relaxed);
}

bool short_writes::contains(const write_request& request) const noexcept {
  auto commit = commit_us_.load(std::memory_order_relaxed);
  if (commit == 0 || commit > static_cast<uint64_t>(longest_commit.count()))
    return false;
  auto hash = hash_of(request);
  auto known = slots_[index_of(hash)].load(std::memory_order_relaxed);
  return known >> time_bits == hash >> time_bits && (known & max_time) <= static_cast<uint64_t>(longest.count());
}

void short_writes::clear() noexcept {
  for (auto& slot : slots_)
    slot.store(0, std::memory_order_relaxed);
}

} // namespace sluice
