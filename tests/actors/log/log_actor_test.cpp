#include "actors/log/log.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/fake_log_store.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::log_actor_test {

using namespace std::chrono_literals;

namespace {

using texts = std::vector<std::string>;

// The clock of the queue; the test advances it together with that of the fixture.
struct fixture : actor_fixture {
  fake_log_file file;
  std::shared_ptr<fake_clock> queue_time = std::make_shared<fake_clock>();
  std::shared_ptr<log_queue> queue;
  std::shared_ptr<actor_stats> stats = std::make_shared<actor_stats>();
  std::vector<std::string> warnings;
  bool cannot_move = false;
  std::optional<errc> fault_after_move;
  uint64_t moved_files = 0;
  log_actor aut;

  explicit fixture(log_limits limits = {}) : queue(std::make_shared<log_queue>(limits, queue_time)) {
    queue->waker().set([this](std::chrono::milliseconds delay) {
      if (delay.count() > 0)
        caf::delayed_anon_send(aut, delay, caf::flush_atom_v);
      else
        caf::anon_send(aut, caf::flush_atom_v);
    });
    start();
  }

  ~fixture() {
    queue->close();
    kill(aut);
  }

  void start() {
    auto parts = std::make_shared<log_dependencies>();
    parts->queue = queue;
    parts->store = std::make_unique<fake_log_store>(file);
    parts->move_damaged_file = [this]() -> caf::expected<std::string> {
      if (cannot_move)
        return make_error(errc::read_only, "the folder may not be written");
      ++moved_files;
      file.entries.clear();
      file.fault = fault_after_move;
      return std::string{"logs.db.damaged-1"};
    };
    parts->warn = [this](std::string_view text) { warnings.emplace_back(text); };
    parts->stats = stats;
    parts->time = &time;
    aut = sys.spawn(sluice::log, parts);
    run();
  }

  void say(int first, int count = 1) {
    for (auto i = first; i < first + count; ++i)
      queue->push(log_level::info, "test", std::to_string(i));
    run();
  }

  void pass(std::chrono::milliseconds by) {
    queue_time->advance(by);
    advance(by);
  }

  log_status status() const {
    auto result = stats->log.get();
    queue->describe(result);
    return result;
  }

  texts list() {
    auto page = ask<log_page>(aut, log_query{});
    run();
    REQUIRE(ok(page));
    texts result;
    for (const auto& entry : (**page)->entries)
      result.push_back(entry.message);
    return result;
  }
};

} // namespace

