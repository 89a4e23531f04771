#include "actors/cache/reader_pool.hpp"

namespace sluice {

namespace {

// About as many tiny queries as run in the time that it takes to wake up another reader.
constexpr size_t max_in_advance = 8;

} // namespace

bool long_reads::may_start(const std::string& agent) const {
  auto own = by_agent_.find(agent);
  return all_ < max_ && (own == by_agent_.end() || own->second < std::max<uint64_t>(1, max_ / 2));
}

void long_reads::started(const std::string& agent) {
  ++all_;
  ++by_agent_[agent];
}

void long_reads::ended(const std::string& agent) {
  is_freed_ = is_freed_ || !may_start(agent);
  --all_;
  if (auto own = by_agent_.find(agent); --own->second == 0)
    by_agent_.erase(own);
}

reader_pool::grant reader_pool::choose(query_length length, const std::string& agent) {
  auto is_limited = length != query_length::lengthy && (length != query_length::unknown || !may_run_unlimited(agent));
  if (!is_limited && !may_run_unlimited(agent))
    return {};
  if (length == query_length::tiny)
    for (auto& x : readers_)
      if (!x.running.empty() && x.only_tiny && x.running.size() < max_in_advance)
        return {&x, true};
  return {idle(), is_limited};
}

bool reader_pool::may_run_unlimited(const std::string& agent) const {
  if (everywhere_ && !everywhere_->may_start(agent))
    return false;
  uint64_t all = 0;
  uint64_t own = 0;
  for (const auto& x : readers_)
    if (x.is_unlimited) {
      ++all;
      own += x.agent == agent ? 1 : 0;
    }
  auto share = max_unlimited_ > 1 ? max_unlimited_ - 1 : 1;
  return all < max_unlimited_ && own < share;
}

reader_pool::reader* reader_pool::idle() {
  auto found = std::find_if(readers_.begin(), readers_.end(), [](const reader& x) { return x.running.empty(); });
  return found == readers_.end() ? nullptr : &*found;
}

bool reader_pool::has_idle() const {
  return std::any_of(readers_.begin(), readers_.end(), [](const reader& x) { return x.running.empty(); });
}

bool reader_pool::is_quiet() const {
  return std::all_of(readers_.begin(), readers_.end(), [](const reader& x) { return x.running.empty(); });
}

void reader_pool::started(const grant& x, uint64_t flight, query_length length, const std::string& agent) {
  auto& own = *x.who;
  own.only_tiny = length == query_length::tiny && (own.only_tiny || own.running.empty());
  own.running.push_back(flight);
  end_unlimited(own);
  if (x.is_limited)
    return;
  own.is_unlimited = true;
  own.agent = agent;
  if (everywhere_)
    everywhere_->started(agent);
}

void reader_pool::end_unlimited(reader& x) {
  if (std::exchange(x.is_unlimited, false) && everywhere_)
    everywhere_->ended(x.agent);
}

void reader_pool::finished(reader& x, uint64_t flight) {
  std::erase(x.running, flight);
  end_unlimited(x);
  if (x.running.empty())
    x.only_tiny = true;
}

std::vector<uint64_t> reader_pool::remove(const caf::actor_addr& lost) {
  auto found = std::find_if(readers_.begin(), readers_.end(),
                            [&](const reader& x) { return x.handle && x.handle.address() == lost; });
  if (found == readers_.end())
    return {};
  auto flights = std::move(found->running);
  end_unlimited(*found);
  readers_.erase(found);
  return flights;
}

} // namespace sluice
