#include "runtime/sqlite/ledger/boot_ranges.hpp"

#include <sstream>

namespace sluice::sqlite {

namespace {

constexpr size_t max_starts = 64;

} // namespace

std::optional<boot_ranges> boot_ranges::parse(std::string_view text) {
  boot_ranges result;
  std::istringstream in{std::string{text}};
  for (start next; in >> next.tag >> next.first_seq;) {
    if (!result.starts_.empty() && next.first_seq <= result.starts_.back().first_seq)
      return std::nullopt;
    result.starts_.push_back(next);
  }
  return in.eof() ? std::optional{std::move(result)} : std::nullopt;
}

std::string boot_ranges::str() const {
  std::string text;
  for (const auto& each : starts_)
    text += (text.empty() ? "" : " ") + std::to_string(each.tag) + ' ' + std::to_string(each.first_seq);
  return text;
}

bool boot_ranges::note(uint32_t tag, uint64_t seq) {
  if (!starts_.empty() && starts_.back().tag == tag)
    return false;
  if (starts_.size() == max_starts)
    starts_.erase(starts_.begin());
  starts_.push_back({tag, seq});
  return true;
}

std::vector<boot_ranges::range> boot_ranges::find(uint32_t tag, uint64_t next_seq) const {
  std::vector<range> result;
  auto end = next_seq;
  for (auto each = starts_.rbegin(); each != starts_.rend(); ++each) {
    if (each->tag == tag && each->first_seq < end)
      result.push_back({each->first_seq, end - 1});
    end = each->first_seq;
  }
  return result;
}

} // namespace sluice::sqlite
