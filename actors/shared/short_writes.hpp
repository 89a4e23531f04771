#pragma once

#include "messages/write.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice {

/// Records which writes of one database are known to be short, including their COMMIT, so that a thread with other
/// duties may run the writer for them. A write is identified by its SQL. It is short if its statements are bounded by
/// their form (`executed_write::is_bounded`) and took little time lately; an unknown write is not. A slow disk may
/// still make it take longer.
///
/// The writer records durations, any thread queries them; lock-free. A statement with the same slot may overwrite a
/// record.
class short_writes {
public:
  static constexpr std::chrono::microseconds longest{200};
  /// The longest COMMIT that counts as short.
  static constexpr std::chrono::microseconds longest_commit{2'000};

  /// Records the duration of the request without its COMMIT.
  void note(const write_request& request, std::chrono::nanoseconds duration, bool is_bounded) noexcept;

  void note_commit(std::chrono::nanoseconds duration) noexcept;

  bool contains(const write_request& request) const noexcept;

  /// Forgets everything: the next writes may have to open the database first.
  void clear() noexcept;

private:
  using slot = std::atomic<uint64_t>;

  // Must be a power of two.
  static constexpr size_t size = 512;

  static uint64_t hash_of(const write_request& request) noexcept;
  static size_t index_of(uint64_t hash) noexcept { return static_cast<size_t>(hash) & (size - 1); }

  // The upper 48 bits of the hash, and microseconds.
  std::array<slot, size> slots_{};
  // A moving average in microseconds; 0 before the first.
  std::atomic<uint32_t> commit_us_{0};
};

} // namespace sluice
