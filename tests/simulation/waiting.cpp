#include "tests/simulation/waiting.hpp"

#include <algorithm>

namespace sluice::simulation {

namespace {

using namespace std::chrono_literals;

lane lane_of(const attempt& x, uint64_t client) { return {client, x.what.db, x.what.what == operation::kind::write}; }

bool has_deadline(const operation& x) { return x.what == operation::kind::write || x.what == operation::kind::read; }

std::string in_ms(std::chrono::nanoseconds x) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(x).count()) + " ms";
}

std::string name_of(const attempt& x) {
  return x.request_id + " of client " + std::to_string(x.client + 1) + " (" + to_string(x.what) + ')';
}

std::string answer_of(const attempt& x) {
  switch (x.fate) {
  case fate::open: return "has no answer";
  case fate::done: return "was answered";
  default: return "was answered (" + std::string{to_string(x.why.code)} + ')';
  }
}

} // namespace

waiting_rules::waiting_rules(const plan& what, const world& where, const history& seen)
  : plan_(what), world_(where), seen_(seen) {
  for (uint64_t i = 0; i < what.clients.size(); ++i)
    for (const auto& x : what.clients[i])
      if (x.work.count() > 0) {
        auto& longest = longest_[lane{i, x.db, x.what == operation::kind::write}.number()];
        longest = std::max(longest, x.work);
      }
}

void waiting_rules::begins(attempt& x, bool is_only) const {
  x.waiting = {world_.time().now(), world_.stalled(), {}};
  if (!plan_.set.timed || !is_only || !has_deadline(x.what))
    return;
  for (uint64_t i = 0; i < plan_.clients.size(); ++i)
    x.waiting.executed.push_back(world_.executed(lane_of(x, i)));
}

std::chrono::milliseconds waiting_rules::deadline_of(const operation& x) const {
  if (x.deadline.count() > 0)
    return x.deadline;
  return x.what == operation::kind::write ? defaults_.write_deadline : defaults_.read_timeout;
}

std::optional<violation> waiting_rules::ends(const attempt& x) const {
  if (!has_deadline(x.what))
    return {};
  auto late = check_deadline(x);
  return late ? late : check_turn(x);
}

std::optional<violation> waiting_rules::check_deadline(const attempt& x) const {
  auto all = world_.time().now() - x.waiting.since;
  auto waited = all - (world_.stalled() - x.waiting.stalled);
  auto deadline = deadline_of(x.what);
  if (waited <= deadline + grace)
    return {};
  return violation{"every request is answered within its deadline",
                   name_of(x) + ' ' + answer_of(x) + " after " + in_ms(waited) + "; its deadline is " + in_ms(deadline)
                     + " (and " + in_ms(all - waited) + " in which the simulation kept actors from running)"};
}

// The statements that one client may have executed before another one's turn comes.
//
// Writes: a group that is open ends with the request during which it has been so for `group_max_time`, and has no more
// than that of one client before; a second one may have been begun before the request is among those that take turns;
// then each client has one turn at most, which may be the last of a group that another one filled. A request that costs
// its group the transaction has the others executed once more.
//
// Reads: one on each reader, one turn, and one that was begun before its process was charged for those under way,
// whatever names it uses. Where there is one reader there may be a second one.
//
// Either: as much as the client itself has had last, for which the others are compensated.
std::chrono::milliseconds waiting_rules::bound(const attempt& x, const lane& other) const {
  auto longest = longest_of(other);
  auto own = longest_of(lane_of(x, x.client));
  if (!other.writes)
    return own + static_cast<int64_t>(std::max<uint64_t>(2, plan_.set.readers) + 2) * longest;
  return own + defaults_.group_max_time + 3 * longest + repetitions(x) * (defaults_.group_max_time + longest);
}

std::chrono::milliseconds waiting_rules::longest_of(const lane& x) const {
  auto found = longest_.find(x.number());
  return found == longest_.end() ? 0ms : found->second;
}

// How many writes may have cost their group its transaction while this one waited, itself included.
int64_t waiting_rules::repetitions(const attempt& x) const {
  auto is_fatal = [](const write_attempt& y) {
    auto is_ended = y.is_cancelled || (y.what.work.count() > 0 && y.what.deadline.count() > 0);
    return is_ended || std::any_of(y.what.steps.begin(), y.what.steps.end(), [](const step& each) {
             return each.what == verb::veto;
           });
  };
  return std::count_if(seen_.writes.begin(), seen_.writes.end(), [&](const write_attempt& y) {
    return y.what.db == x.what.db && (y.ended == 0 || y.ended > x.began) && is_fatal(y);
  });
}

std::optional<violation> waiting_rules::check_turn(const attempt& x) const {
  if (x.what.what == operation::kind::write && (seen_.disk_troubled || seen_.locked))
    return {};
  for (uint64_t i = 0; i < x.waiting.executed.size(); ++i) {
    auto of = lane_of(x, i);
    auto executed = world_.executed(of) - x.waiting.executed[i];
    if (i == x.client || executed <= bound(x, of))
      continue;
    return violation{"agents are served in turn", name_of(x) + ' ' + answer_of(x) + " after statements of client "
                                                    + std::to_string(i + 1) + " had been executed for "
                                                    + in_ms(executed) + "; its turn is due after "
                                                    + in_ms(bound(x, of))};
  }
  return {};
}

} // namespace sluice::simulation
