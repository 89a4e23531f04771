#include "actors/reader_pool.hpp"

#include <algorithm>

namespace sluice {

namespace {

// About as many short queries as run in the time that it takes to wake up another reader.
constexpr size_t max_in_advance = 8;

} // namespace

reader_pool::reader* reader_pool::choose(bool is_short) {
  reader* idle = nullptr;
  for (auto& x : readers_) {
    if (x.running.empty())
      idle = idle ? idle : &x;
    else if (is_short && x.only_short && x.running.size() < max_in_advance)
      return &x;
  }
  return idle;
}

void reader_pool::started(reader& x, uint64_t flight, bool is_short) {
  x.only_short = is_short && (x.only_short || x.running.empty());
  x.running.push_back(flight);
}

void reader_pool::finished(reader& x, uint64_t flight) {
  std::erase(x.running, flight);
  if (x.running.empty())
    x.only_short = true;
}

std::vector<uint64_t> reader_pool::remove(const caf::actor_addr& lost) {
  auto found = std::find_if(readers_.begin(), readers_.end(),
                            [&](const reader& x) { return x.handle && x.handle.address() == lost; });
  if (found == readers_.end())
    return {};
  auto flights = std::move(found->running);
  readers_.erase(found);
  return flights;
}

} // namespace sluice
