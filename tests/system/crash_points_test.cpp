#include "tests/system/crash_history.hpp"

#include <random>

namespace sluice::test::crash_points_test {

namespace {

// Kills the child when a check throws, because both would wait for ever otherwise.
struct reaper {
  child_process& process;
  ~reaper() { process.kill(); }
};

// One store that crash_writer opens repeatedly, each time until it is killed, and the output of these runs.
struct killed_broker {
  temp_dir folder;
  crash_history history{folder.path()};
  std::mt19937 random{std::random_device{}()};
  int next_number = 1;
  int kills = 0;

  struct run_result {
    bool ready = false;
    bool dying = false;
    bool done = false;
    uint64_t queued = 0;
    size_t unfinished = 0;
    // Writes without an answer that this run sent first.
    std::vector<int> in_doubt;
    std::vector<int> acked;
    // The acknowledged and the refused writes.
    std::vector<int> answered;
  };

  // @param killed_after lines of output after which it is killed from outside; 0 leaves that to `point`
  run_result run(const std::string& point, uint64_t nth, unsigned killed_after = 0) {
    INFO("killed at '" << point << "', " << nth << " passed before, in run " << kills + 1);
    auto lost = lost_to_the_audit();
    auto known = history.audited(true);
    auto repeated = history.to_repeat();
    child_process process{CRASH_WRITER,
                          {folder.path().string(), std::to_string(next_number), point, std::to_string(nth)}};
    reaper at_the_end{process};
    run_result result;
    auto line = process.line();
    if (line == "ready") {
      result.ready = true;
      check_recovery(lost, known);
      for (auto n : repeated)
        process.tell(std::to_string(n) + "\n");
      process.release();
      line = process.line();
    }
    for (unsigned lines = 0; !line.empty(); line = process.line()) {
      if (++lines == killed_after)
        process.kill();
      note(line, result);
    }
    CHECK((process.wait() == 0) == result.done);
    kills += result.done ? 0 : 1;
    next_number += 3000;
    auto fresh = [&](int n) { return std::find(repeated.begin(), repeated.end(), n) == repeated.end(); };
    std::copy_if(history.in_doubt().begin(), history.in_doubt().end(), std::back_inserter(result.in_doubt), fresh);
    result.unfinished = bytes_of_unfinished_commit(folder / "app.db-wal");
    history.check_database();
    return result;
  }

  // The number of these rows in the table.
  size_t present(const std::vector<int>& numbers) const {
    auto rows = history.rows();
    return static_cast<size_t>(std::count_if(numbers.begin(), numbers.end(), [&](int n) { return rows.contains(n); }));
  }

  size_t present_in_audit(const std::vector<int>& numbers) const {
    auto audit = history.recorded();
    return static_cast<size_t>(
      std::count_if(numbers.begin(), numbers.end(), [&](int n) { return audit.contains(crash_history::id_of(n)); }));
  }

  // The last check: audit and ledger are complete.
  void check_the_end() {
    REQUIRE(run("none", 0, 1).ready);
    auto host = open_broker(folder.path());
    must(host.open_database("app.db"));
    auto verdict = must(host.verify_audit());
    INFO(verdict.reason);
    CHECK(verdict.intact());
    history.check_database();
    history.check_audit();
  }

private:
  void note(const std::string& line, run_result& result) {
    std::istringstream in{line};
    std::string event;
    uint64_t n = 0;
    in >> event >> n;
    result.done |= event == "done";
    if (event == "dying") {
      result.dying = true;
      result.queued = n;
    }
    if (event == "acked")
      result.acked.push_back(static_cast<int>(n));
    if (event == "acked" || event == "refused")
      result.answered.push_back(static_cast<int>(n));
    history.record(line);
  }

  // The requests that a ledger has and the audit lacks.
  std::set<std::string> lost_to_the_audit() const {
    std::set<std::string> result;
    auto audit = history.audited();
    for (const auto& [id, seq] : history.committed())
      if (!audit.contains(id))
        result.insert(id);
    return result;
  }

