#include "tests/system/crash_history.hpp"

#include <random>

namespace sluice::test::crash_points_test {

namespace {

// Kills the child when a check throws, or both would wait for ever.
struct reaper {
  child_process& process;
  ~reaper() { process.kill(); }
};

// One store that crash_writer opens repeatedly, and the output of its lives.
struct many_lives {
  temp_dir folder;
  crash_history history{folder.path()};
  std::mt19937 random{std::random_device{}()};
  int next_number = 1;
  int deaths = 0;

  // The result of one life.
  struct life {
    bool ready = false;
    bool dying = false;
    bool done = false;
    uint64_t queued = 0;
    size_t unfinished = 0;
    // Writes that were asked for the first time and not answered, and those that were acknowledged.
    std::vector<int> in_doubt;
    std::vector<int> acked;
    // Those that were acknowledged, and those that were refused.
    std::vector<int> answered;
  };

  // @param killed_after lines of output after which it is killed from outside; 0 leaves death to `point`
  life live(const std::string& point, uint64_t nth, unsigned killed_after = 0) {
    INFO("killed at '" << point << "', " << nth << " passed before, in life " << deaths + 1);
    auto lost = lost_to_the_audit();
    auto known = history.audited(true);
    auto repeated = history.to_repeat();
    child_process process{CRASH_WRITER,
                          {folder.path().string(), std::to_string(next_number), point, std::to_string(nth)}};
    reaper at_the_end{process};
    life result;
    auto line = process.line();
    if (line == "ready") {
      result.ready = true;
      check_recovery(lost, known);
      for (auto n : repeated)
        process.tell(std::to_string(n) + "\n");
      process.release();
      line = process.line();
    }
    for (unsigned heard = 0; !line.empty(); line = process.line()) {
      if (++heard == killed_after)
        process.kill();
      note(line, result);
    }
    CHECK((process.wait() == 0) == result.done);
    deaths += result.done ? 0 : 1;
    next_number += 3000;
    auto fresh = [&](int n) { return std::find(repeated.begin(), repeated.end(), n) == repeated.end(); };
    std::copy_if(history.in_doubt().begin(), history.in_doubt().end(), std::back_inserter(result.in_doubt), fresh);
    result.unfinished = bytes_of_unfinished_commit(folder / "app.db-wal");
    history.check_database();
    return result;
  }

  // How many of these rows the table has.
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
    REQUIRE(live("none", 0, 1).ready);
    auto host = open_broker(folder.path());
    must(host.open_database("app.db"));
    auto verdict = must(host.verify_audit());
    INFO(verdict.reason);
    CHECK(verdict.intact());
    history.check_database();
    history.check_audit();
  }

private:
  void note(const std::string& line, life& result) {
    std::istringstream in{line};
    std::string what;
    uint64_t n = 0;
    in >> what >> n;
    result.done |= what == "done";
    if (what == "dying") {
      result.dying = true;
      result.queued = n;
    }
    if (what == "acked")
      result.acked.push_back(static_cast<int>(n));
    if (what == "acked" || what == "refused")
      result.answered.push_back(static_cast<int>(n));
    history.hear(line);
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

// With the writer: four that wait for each answer, and two with six under way.
constexpr uint64_t everybody = 16;

size_t not_refused(const std::vector<int>& numbers) {
  return static_cast<size_t>(std::count_if(numbers.begin(), numbers.end(), [](int n) { return n % 3 != 0; }));
}

// That the process was where the point says.
void prove(const std::string& point, const many_lives& at, const many_lives::life& life) {
  INFO("killed at '" << point << "' in life " << at.deaths);
  REQUIRE(life.dying);
  auto unanswered = life.in_doubt.size();
  if (point == "queued" || point == "executed" || point == "in_transaction") {
    CHECK(life.queued == everybody);
    CHECK(unanswered == everybody);
    CHECK(at.present(life.in_doubt) == 0);
    CHECK((life.unfinished > 0) == (point == "in_transaction"));
  } else if (point == "written" || point == "committed") {
    CHECK(life.queued == everybody);
    CHECK(unanswered == everybody);
    CHECK(life.unfinished == 0);
    // They are there, but neither acknowledged nor audited.
    CHECK(at.present(life.in_doubt) == not_refused(life.in_doubt));
    CHECK(at.present_in_audit(life.in_doubt) == 0);
  } else if (point == "acknowledged" || point == "half_audited") {
    CHECK(life.queued == 0);
    CHECK(unanswered == 0);
    CHECK(at.present(life.acked) == life.acked.size());
    // The unwritten records may be those of refusals alone.
    CHECK(at.present_in_audit(life.answered) < life.answered.size());
  } else if (point == "closing" || point == "closed") {
    CHECK(unanswered == 0);
    CHECK((std::filesystem::file_size(at.folder / "app.db-wal") == 0) == (point == "closed"));
  } else if (point == "recovering_audit" || point == "recovering_wal") {
    CHECK(!life.ready);
  }
}

} // namespace

TEST_CASE("a broker that is killed at a named point loses nothing it has acknowledged", "[system]") {
  many_lives at;
  for (int round = 0; round < soak(1); ++round) {
    for (const auto* point : {"queued", "executed", "in_transaction", "written", "committed", "acknowledged",
                              "half_audited", "checkpoint", "checkpointed", "closing", "closed"}) {
      // A transaction of the audit has more than two writes, of which the last one would complete it.
      auto life = at.live(point, at.random() % (point == std::string_view{"half_audited"} ? 2 : 6));
      prove(point, at, life);
    }
    // The recovery after one death dies as well.
    for (const auto* point : {"recovering_audit", "recovering_wal"}) {
      prove("committed", at, at.live("committed", at.random() % 6));
      for (uint64_t nth = 0; nth < 2; ++nth)
        prove(point, at, at.live(point, nth));
    }
  }
  CHECK(at.history.acknowledged() > 200);
  at.check_the_end();
}

TEST_CASE("a broker that is killed at random under load loses nothing it has acknowledged", "[system]") {
  many_lives at;
  for (int i = 0; i < soak(12); ++i)
    at.live("none", 0, static_cast<unsigned>(1 + at.random() % 500));
  CHECK(at.deaths > 8);
  CHECK(at.history.acknowledged() > 300);
  at.check_the_end();
}

} // namespace sluice::test::crash_points_test
