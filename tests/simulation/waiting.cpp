#include "tests/simulation/waiting.hpp"

#include <algorithm>

namespace sluice::simulation {

namespace {

using namespace std::chrono_literals;

lane lane_of(const attempt& attempt, uint64_t client) {
  return {client, attempt.planned.db, attempt.planned.type == operation::kind::write};
}

bool has_deadline(const operation& op) { return op.type == operation::kind::write || op.type == operation::kind::read; }

std::string in_ms(std::chrono::nanoseconds nanoseconds) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(nanoseconds).count()) + " ms";
}

std::string name_of(const attempt& attempt) {
  return attempt.request_id + " of client " + std::to_string(attempt.client + 1) + " (" + to_string(attempt.planned)
         + ')';
}

std::string answer_of(const attempt& attempt) {
  switch (attempt.fate) {
  case fate::open: return "has no answer";
  case fate::done: return "was answered";
  default: return "was answered (" + std::string{to_string(attempt.error.code)} + ')';
  }
}

} // namespace

waiting_rules::waiting_rules(const plan& script, const world& where, const history& seen)
  : plan_(script), world_(where), seen_(seen) {
  for (uint64_t i = 0; i < script.clients.size(); ++i)
    for (const auto& client : script.clients[i])
      if (client.work.count() > 0) {
        auto& longest = longest_[lane{i, client.db, client.type == operation::kind::write}.number()];
        longest = std::max(longest, client.work);
      }
}

void waiting_rules::begins(attempt& attempt, bool is_only) const {
  attempt.waiting = {world_.time().now(), world_.stalled(), {}};
  if (!plan_.set.timed || !is_only || !has_deadline(attempt.planned))
    return;
  for (uint64_t i = 0; i < plan_.clients.size(); ++i)
    attempt.waiting.executed.push_back(world_.executed(lane_of(attempt, i)));
}

std::chrono::milliseconds waiting_rules::deadline_of(const operation& op) const {
  if (op.deadline.count() > 0)
    return op.deadline;
  return op.type == operation::kind::write ? defaults_.write_deadline : defaults_.read_timeout;
}

std::optional<violation> waiting_rules::ends(const attempt& attempt) const {
  if (!has_deadline(attempt.planned))
    return {};
  auto late = check_deadline(attempt);
  return late ? late : check_turn(attempt);
}

std::optional<violation> waiting_rules::check_deadline(const attempt& attempt) const {
  auto all = world_.time().now() - attempt.waiting.since;
  auto waited = all - (world_.stalled() - attempt.waiting.stalled);
  auto deadline = deadline_of(attempt.planned);
  if (waited <= deadline + grace)
    return {};
  return violation{"every request is answered within its deadline",
                   name_of(attempt) + ' ' + answer_of(attempt) + " after " + in_ms(waited) + "; its deadline is "
                     + in_ms(deadline) + " (and " + in_ms(all - waited)
                     + " in which the simulation kept actors from running)"};
}

// The bound of the execution time that another client may use before a client's turn comes.
//
// Writes: an open group ends with the request during which it reaches `group_max_time`, so it has at most this time and
// one more request of a client. A second group may have begun before the request takes part in turns. Then each client
// has one turn at most, which may be the last of a group that another client filled. A request that rolls back the
// transaction of its group has the others executed once more.
//
// Reads: one on each reader, one turn, and one that began before its process was charged for those under way,
// regardless of its agent names. With one reader there may be a second one.
//
// Both: the client's own longest request, for which the others are compensated.
std::chrono::milliseconds waiting_rules::bound(const attempt& attempt, const lane& other) const {
  auto longest = longest_of(other);
  auto client_longest = longest_of(lane_of(attempt, attempt.client));
  if (!other.writes)
    return client_longest + static_cast<int64_t>(std::max<uint64_t>(2, plan_.set.readers) + 2) * longest;
  return client_longest + defaults_.group_max_time + 3 * longest
         + repetitions(attempt) * (defaults_.group_max_time + longest);
}

std::chrono::milliseconds waiting_rules::longest_of(const lane& lane) const {
  auto found = longest_.find(lane.number());
  return found == longest_.end() ? 0ms : found->second;
}

// The number of writes that may have rolled back the transaction of their group while this one waited, itself included.
int64_t waiting_rules::repetitions(const attempt& attempt) const {
  auto is_fatal = [](const write_attempt& write) {
    auto is_ended = write.is_cancelled || (write.planned.work.count() > 0 && write.planned.deadline.count() > 0);
    return is_ended || std::any_of(write.planned.steps.begin(), write.planned.steps.end(), [](const step& each) {
             return each.action == verb::veto;
           });
  };
  return std::count_if(seen_.writes.begin(), seen_.writes.end(), [&](const write_attempt& write) {
    return write.planned.db == attempt.planned.db && (write.ended == 0 || write.ended > attempt.began)
           && is_fatal(write);
  });
}

std::optional<violation> waiting_rules::check_turn(const attempt& attempt) const {
  if (attempt.planned.type == operation::kind::write && (seen_.disk_troubled || seen_.locked))
    return {};
  for (uint64_t i = 0; i < attempt.waiting.executed.size(); ++i) {
    auto of = lane_of(attempt, i);
    auto executed = world_.executed(of) - attempt.waiting.executed[i];
    if (i == attempt.client || executed <= bound(attempt, of))
      continue;
    return violation{"agents are served in turn", name_of(attempt) + ' ' + answer_of(attempt)
                                                    + " after statements of client " + std::to_string(i + 1)
                                                    + " had been executed for " + in_ms(executed)
                                                    + "; its turn is due after " + in_ms(bound(attempt, of))};
  }
  return {};
}

} // namespace sluice::simulation
