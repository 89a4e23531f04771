#include "runtime/lab/scenario/suggestions.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace sluice::scenario {

namespace {

constexpr size_t longest_compared = 64;

// The number of letters that must be inserted, removed, replaced or swapped with their neighbours.
size_t distance(std::string_view a, std::string_view b) {
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

} // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
  std::string_view best;
  // A third of the letters may be wrong.
  auto limit = std::max<size_t>(1, word.size() / 3) + 1;
  if (word.empty() || word.size() > longest_compared)
    return best;
  for (auto name : known)
    if (auto d = distance(word, name); d < limit) {
      best = name;
      limit = d;
    }
  return best;
}

std::string enumerate(std::span<const std::string_view> words) {
  std::string result;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0)
      result += i + 1 == words.size() ? " and " : ", ";
    result += words[i];
  }
  return result;
}

std::string advice(std::string_view word, std::span<const std::string_view> known) {
  if (auto meant = nearest(word, known); !meant.empty())
    return "; did you mean " + std::string{meant} + "?";
  if (known.empty())
    return {};
  return "; there " + std::string{known.size() == 1 ? "is " : "are "} + enumerate(known);
}

} // namespace sluice::scenario
