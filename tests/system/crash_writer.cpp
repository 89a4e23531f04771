// A broker under load that dies at a named point: when SQLite calls an operation on a file, the fault VFS kills the
// process. The answers of the agents go to standard output, a line for each, before the agent continues:
//
//   ready              the store is open, and recovery from the last death is done
//   sent N             write N is about to be sent
//   acked N SEQ        it was acknowledged, as part of that commit
//   refused N CODE     it was refused
//   dying QUEUED       the point is reached, with so many requests at the writer
//   done               the load is over, and the point was not reached
//
//   crash_writer FOLDER FIRST POINT NTH
//
// N counts from FIRST; lines of standard input are numbers to be sent again, and its end starts the load. Every third
// is refused by the database; of the others, every fifth has no key. NTH is the number of times that the point is
// passed before.

#include "runtime/broker/broker.hpp"
#include "runtime/sqlite/faults/fault_vfs.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using sluice::sqlite::disk_effect;
using sluice::sqlite::disk_fault;
using sluice::sqlite::disk_operation;

// Threads that wait for each answer, and threads that have several requests under way.
constexpr int patient_agents = 4;
constexpr int hasty_agents = 2;
constexpr int at_once = 6;
constexpr uint64_t requests_at_once = patient_agents + hasty_agents * at_once;

void say(const std::string& line) {
  auto text = line + "\n";
  // Lines of this length are written whole.
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0)
    std::abort();
}

// The point at which the process dies. A commit is made of one BEGIN, which takes the lock, then writes to the WAL, and
// a sync.
struct death {
  disk_fault fault;
  // Counted from the beginning of a group, and not of the process.
  bool within_a_group = false;
  // The moment after the answers, so these must have been taken first.
  bool after_the_answers = false;
};

disk_fault fault_on(std::string file, disk_operation on, disk_effect effect, uint64_t skip = 0) {
  disk_fault result;
  result.file = std::move(file);
  result.on = on;
  result.effect = effect;
  result.skip = skip;
  return result;
}

std::optional<death> death_at(const std::string& point, uint64_t nth) {
  const std::string db = "/app.db";
  const std::string wal = "/app.db-wal";
  const std::string audit = "/audit.db-wal";
  using enum disk_operation;
  using enum disk_effect;
  // The header of a frame, and its page, are a write each; a commit has more than three frames.
  const std::map<std::string, death> points{
    {"queued", {fault_on(db, lock, kill_before), true, false}},
    {"executed", {fault_on(wal, disk_operation::write, kill_before), true, false}},
    {"in_transaction", {fault_on(wal, disk_operation::write, kill_after, nth % 6), true, false}},
    {"written", {fault_on(wal, sync, kill_before), true, false}},
    {"committed", {fault_on(wal, sync, kill_after), true, false}},
    {"acknowledged", {fault_on(audit, disk_operation::write, kill_before, nth), false, true}},
    {"half_audited", {fault_on(audit, disk_operation::write, kill_after, nth), false, true}},
    {"checkpoint", {fault_on(db, disk_operation::write, kill_after, nth), false, false}},
    {"checkpointed", {fault_on(db, sync, kill_before, nth % 3), false, false}},
    {"closing", {fault_on(wal, truncate, kill_before), false, false}},
    {"closed", {fault_on(wal, truncate, kill_after), false, false}},
    // Dies while the store is opened, that is, during the recovery from the last death.
    {"recovering_audit", {fault_on(audit, disk_operation::write, kill_after, nth), false, false}},
    {"recovering_wal", {fault_on(wal, read, kill_after, nth), false, false}},
  };
  auto found = points.find(point);
  return found == points.end() ? std::nullopt : std::optional{found->second};
}

class load {
public:
  explicit load(const sluice::database& db) : db_(db) {}

  void write(int n) {
    begin(n, true);
    end(n, db_.write(request_of(n)));
  }

  // Keeps several requests under way until there are no more numbers.
  template <class Next> void write_many(Next next) {
    std::deque<std::pair<int, std::future<caf::expected<sluice::write_result>>>> under_way;
    for (std::optional<int> n = next(); n || !under_way.empty();) {
      // While answers are due, it must not wait for anything else.
      if (n && under_way.size() < at_once && begin(*n, under_way.empty())) {
        under_way.emplace_back(*n, db_.write_async(request_of(*n)));
        n = next();
        continue;
      }
      // A later one may be answered first. Waiting for the oldest alone would send nothing meanwhile, and a writer that
      // waits for the requests of all agents would wait for ever.
      auto answered = std::find_if(under_way.begin(), under_way.end(), [](const auto& each) {
        return each.second.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
      });
      if (answered == under_way.end()) {
        under_way.front().second.wait_for(std::chrono::milliseconds{1});
        continue;
      }
      end(answered->first, answered->second.get());
      under_way.erase(answered);
    }
  }

  // Returns when one more request has been answered, or no more will be sent.
  void await_answer() {
    std::unique_lock guard{mutex_};
    changed_.wait(guard, [this, before = answers_] { return answers_ > before || over_; });
  }

  void end_all() {
    std::lock_guard guard{mutex_};
    over_ = true;
    changed_.notify_all();
  }

  // Stops all agents from sending; returns when all answers have arrived and been printed.
  void finish_all() {
    std::unique_lock guard{mutex_};
    held_ = true;
    changed_.wait(guard, [this] { return under_way_ == 0; });
  }