  // @param lost what the audit lacked before the store was opened; `known`: what it had recovered already
  void check_recovery(std::set<std::string> lost, const std::set<std::string>& known) const {
    lost.insert(known.begin(), known.end());
    CHECK(history.audited(true) == lost);
  }
};

// Requests in the writer: of four agents that wait for each answer, and of two with six requests under way.
constexpr uint64_t requests_in_flight = 16;

size_t not_refused(const std::vector<int>& numbers) {
  return static_cast<size_t>(std::count_if(numbers.begin(), numbers.end(), [](int n) { return n % 3 != 0; }));
}

// The state of the files shows that the process was at `point`.
void check_killed_at(const std::string& point, const killed_broker& broker, const killed_broker::run_result& result) {
  INFO("killed at '" << point << "' in run " << broker.kills);
  REQUIRE(result.dying);
  auto unanswered = result.in_doubt.size();
  if (point == "queued" || point == "executed" || point == "in_transaction") {
    CHECK(result.queued == requests_in_flight);
    CHECK(unanswered == requests_in_flight);
    CHECK(broker.present(result.in_doubt) == 0);
    CHECK((result.unfinished > 0) == (point == "in_transaction"));
  } else if (point == "written" || point == "committed") {
    CHECK(result.queued == requests_in_flight);
    CHECK(unanswered == requests_in_flight);
    CHECK(result.unfinished == 0);
    // The rows are durable, but neither acknowledged nor audited.
    CHECK(broker.present(result.in_doubt) == not_refused(result.in_doubt));
    CHECK(broker.present_in_audit(result.in_doubt) == 0);
  } else if (point == "acknowledged" || point == "half_audited") {
    CHECK(result.queued == 0);
    CHECK(unanswered == 0);
    CHECK(broker.present(result.acked) == result.acked.size());
    // The unwritten records may be those of refusals alone.
    CHECK(broker.present_in_audit(result.answered) < result.answered.size());
  } else if (point == "closing" || point == "closed") {
    CHECK(unanswered == 0);
    CHECK((std::filesystem::file_size(broker.folder / "app.db-wal") == 0) == (point == "closed"));
  } else if (point == "checkpoint" || point == "checkpointed") {
    CHECK(result.ready);
    CHECK(broker.present(result.acked) == result.acked.size());
  } else if (point == "recovering_audit" || point == "recovering_wal") {
    CHECK(!result.ready);
  } else {
    FAIL("no check for the crash point '" << point << "'");
  }
}

} // namespace

TEST_CASE("a broker that is killed at a named point loses nothing it has acknowledged", "[system]") {
  killed_broker broker;
  for (int round = 0; round < soak(1); ++round) {
    for (const auto* point : {"queued", "executed", "in_transaction", "written", "committed", "acknowledged",
                              "half_audited", "checkpoint", "checkpointed", "closing", "closed"}) {
      // A transaction of the audit has more than two writes, of which the last one would complete it.
      auto result = broker.run(point, broker.random() % (point == std::string_view{"half_audited"} ? 2 : 6));
      check_killed_at(point, broker, result);
    }
    // The recovery from one kill is killed as well.
    for (const auto* point : {"recovering_audit", "recovering_wal"}) {
      check_killed_at("committed", broker, broker.run("committed", broker.random() % 6));
      for (uint64_t nth = 0; nth < 2; ++nth)
        check_killed_at(point, broker, broker.run(point, nth));
    }
  }
  CHECK(broker.history.acknowledged() > 200);
  broker.check_the_end();
}

TEST_CASE("a broker that is killed at random under load loses nothing it has acknowledged", "[system]") {
  killed_broker broker;
  for (int i = 0; i < soak(12); ++i)
    broker.run("none", 0, static_cast<unsigned>(1 + broker.random() % 500));
  CHECK(broker.kills > 8);
  CHECK(broker.history.acknowledged() > 300);
  broker.check_the_end();
}

} // namespace sluice::test::crash_points_test
