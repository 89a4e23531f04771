#include "runtime/lab/scenario/suggestions.hpp"

#include "actors/base/nearest_name.hpp"

namespace sluice::scenario {

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