  // Returns when so many requests are sent and not answered.
  void await_sent(uint64_t count) {
    std::unique_lock guard{mutex_};
    changed_.wait(guard, [&] { return static_cast<uint64_t>(under_way_) >= count; });
  }

private:
  static sluice::write_request request_of(int n) {
    sluice::write_request request;
    request.agent = "agent-" + std::to_string(n % 7);
    request.request_id = "request-" + std::to_string(n);
    if (n % 5 != 0)
      request.idempotency_key = "key-" + std::to_string(n);
    request.statements.push_back({"INSERT INTO log (n, pad) VALUES (?, zeroblob(?))", {n, n % 4 * 1500}});
    if (n % 3 == 0)
      request.statements.push_back({"INSERT INTO log (n) VALUES (NULL)", {}});
    return request;
  }

  // False when no agent may send at present, and this one may not wait for that.
  bool begin(int n, bool waits) {
    std::unique_lock guard{mutex_};
    if (held_ && !waits)
      return false;
    changed_.wait(guard, [this] { return !held_; });
    ++under_way_;
    changed_.notify_all();
    say("sent " + std::to_string(n));
    return true;
  }

  void end(int n, const caf::expected<sluice::write_result>& answer) {
    say(answer ? "acked " + std::to_string(n) + " " + std::to_string(answer->commit_seq)
               : "refused " + std::to_string(n) + " " + std::string{to_string(sluice::describe(answer.error()).code)});
    std::lock_guard guard{mutex_};
    --under_way_;
    ++answers_;
    changed_.notify_all();
  }

  sluice::database db_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int under_way_ = 0;
  uint64_t answers_ = 0;
  bool held_ = false;
  bool over_ = false;
};

// Brings the process to its point, and kills it there.
class executioner {
public:
  // The hooks are called from within this; so the disk comes last.
  explicit executioner(death death, uint64_t nth)
    : death_(std::move(death)), nth_(nth), disk_({[this](auto) { enter_group(); }, [this] { die(); }}) {}

  void arm() {
    if (!death_.within_a_group)
      return disk_.inject(death_.fault);
    // Beginning a group takes two locks: a reader's and the writer's.
    auto begun = fault_on("/app.db", disk_operation::lock, disk_effect::delay, nth_ * 2);
    begun.delay = std::chrono::milliseconds{1};
    disk_.inject(begun);
  }

  void watch(const sluice::database& db, load& agents) {
    db_ = db;
    agents_ = &agents;
  }

private:
  // In the writer's thread, in BEGIN: the requests of all agents are behind it by then, and will be in its group.
  void enter_group() {
    await_all_requests();
    disk_.inject(death_.fault);
  }

  void die() {
    if (dying_.exchange(true))
      return pause_for_the_end();
    if (death_.within_a_group)
      await_all_requests();
    if (death_.after_the_answers && agents_) {
      // This transaction of the audit may be one of earlier requests, from before the load.
      agents_->await_answer();
      agents_->finish_all();
    }
    say("dying " + std::to_string(db_ ? db_->status().queued : 0));
    kill(getpid(), SIGKILL);
    pause_for_the_end();
  }

  [[noreturn]] static void pause_for_the_end() {
    for (;;)
      pause();
  }

  void await_all_requests() {
    agents_->await_sent(requests_at_once);
    // Each is on its way to the queue, and none can leave it while this thread is here.
    while (db_->status().queued < requests_at_once)
      std::this_thread::yield();
  }

  death death_;
  uint64_t nth_;
  std::optional<sluice::database> db_;
  load* agents_ = nullptr;
  std::atomic<bool> dying_{false};
  sluice::sqlite::fault_vfs disk_;
};

// These numbers, and so many from `first` on.
void run(load& agents, const std::vector<int>& again, int first, int count) {
  std::mutex mutex;
  size_t sent_again = 0;
  auto next = first;
  auto draw = [&]() -> std::optional<int> {
    std::lock_guard guard{mutex};
    if (sent_again < again.size())
      return again[sent_again++];
    return next < first + count ? std::optional{next++} : std::nullopt;
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < patient_agents; ++i)
    threads.emplace_back([&] {
      while (auto n = draw())
        agents.write(*n);
    });
  for (int i = 0; i < hasty_agents; ++i)
    threads.emplace_back([&] { agents.write_many(draw); });
  for (auto& thread : threads)
    thread.join();
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 5)
    return 2;
  const std::string point = argv[3];
  const auto nth = static_cast<uint64_t>(std::atoi(argv[4]));
  std::optional<executioner> end;
  if (auto at = death_at(point, nth))
    end.emplace(*at, nth);
  else if (point != "none")
    return 2;
  auto recovers = point.starts_with("recovering");
  if (recovers)
    end->arm();
  sluice::broker_config config;
  config.root = argv[1];
  // Only the points of checkpoints make the broker checkpoint.
  config.checkpoint_wal_bytes = point.starts_with("checkpoint") || point == "none" ? 100'000 : 1U << 30U;
  config.idle_after = std::chrono::hours{1};
  auto broker = sluice::broker::open(config);
  if (!broker)
    return 1;
  auto db = broker->open_database("app.db");
  if (!db || !db->write("founder", "CREATE TABLE IF NOT EXISTS log (n INTEGER NOT NULL, pad BLOB)"))
    return 1;
  load agents{*db};
  if (end)
    end->watch(*db, agents);
  say("ready");
  std::vector<int> again;
  for (int n = 0; std::cin >> n;)
    again.push_back(n);
  run(agents, again, 0, 0);
  if (end && !recovers)
    end->arm();
  run(agents, {}, std::atoi(argv[2]), point.starts_with("clos") ? 60 : 3000);
  agents.end_all();
  broker->shutdown();
  say("done");
  return 0;
}
