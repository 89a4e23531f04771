#include "actors/base/nearest_name.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace sluice {

namespace {

constexpr size_t longest_compared = 64;

} // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before;
  std::vector<size_t> last(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    std::vector<size_t> row(b.size() + 1, i);
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(last, std::move(row));
  }
  return last.back();
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
  std::string_view best;
  // A third of the letters may be wrong.
  auto limit = std::max<size_t>(1, word.size() / 3) + 1;
  if (word.empty() || word.size() > longest_compared)
    return best;
  for (auto name : known)
    if (auto distance = edit_distance(word, name); distance < limit) {
      best = name;
      limit = distance;
    }
  return best;
}

} // namespace sluice
