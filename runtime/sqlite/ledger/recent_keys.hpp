#pragma once

#include "messages/automatic_key.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace sluice::sqlite {

/// The automatic keys of the newest commits, so that the ledger does not read commit records for each request. A
/// contiguous run of commits up to the newest one, bounded in number. Used by one thread at a time.
class recent_keys {
public:
  static constexpr size_t max_commits = 512;
  static constexpr size_t max_keys = size_t{1} << 16U;

  /// Adds the commit `seq`, the next after the last one, made at `since_boot_ms`.
  void add(uint64_t seq, uint64_t since_boot_ms, std::vector<uint64_t> key_hashes);

  void clear() noexcept;

  struct answer {
    /// Commits that may have the key, the newest first.
    std::vector<uint64_t> candidates;
    /// Whether no older commit can have the key: all of them ended before the key was generated.
    bool is_complete = false;
    /// The oldest commit that was checked; nothing when there was none.
    std::optional<uint64_t> oldest_seq;
  };

  answer find(const automatic_key& key) const;

  static uint64_t hash_of(const automatic_key& key) noexcept;

private:
  struct commit {
    uint64_t seq = 0;
    uint64_t since_boot_ms = 0;
    std::vector<uint64_t> key_hashes;
  };

  std::deque<commit> commits_;
  size_t keys_ = 0;
};

} // namespace sluice::sqlite
