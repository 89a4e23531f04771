#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sqlite {

/// Which commits were made since which start of the machine: the row `boots` of `_sluice_meta`. Holds the last starts
/// only, far more than the retention of keys spans.
class boot_ranges {
public:
  /// Commit numbers, both included.
  struct range {
    uint64_t first = 0;
    uint64_t last = 0;
  };

  /// Reads what `str` returns; nothing when `text` is something else.
  static std::optional<boot_ranges> parse(std::string_view text);

  std::string str() const;

  /// The commit `seq` is made since the start with this tag (`boot_tag_of`). True when it is the first one.
  bool note(uint32_t tag, uint64_t seq);

  /// The commits made since that start, of those before `next_seq`; the newest range first. Several when brokers that
  /// see different starts took turns.
  std::vector<range> find(uint32_t tag, uint64_t next_seq) const;

private:
  struct start {
    uint32_t tag = 0;
    uint64_t first_seq = 0;
  };

  std::vector<start> starts_;
};

} // namespace sluice::sqlite
