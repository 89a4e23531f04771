#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// An idempotency key that a client library generates. It contains the time at which it was generated, so that a ledger
/// searches only the commits since then for it; keys that applications give have rows of their own instead.
///
/// As text `auto-BOOT-TIME-SESSION-COUNTER`: lower-case hexadecimal without leading zeros, except for BOOT (8 digits)
/// and SESSION (16 digits).
struct automatic_key {
  /// Identifies the boot of the machine, as `boot_tag_of(clock::boot_id())`; not 0.
  uint32_t boot = 0;
  /// Milliseconds since that boot (`clock::since_boot`), rounded down; less than 2^48.
  uint64_t since_boot_ms = 0;
  /// Random; one per client object.
  uint64_t session = 0;
  /// Counts the keys of a session, from 1.
  uint64_t counter = 0;

  friend bool operator==(const automatic_key&, const automatic_key&) = default;
};

/// The tag for a boot id (`clock::boot_id()`); 0 only if the id is empty.
uint32_t boot_tag_of(std::string_view boot) noexcept;

std::string to_string(const automatic_key& key);

/// The reverse of `to_string`; nothing for any other text.
std::optional<automatic_key> parse_automatic_key(std::string_view text) noexcept;

} // namespace sluice
