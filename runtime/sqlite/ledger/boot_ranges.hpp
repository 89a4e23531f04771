#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sqlite {

/// The commits of each boot of the machine: the row `boots` of `_sluice_meta`. Keeps only the last boots, far more than
/// the retention of keys spans.
class boot_ranges {
public:
  /// Commit numbers, both inclusive.
  struct range {
    uint64_t first = 0;
    uint64_t last = 0;
  };

  /// Reads the result of `str`; nothing when `text` has another form.
  static std::optional<boot_ranges> parse(std::string_view text);

  std::string str() const;

  /// Records that the commit `seq` is made in the boot with this tag (`boot_tag_of`). True when it is the first one.
  bool note(uint32_t tag, uint64_t seq);

  /// The commits made in that boot, before `next_seq`; the newest range first. There are several when brokers with
  /// different boot ids took turns.
  std::vector<range> find(uint32_t tag, uint64_t next_seq) const;

private:
  struct start {
    uint32_t tag = 0;
    uint64_t first_seq = 0;
  };

  std::vector<start> starts_;
};

} // namespace sluice::sqlite
