#include "runtime/sqlite/ledger/recent_keys.hpp"

#include <algorithm>
#include <utility>

namespace sluice::sqlite {

void recent_keys::add(uint64_t seq, uint64_t since_boot_ms, std::vector<uint64_t> key_hashes) {
  keys_ += key_hashes.size();
  commits_.push_back({seq, since_boot_ms, std::move(key_hashes)});
  while (commits_.size() > max_commits || (keys_ > max_keys && commits_.size() > 1)) {
    keys_ -= commits_.front().key_hashes.size();
    commits_.pop_front();
  }
}

void recent_keys::clear() noexcept {
  commits_.clear();
  keys_ = 0;
}

recent_keys::answer recent_keys::find(const automatic_key& key) const {
  answer result;
  auto hash = hash_of(key);
  for (auto commit = commits_.rbegin(); commit != commits_.rend(); ++commit) {
    if (commit->since_boot_ms < key.since_boot_ms) {
      result.is_complete = true;
      break;
    }
    result.oldest_seq = commit->seq;
    if (std::find(commit->key_hashes.begin(), commit->key_hashes.end(), hash) != commit->key_hashes.end())
      result.candidates.push_back(commit->seq);
  }
  return result;
}

uint64_t recent_keys::hash_of(const automatic_key& key) noexcept {
  // Odd factors separate keys of one session; keys of different sessions differ by a random number.
  return key.session + key.counter * 0x9e3779b97f4a7c15U + key.since_boot_ms * 0xc2b2ae3d27d4eb4fU;
}

} // namespace sluice::sqlite
