#include "tests/simulation/shrink.hpp"

#include <algorithm>

namespace sluice::simulation {

namespace {

class shrinker {
public:
  shrinker(const plan& plan, uint64_t most) : best_{plan, run(plan), 1}, most_(most) {}

  shrunk_plan go() {
    if (!best_.result.broken)
      return std::move(best_);
    for (auto smaller = true; smaller && best_.runs < most_;) {
      smaller = whole_clients();
      smaller |= cut([](plan & x) -> auto& { return x.incidents; });
      for (size_t i = 0; i < best_.smallest.clients.size(); ++i)
        smaller |= cut([i](plan & x) -> auto& { return x.clients[i]; });
    }
    return std::move(best_);
  }

private:
  // Whether the reduced plan still breaks the same invariant; if so, it becomes the best one.
  bool still_fails(plan plan) {
    if (best_.runs >= most_)
      return false;
    ++best_.runs;
    auto result = run(plan);
    if (!result.broken || result.broken->invariant != best_.result.broken->invariant)
      return false;
    best_.smallest = std::move(plan);
    best_.result = std::move(result);
    return true;
  }

  bool whole_clients() {
    auto smaller = false;
    for (size_t i = best_.smallest.clients.size(); i-- > 0;) {
      if (best_.smallest.clients.size() == 1)
        break;
      auto result = best_.smallest;
      result.clients.erase(result.clients.begin() + static_cast<std::ptrdiff_t>(i));
      smaller |= still_fails(std::move(result));
    }
    return smaller;
  }

  // Leaves out runs of elements, shorter and shorter ones, from the end.
  template <class Select> bool cut(Select select) {
    auto smaller = false;
    for (auto length = select(best_.smallest).size(); length > 0; length /= 2)
      for (auto end = select(best_.smallest).size(); end >= length && end > 0;) {
        auto result = best_.smallest;
        auto& list = select(result);
        auto first = list.begin() + static_cast<std::ptrdiff_t>(end - length);
        list.erase(first, first + static_cast<std::ptrdiff_t>(length));
        auto done = still_fails(std::move(result));
        smaller |= done;
        end -= std::min(end, done ? length : std::max<size_t>(1, length / 2));
      }
    return smaller;
  }

  shrunk_plan best_;
  uint64_t most_;
};

} // namespace

shrunk_plan shrink(const plan& plan, uint64_t most) { return shrinker{plan, most}.go(); }

} // namespace sluice::simulation
