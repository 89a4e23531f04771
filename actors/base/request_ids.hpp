#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// Generates ids for requests that came without one: a random start, then consecutive numbers. Not synchronized.
class request_ids {
public:
  explicit request_ids(uint64_t seed) : next_(seed) {}

  /// Thirteen characters, which fit into a std::string without an allocation.
  std::string next() {
    constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";
    std::string id(13, '0');
    auto n = next_++;
    for (auto& c : id) {
      c = digits[n % digits.size()];
      n /= digits.size();
    }
    return id;
  }

private:
  uint64_t next_;
};

} // namespace sluice
