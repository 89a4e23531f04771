#pragma once

#include "actors/writer/group_commit.hpp"
#include "tests/support/fake_write_store.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::test {

inline write_request a_write(std::string agent, std::vector<std::string> sql, std::string key = {}) {
  write_request x;
  x.db = "app.db";
  x.agent = std::move(agent);
  x.idempotency_key = std::move(key);
  for (auto& text : sql)
    x.statements.push_back({sql_text{std::move(text)}, {}});
  return x;
}

/// A `group_commit` on a fake disk, driven as by a writer. Requests are distinguished by their agent.
struct group_fixture {
  explicit group_fixture(group_settings settings = {}, uint64_t seed = 1)
    : settings_of_group(settings), store(disk, time), group(store, context, time, settings, seed, slow) {}

  group_settings settings_of_group;
  fake_clock time;
  fake_disk disk;
  database_context context{"app.db"};
  fake_write_store store;
  slow_requests slow;
  group_commit group;

  std::map<std::string, caf::expected<write_result>> answers;
  std::vector<std::string> answer_order;
  std::vector<audit_record> records;
  std::vector<invalidation> changes;
  std::optional<uint64_t> marker;
  /// The pauses that the group has requested; the last one is under way while `retry_due`.
  std::vector<std::chrono::milliseconds> pauses;
  bool retry_due = false;
  uint64_t restarts = 1;

  void send(write_request x) { apply(group.add(std::move(x), reply<write_result>{})); }
  void send(std::string agent, std::string sql, std::string key = {}) {
    send(a_write(std::move(agent), {std::move(sql)}, std::move(key)));
  }

  void apply(group_commit::step step) {
    using action = group_commit::step::action;
    if (step.next == action::mark)
      marker = group.number();
    else if (step.next == action::finish_group || step.next == action::finish_full_group)
      finish_group();
    else if (step.next == action::retry) {
      pauses.push_back(step.delay);
      retry_due = true;
    }
  }

  void finish_group() {
    auto done = group.finish_group();
    for (auto& change : done.changes)
      changes.push_back(std::move(change.message));
    for (auto& x : done.records.records)
      records.push_back(std::move(x));
    for (auto& x : done.writes) {
      if (!answers.emplace(x.agent, std::move(x.result)).second)
        throw std::logic_error("answered twice: " + x.agent);
      answer_order.push_back(x.agent);
    }
    for (auto& [request, statements] : done.slow)
      slow.add(std::move(request));
    apply(group.after_group());
  }

  /// Delivers the marker: all requests sent before it are in the group.
  void end_group() {
    if (marker && std::exchange(marker, std::nullopt) == group.number())
      finish_group();
  }

  /// Ends the pause.
  void retry() {
    retry_due = false;
    time.advance(pauses.back());
    apply(group.retry());
  }

  /// Starts a new writer after the old one threw, as the supervisor does. Requests without an answer are lost.
  void restart() {
    std::destroy_at(&group);
    std::destroy_at(&store);
    std::construct_at(&store, disk, time);
    std::construct_at(&group, store, context, time, settings_of_group, restarts++, slow);
    marker.reset();
    retry_due = false;
  }

  bool answered(const std::string& agent) const { return answers.count(agent) > 0; }
  bool committed(const std::string& agent) const { return answered(agent) && answers.at(agent).engaged(); }
  uint64_t seq_of(const std::string& agent) const { return answers.at(agent)->commit_seq; }
  failure failure_of(const std::string& agent) const {
    const auto& x = answers.at(agent);
    if (x)
      throw std::logic_error(agent + " was committed");
    return describe(x.error());
  }

  using agents = std::vector<std::string>;
  const agents& applied() const { return disk.durable.applied; }
};

} // namespace sluice::test
