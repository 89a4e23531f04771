#pragma once

#include "tests/support/fake_clock.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::simulation {

/// The events in order: as a hash that distinguishes two runs, and on demand as text, a line per event.
class trace {
public:
  explicit trace(bool keep) : keep_(keep) {}

  bool keeps() const noexcept { return keep_; }

  /// Records that `who` did `what`.
  void note(const clock& time, std::string_view who, std::string_view text) {
    mix(who);
    mix(text);
    say(time, who, text);
  }

  /// Records an event without adding it to the hash.
  void say(const clock& time, std::string_view who, std::string_view text) {
    if (!keep_)
      return;
    using std::chrono::duration_cast;
    auto us = duration_cast<std::chrono::microseconds>(time.now().time_since_epoch() - std::chrono::hours{1}).count();
    auto micro = std::to_string(us % 1'000);
    auto at = std::to_string(us / 1'000) + '.' + std::string(3 - micro.size(), '0') + micro;
    lines_.push_back(std::string(at.size() < 12 ? 12 - at.size() : 0, ' ') + at + " ms  " + std::string{who}
                     + std::string(who.size() < 12 ? 12 - who.size() : 0, ' ') + "  " + std::string{text});
  }

  void mix(std::string_view text) {
    for (auto c : text)
      hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }

  uint64_t hash() const noexcept { return hash_; }
  const std::vector<std::string>& lines() const noexcept { return lines_; }

private:
  bool keep_;
  uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::vector<std::string> lines_;
};

} // namespace sluice::simulation
