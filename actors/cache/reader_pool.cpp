#include "actors/cache/reader_pool.hpp"

namespace sluice {

namespace {

// About as many tiny queries as run in the time that waking another reader takes.
constexpr size_t max_in_advance = 8;

constexpr uint64_t all_but_one(uint64_t count) noexcept { return std::max<uint64_t>(2, count) - 1; }

} // namespace

bool long_reads::may_start(uint64_t process) const {
  auto found = of_process_.find(process);
  return all_ < max_
         && (found == of_process_.end()
             || found->second.all < std::max<uint64_t>(1, max_ - std::max<uint64_t>(1, max_ / 4)));
}

bool long_reads::may_start(uint64_t process, const std::string& agent) const {
  if (!may_start(process))
    return false;
  auto found = of_process_.find(process);
  if (found == of_process_.end())
    return true;
  auto used = found->second.of_agent.find(agent);
  return used == found->second.of_agent.end() || used->second < std::max<uint64_t>(1, max_ / 2);
}

void long_reads::started(const requester& from) {
  ++all_;
  auto& process = of_process_[from.process];
  ++process.all;
  ++process.of_agent[from.agent];
}

void long_reads::ended(const requester& from) {
  is_freed_ = is_freed_ || !may_start(from.process, from.agent);
  --all_;
  auto found = of_process_.find(from.process);
  if (auto used = found->second.of_agent.find(from.agent); --used->second == 0)
    found->second.of_agent.erase(used);
  if (--found->second.all == 0)
    of_process_.erase(found);
}

void reader_pool::add(reader_actor handle) {
  auto& reader = readers_.emplace_back();
  reader.handle = std::move(handle);
  idle_.insert(idle_.begin(), &reader);
}

reader_pool::grant reader_pool::choose(query_length length, const requester& from) {
  auto may_be_long = (length == query_length::lengthy || (length == query_length::unknown && max_readers_ > 1))
                     && may_run_unlimited(from.process, from.agent);
  if (length == query_length::lengthy && !may_be_long)
    return {};
  if (length == query_length::tiny)
    for (auto& reader : readers_)
      if (!reader.running.empty() && reader.only_tiny && reader.running.size() < max_in_advance)
        return {&reader, true};
  return {idle(), !may_be_long};
}

bool reader_pool::has_room(uint64_t process, const std::string* agent) const {
  if (unlimited_ >= max_unlimited_
      || (everywhere_ && !(agent ? everywhere_->may_start(process, *agent) : everywhere_->may_start(process))))
    return false;
  uint64_t of_process = 0;
  uint64_t of_agent = 0;
  for (const auto& reader : readers_)
    if (reader.is_unlimited && reader.from.process == process) {
      ++of_process;
      of_agent += agent && reader.from.agent == *agent ? 1 : 0;
    }
  auto share = all_but_one(max_unlimited_);
  return of_process < share && of_agent < all_but_one(share);
}

void reader_pool::started(const grant& grant, uint64_t flight, query_length length, const requester& from) {
  auto& reader = *grant.where;
  if (reader.running.empty())
    leave_idle(reader);
  reader.only_tiny = length == query_length::tiny && (reader.only_tiny || reader.running.empty());
  reader.running.push_back(flight);
  end_unlimited(reader);
  if (grant.is_limited)
    return;
  reader.is_unlimited = true;
  reader.from = from;
  ++unlimited_;
  if (everywhere_)
    everywhere_->started(from);
}

// `choose` returns the last idle reader.
void reader_pool::leave_idle(reader& reader) {
  if (!idle_.empty() && idle_.back() == &reader)
    idle_.pop_back();
  else
    std::erase(idle_, &reader);
}

void reader_pool::end_unlimited(reader& reader) {
  if (!std::exchange(reader.is_unlimited, false))
    return;
  --unlimited_;
  if (everywhere_)
    everywhere_->ended(reader.from);
}

void reader_pool::finished(reader& reader, uint64_t flight) {
  std::erase(reader.running, flight);
  end_unlimited(reader);
  if (!reader.running.empty())
    return;
  reader.only_tiny = true;
  idle_.push_back(&reader);
}

std::vector<uint64_t> reader_pool::overrun(bool others_wait) {
  std::vector<uint64_t> result;
  auto others_could = others_wait || has_idle() || readers_.size() < max_readers_;
  for (auto& reader : readers_) {
    if (reader.running.size() < 2)
      continue;
    if (std::exchange(reader.seen, reader.running.front()) != reader.running.front())
      continue;
    // No further query may wait behind it.
    reader.only_tiny = false;
    if (others_could)
      result.insert(result.end(), reader.running.begin() + 1, reader.running.end());
  }
  return result;
}

bool reader_pool::has_waiting() const {
  return std::any_of(readers_.begin(), readers_.end(), [](const reader& x) { return x.running.size() > 1; });
}

std::vector<uint64_t> reader_pool::remove(const caf::actor_addr& lost) {
  auto found = std::find_if(readers_.begin(), readers_.end(),
                            [&](const reader& x) { return x.handle && x.handle.address() == lost; });
  if (found == readers_.end())
    return {};
  auto flights = std::move(found->running);
  end_unlimited(*found);
  leave_idle(*found);
  readers_.erase(found);
  return flights;
}

} // namespace sluice
