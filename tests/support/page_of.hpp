#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

namespace sluice::test {

/// The first `limit` elements of `all` for which `matches` holds, or with `newest` the last ones; in their order.
template <class T, class Matches>
std::vector<T> page_of(const std::vector<T>& all, uint64_t limit, bool newest, Matches matches) {
  std::vector<T> result;
  std::copy_if(all.begin(), all.end(), std::back_inserter(result), matches);
  if (result.size() <= limit)
    return result;
  auto surplus = static_cast<std::ptrdiff_t>(result.size() - limit);
  if (newest)
    result.erase(result.begin(), result.begin() + surplus);
  else
    result.erase(result.end() - surplus, result.end());
  return result;
}

} // namespace sluice::test