TEST_CASE("log entries are in the file after the interval, in one transaction") {
  fixture f;
  CHECK(f.quiet());
  f.say(0, 3);
  f.pass(1'999ms);
  CHECK(f.file.entries.empty());
  f.pass(1ms);
  CHECK(f.file.messages() == texts{"0", "1", "2"});
  CHECK(f.file.appends == std::vector<size_t>{3});
  CHECK(f.status().written == 3);
  CHECK(f.status().queued == 0);
  CHECK_FALSE(f.status().failing);
}

TEST_CASE("a full batch of log entries does not wait for the interval") {
  fixture f;
  f.say(0, 49);
  CHECK(f.file.entries.empty());
  f.say(49);
  CHECK(f.file.entries.size() == 50);
}

TEST_CASE("a flood is written in transactions of a thousand") {
  fixture f;
  for (auto i = 0; i < 2'500; ++i)
    f.queue->push(log_level::info, "test", std::to_string(i));
  f.run();
  CHECK(f.file.appends == std::vector<size_t>{1'000, 1'000, 500});
  CHECK(f.status().written == 2'500);
}

TEST_CASE("a continuous flood of entries does not block the log, and is written to the last entry") {
  fixture f;
  auto flood = [&] {
    for (int i = 0; i < 1'000; ++i)
      f.queue->push(log_level::info, "test", "more");
  };
  f.file.on_append = [&] {
    if (f.file.appends.size() < 100)
      flood();
  };
  auto page = f.ask<log_page>(f.aut, log_query{});
  flood();
  f.run();
  CHECK(ok(page));
  // The first listing is that of the pruning.
  REQUIRE(f.file.listed_at.size() == 2);
  CHECK(f.file.listed_at[1] < 20);
  CHECK(f.file.entries.size() == 100'000);
  CHECK(f.status().queued == 0);
}

TEST_CASE("listing the log includes waiting entries") {
  fixture f;
  f.say(0, 3);
  CHECK(f.list() == texts{"0", "1", "2"});
}

TEST_CASE("dropped entries are reported by one entry in their place") {
  fixture f{{100, 200, 2s, 1'000}};
  f.say(0, 130);
  CHECK(f.status().dropped == 30);
  f.pass(2s);
  REQUIRE(f.file.entries.size() == 101);
  CHECK(f.file.entries[0].level == log_level::warning);
  CHECK(f.file.entries[0].message.find("30 log entries are missing") == 0);
  CHECK(f.file.entries[1].message == "30");
  CHECK(f.status().written == 100);
  f.say(130);
  f.pass(2s);
  CHECK(f.file.entries.size() == 102);
}

TEST_CASE("writing to a failing log file is retried with growing pauses, and reported once") {
  fixture f;
  f.file.fault = errc::disk_full;
  f.say(0, 3);
  f.pass(2s);
  CHECK(f.status().failing);
  CHECK(f.status().last_error == "the log file is damaged");
  CHECK(f.status().queued == 3);
  CHECK(f.warnings == texts{"the log file cannot be written: the log file is damaged"});
  f.say(3, 100);
  f.file.fault.reset();
  f.pass(999ms);
  CHECK(f.file.entries.empty());
  f.file.fault = errc::disk_full;
  f.pass(1ms);
  f.file.fault.reset();
  f.pass(1'999ms);
  CHECK(f.file.entries.empty());
  f.pass(1ms);
  CHECK(f.file.entries.size() == 103);
  CHECK(f.file.messages()[0] == "0");
  CHECK_FALSE(f.status().failing);
  CHECK(f.status().written == 103);
  CHECK(f.warnings.size() == 1);
  // The next failure counts as a new one.
  f.file.fault = errc::disk_full;
  f.say(103);
  f.pass(2s);
  CHECK(f.warnings.size() == 2);
}

TEST_CASE("pauses between tries to write the log are at most half a minute") {
  fixture f;
  f.file.fault = errc::disk_full;
  f.say(0);
  for (int i = 0; i < 600; ++i)
    f.pass(1s);
  f.file.fault.reset();
  f.pass(29s);
  f.pass(1s);
  CHECK(f.file.messages() == texts{"0"});
}

TEST_CASE("entries lost while the file refuses writes are counted exactly and reported when it works again") {
  fixture f{{100, 10, 2s, 1'000}};
  f.file.fault = errc::io_error;
  f.say(0, 350);
  f.pass(10s);
  f.say(350, 50);
  auto status = f.status();
  CHECK(status.dropped + status.lost == 300);
  CHECK(status.queued == 100);
  f.file.fault.reset();
  f.pass(1min);
  REQUIRE(f.file.entries.size() == 101);
  CHECK(f.file.messages()[0].find("300 log entries are missing") == 0);
  CHECK(f.file.messages()[100] == "399");
  CHECK(f.status().written == 100);
}

TEST_CASE("while the file refuses writes, listing returns the existing entries or the error") {
  fixture f;
  f.file.fault = errc::io_error;
  f.say(0);
  auto page = f.ask<log_page>(f.aut, log_query{});
  f.run();
  CHECK(failure_of(page).code == errc::io_error);
  CHECK(f.status().failing);
}

TEST_CASE("a damaged log file is renamed and replaced, and reported once in the new one and to the host") {
  fixture f;
  f.file.fault = errc::corrupt;
  f.say(0, 3);
  f.pass(2s);
  CHECK(f.moved_files == 1);
  REQUIRE(f.file.entries.size() == 4);
  CHECK(f.file.entries[0].level == log_level::error);
  CHECK(f.file.messages()[0].find("logs.db.damaged-1") != std::string::npos);
  CHECK(f.file.messages()[3] == "2");
  CHECK(f.warnings == texts{f.file.messages()[0]});
  CHECK(f.status().files_set_aside == 1);
  CHECK(f.status().written == 3);
  CHECK_FALSE(f.status().failing);
}

TEST_CASE("the log does not report a new file before that file exists") {
  fixture f;
  f.file.fault = errc::corrupt;
  f.fault_after_move = errc::io_error;
  f.say(0);
  f.pass(2s);
  CHECK(f.moved_files == 1);
  REQUIRE_FALSE(f.warnings.empty());
  CHECK(f.warnings[0].find("logs.db.damaged-1") != std::string::npos);
  for (const auto& text : f.warnings)
    CHECK(text.find("a new one was begun") == std::string::npos);
}

TEST_CASE("damage that only a reader finds also replaces the log file") {
  fixture f;
  f.say(0);
  f.pass(2s);
  f.file.fault = errc::corrupt;
  CHECK(f.list().size() == 1);
  CHECK(f.moved_files == 1);
  CHECK(f.status().files_set_aside == 1);
}

TEST_CASE("damage that pruning finds also replaces the log file") {
  fixture f;
  f.say(0);
  f.pass(2s);
  f.file.fault = errc::corrupt;
  f.pass(1h);
  CHECK(f.moved_files == 1);
  CHECK(f.file.entries.size() == 1);
}

TEST_CASE("a damaged log file that cannot be renamed counts as not writable") {
  fixture f;
  f.file.fault = errc::corrupt;
  f.cannot_move = true;
  f.say(0);
  f.pass(2s);
  CHECK(f.status().failing);
  CHECK(f.status().last_error == "the folder may not be written");
  CHECK(f.status().queued == 1);
  auto page = f.ask<log_page>(f.aut, log_query{});
  f.run();
  CHECK(failure_of(page).code == errc::corrupt);
  f.cannot_move = false;
  f.pass(1min);
  CHECK(f.file.messages().back() == "0");
}

TEST_CASE("entries older than the retention are removed every hour, as long as there are any") {
  fixture f;
  f.say(0);
  f.pass(2s);
  f.pass(100h);
  f.say(1);
  f.pass(2s);
  f.pass(67h);
  CHECK(f.file.messages() == texts{"0", "1"});
  f.pass(2h);
  CHECK(f.file.messages() == texts{"1"});
  CHECK(f.status().pruned == 1);
  f.pass(100h);
  CHECK(f.file.entries.empty());
  CHECK(f.status().pruned == 2);
  // An empty log schedules no wake-up.
  CHECK(f.quiet());
  f.say(2);
  f.pass(2s);
  CHECK_FALSE(f.quiet());
}

TEST_CASE("entries of a former broker are pruned with the first new entries") {
  fixture f;
  log_entry old;
  old.ts_us = wall_us(f.time) - std::chrono::microseconds{169h}.count();
  f.file.entries.push_back(old);
  f.say(0);
  f.pass(2s);
  CHECK(f.file.messages() == texts{"0"});
}

TEST_CASE("pruning that fails is tried again after an hour") {
  fixture f;
  f.say(0);
  f.pass(2s);
  f.file.fault = errc::busy;
  f.pass(200h);
  f.file.fault.reset();
  f.pass(1h);
  CHECK(f.file.entries.empty());
}

TEST_CASE("after a log actor is killed its successor writes the entries in the queue") {
  fixture f;
  f.say(0, 3);
  f.kill(f.aut);
  CHECK(f.file.open_stores == 0);
  f.say(3, 60);
  f.start();
  // Starts a successor, as the supervisor does.
  caf::anon_send(f.aut, caf::flush_atom_v);
  f.run();
  CHECK(f.file.entries.size() == 63);
  f.say(63);
  f.pass(2s);
  CHECK(f.file.entries.size() == 64);
  f.say(64, 50);
  CHECK(f.file.entries.size() == 114);
}

TEST_CASE("a log store that throws ends no actor") {
  fixture f;
  f.file.throws = true;
  f.say(0);
  f.pass(2s);
  CHECK(f.status().failing);
  CHECK(f.status().last_error == "the store threw");
  f.file.throws = false;
  f.pass(1s);
  CHECK(f.file.messages() == texts{"0"});
}

TEST_CASE("closing the log writes everything and accepts no more entries") {
  fixture f;
  f.say(0, 3);
  auto closed = f.ask<caf::ok_atom>(f.aut, caf::close_atom_v);
  f.run();
  CHECK(ok(closed));
  CHECK(f.file.messages() == texts{"0", "1", "2"});
  CHECK(f.file.open_stores == 0);
  f.say(3);
  CHECK(f.status().dropped == 1);
}

TEST_CASE("entries that cannot be written at the end are lost and counted") {
  fixture f;
  f.file.fault = errc::disk_full;
  f.say(0, 3);
  auto closed = f.ask<caf::ok_atom>(f.aut, caf::close_atom_v);
  f.run();
  CHECK(ok(closed));
  CHECK(f.status().lost == 3);
  CHECK(f.status().queued == 0);
}

} // namespace sluice::test::log_actor_test
