#pragma once

#include "messages/write.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice {

/// Which writes of one database are known to be short, their COMMIT included, so that a thread with other duties may
/// run the writer for them. A write is known by its SQL, and is short if its statements are bounded by their form
/// (`executed_write::is_bounded`) and took little time lately; one that was never seen is not. It may take longer than
/// expected all the same, when the disk does.
///
/// The writer notes, any thread asks; lock-free. What is noted may be lost to another statement with the same slot.
class short_writes {
public:
  static constexpr std::chrono::microseconds longest{200};
  /// Of a COMMIT.
  static constexpr std::chrono::microseconds longest_commit{2'000};

  /// The request was executed in so long, without COMMIT.
  void note(const write_request& request, std::chrono::nanoseconds duration, bool is_bounded) noexcept;

  void note_commit(std::chrono::nanoseconds duration) noexcept;

  bool contains(const write_request& request) const noexcept;

  /// The next writes may have to open the database first.
  void clear() noexcept;

private:
  using slot = std::atomic<uint64_t>;

  // A power of two.
  static constexpr size_t size = 512;

  static uint64_t hash_of(const write_request& request) noexcept;
  static size_t index_of(uint64_t hash) noexcept { return static_cast<size_t>(hash) & (size - 1); }

  // The upper 48 bits of the hash, and microseconds.
  std::array<slot, size> slots_{};
  // A moving average in microseconds; 0 before the first.
  std::atomic<uint32_t> commit_us_{0};
};

} // namespace sluice
