#include "runtime/broker/log_sink.hpp"
#include "runtime/broker/retry.hpp"
#include "tests/system/fixture.hpp"

#include <spdlog/logger.h>

#include <atomic>
#include <fstream>
#include <set>

namespace sluice::test::logs_test {

using namespace std::chrono_literals;

namespace {

struct lock_holder : child_process {
  explicit lock_holder(const std::filesystem::path& file) : child_process(LOCK_HOLDER, {file.string()}) {
    REQUIRE(line() == "held");
  }
};

std::filesystem::path log_file_of(const std::filesystem::path& root) { return root / ".sluice" / "logs.db"; }

std::vector<std::string> messages_of(const broker& host, log_query query = {}) {
  query.limit = 100'000;
  std::vector<std::string> result;
  for (auto& entry : must(host.recent_logs(query)).entries)
    result.push_back(std::move(entry.message));
  return result;
}

std::vector<std::filesystem::path> damaged_logs_in(const std::filesystem::path& root) {
  std::vector<std::filesystem::path> result;
  for (const auto& each : std::filesystem::directory_iterator{root / ".sluice"})
    if (each.path().filename().string().find("damaged") != std::string::npos)
      result.push_back(each.path());
  return result;
}

} // namespace

TEST_CASE("ten thousand log entries are written while an external process has the database's lock", "[system]") {
  one_database database{[](broker_config& cfg) { cfg.retry_attempts = 100; }};
  must(database.db.write("host", "CREATE TABLE t (n)"));
  lock_holder other{database.file()};
  auto waiting = database.db.write_async(write_of("agent", {{"INSERT INTO t VALUES (1)", {}}}));
  await([&] { return database.db.status().retry.lock_errors >= 1; });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2'500; ++i)
        database.host.log(log_level::info, "test", std::to_string(t * 2'500 + i), "agent");
    });
  for (auto& each : threads)
    each.join();
  await([&] { return database.host.status().log.written == 10'000; });
  // The lock is still held.
  CHECK(waiting.wait_for(0s) == std::future_status::timeout);
  auto status = database.host.status().log;
  CHECK(status.dropped == 0);
  CHECK(status.lost == 0);
  CHECK(status.queued == 0);
  auto seen = messages_of(database.host);
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 10'000);
  other.release();
  must(answer_of(waiting));
}

TEST_CASE("a shutdown writes all entries logged until then, and leaves one file", "[system]") {
  temp_dir folder;
  {
    auto host = open_broker(folder.path());
    for (int i = 0; i < 1'234; ++i)
      host.log(log_level::info, "test", std::to_string(i));
    host.shutdown();
    host.log(log_level::info, "test", "too late");
    auto status = host.status().log;
    CHECK(status.written == 1'234);
    CHECK(status.dropped == 1);
    CHECK_FALSE(host.recent_logs({}));
  }
  for (const auto* suffix : {"-wal", "-shm"})
    CHECK_FALSE(std::filesystem::exists(log_file_of(folder.path()).string() + suffix));
  CHECK(integer_of(log_file_of(folder.path()), "SELECT count(*) FROM log") == 1'234);
}

TEST_CASE("without a log entry a query creates no log file", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path());
  CHECK(messages_of(host).empty());
  host.shutdown();
  CHECK_FALSE(std::filesystem::exists(log_file_of(folder.path())));
}

TEST_CASE("log entries survive the log actor", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path(), [](broker_config& cfg) { cfg.log_interval = 50ms; });
  for (int round = 0; round < 3; ++round) {
    host.log(log_level::info, "test", "before " + std::to_string(round));
    auto restarts = host.status().restarts;
    caf::anon_send_exit(host.actors().log(), caf::exit_reason::kill);
    host.log(log_level::info, "test", "during " + std::to_string(round));
    await([&] { return host.status().restarts > restarts; });
    host.log(log_level::info, "test", "after " + std::to_string(round));
    auto all = static_cast<uint64_t>(3 * round + 3);
    await([&] { return host.status().log.written == all; });
  }
  CHECK(messages_of(host).size() == 9);
}

TEST_CASE("a damaged log file loses no new entry, and the host is warned", "[system]") {
  temp_dir folder;
  std::filesystem::create_directory(folder / ".sluice");
  std::ofstream{log_file_of(folder.path())} << std::string(10'000, 'x');
  // The broker would replace a file that others may read.
  std::filesystem::permissions(log_file_of(folder.path()),
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  auto host = open_broker(folder.path());
  std::promise<std::string> warning;
  host.on_warning([&](std::string_view text) { warning.set_value(std::string{text}); });
  host.log(log_level::info, "test", "entry");
  auto seen = messages_of(host);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0] == warning.get_future().get());
  CHECK(seen[1] == "entry");
  CHECK(damaged_logs_in(folder.path()).size() == 1);
  CHECK(host.status().log.files_set_aside == 1);
}

TEST_CASE("threads may log while the broker ends, and after it", "[system]") {
  temp_dir folder;
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> pushed{0};
  std::vector<std::thread> threads;
  std::optional<logger> kept;
  uint64_t written = 0;
  for (int round = 0; round < 5; ++round) {
    auto host = open_broker(folder.path(), [](broker_config& cfg) { cfg.log_interval = 1ms; });
    kept = host.logs();
    stop = false;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&, out = host.logs()] {
        while (!stop) {
          out.log(log_level::debug, "thread", "entry");
          ++pushed;
        }
      });
    auto before = pushed.load();
    await([&] { return pushed > before + 1'000; });
    auto status = [&] {
      host.shutdown();
      return host.status().log;
    }();
    written += status.written;
    CHECK(status.queued == 0);
    { auto gone = std::move(host); }
    before = pushed.load();
    await([&] { return pushed > before + 1'000; });
    stop = true;
    for (auto& each : threads)
      each.join();
    threads.clear();
  }
  auto dropped = kept->dropped();
  kept->log(log_level::info, "test", "nobody is there");
  CHECK(kept->dropped() == dropped + 1);
  auto in_file = integer_of(log_file_of(folder.path()), "SELECT count(*) FROM log WHERE source = 'thread'");
  CHECK(in_file == static_cast<int64_t>(written));
}

TEST_CASE("entries that a host logs with spdlog are in the log database unchanged", "[system]") {
  temp_dir folder;
  auto host = std::make_unique<broker>(open_broker(folder.path()));
  spdlog::logger log{"scanner", make_log_sink(*host, "alice")};
  log.set_level(spdlog::level::trace);
  log.set_pattern("%v, but not like this");
  log.trace("one");
  log.debug("two {}", 2);
  log.info("three");
  log.warn("four");
  log.error("five");
  log.critical("six");
  log.flush();
  auto entries = must(host->recent_logs({})).entries;
  REQUIRE(entries.size() == 6);
  const std::array levels{log_level::trace,   log_level::debug, log_level::info,
                          log_level::warning, log_level::error, log_level::critical};
  for (size_t i = 0; i < levels.size(); ++i)
    CHECK(entries[i].level == levels[i]);
  CHECK(entries[1].message == "two 2");
  CHECK(entries[1].source == "scanner");
  CHECK(entries[1].agent == "alice");
  auto kept = host->logs();
  host.reset();
  log.info("nobody is there");
  CHECK(kept.dropped() == 1);
}

TEST_CASE("a host's own retries show in the status, and all retry counters can be reset", "[system]") {
  one_database database{[](broker_config& cfg) {
    cfg.retry_attempts = 0;
    cfg.busy_timeout = 1ms;
  }};
  must(database.db.write("host", "CREATE TABLE t (n)"));
  auto other = std::make_unique<lock_holder>(database.file());
  retry_options options;
  options.counters = &database.host.retries();
  // The lock is released between two tries.
  options.sleep = [&](std::chrono::milliseconds) {
    other->release();
    other->wait();
  };
  must(retry(
    {}, [&] { return database.db.write("host", "INSERT INTO t VALUES (1)"); }, options));
  auto status = database.host.status();
  CHECK(status.host_retry.lock_errors == 1);
  CHECK(status.host_retry.successes_after_retry == 1);
  CHECK(status.databases.at(0).retry.lock_errors == 1);
  CHECK(status.databases.at(0).retry.failures == 1);
  database.host.reset_retries();
  status = database.host.status();
  CHECK(status.host_retry.lock_errors == 0);
  CHECK(status.databases.at(0).retry.lock_errors == 0);
  CHECK(status.databases.at(0).retry.failures == 0);
}

} // namespace sluice::test::logs_test
