#include "runtime/lab/scenario/kinds.hpp"

#include <algorithm>
#include <iterator>

namespace sluice::scenario {

std::span<const step_kind> step_kinds() {
  static const std::vector<step_kind> all = [] {
    std::vector<step_kind> result;
    for (auto make : {request_kinds, fault_kinds, file_kinds, control_kinds})
      for (auto& kind : make())
        result.push_back(std::move(kind));
    return result;
  }();
  return all;
}

const step_kind* find_kind(std::string_view name) {
  auto all = step_kinds();
  auto found = std::find_if(all.begin(), all.end(), [&](const step_kind& x) { return x.name == name; });
  return found == all.end() ? nullptr : &*found;
}

} // namespace sluice::scenario
