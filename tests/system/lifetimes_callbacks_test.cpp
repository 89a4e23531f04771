// Callbacks of a host (on_warning, on_failure) that destroy the broker whose thread calls them.
#include "tests/support/temp_dir.hpp"
#include "tests/system/fixture.hpp"
#include "tests/system/situation.hpp"

namespace sluice::test::lifetimes_callbacks_test {

using namespace lifetimes;

namespace {

struct fixture {
  fixture() {
    auto config = config_of(folder.path());
    // Written by another broker, because a broker reports at most one slow request a second.
    must(must(must(broker::open(config)).open_database("app.db")).write(make_tables()));
    // The writer warns about every slow write.
    config.slow_execution = 1ms;
    if (GENERATE(true, false))
      system = std::make_unique<host_system>(1);
    host = std::make_unique<broker>(must(system ? broker::open(system->get(), config) : broker::open(config)));
    db.emplace(must(host->open_database("app.db")));
  }

  /// Returns when the write is answered; the broker warns after the answer.
  void cause_warning() {
    write_request slow;
    slow.agent = "agent";
    slow.statements = {{"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 200000) "
                        "INSERT INTO t SELECT x FROM n",
                        {}}};
    must(db->write(slow));
  }

  void cause_failure() { caf::anon_send_exit(host->actors().supervisor(), caf::exit_reason::kill); }

  /// Opens the folder again, which waits for the end of the first broker, and finds all acknowledged rows.
  void require_reopened(int64_t rows) {
    must(must(broker::open(config_of(folder.path()))).open_database("app.db"));
    CHECK(integer_of(folder / "app.db", "SELECT count(*) FROM t") == rows);
  }

  temp_dir folder;
  resources before;
  std::unique_ptr<host_system> system;
  std::unique_ptr<broker> host;
  std::optional<database> db;
  std::promise<void> called;
};

} // namespace

TEST_CASE("a host destroys its broker in the callback that reports its failure", "[system][lifetimes]") {
  fixture f;
  must(f.db->write(insert(1)));
  f.host->on_failure([&](const failure&) {
    f.host.reset();
    f.called.set_value();
  });
  {
    watchdog limit{"a broker that is destroyed in on_failure"};
    f.cause_failure();
    f.called.get_future().wait();
    CHECK(refused(f.db->write(insert(2))).code == errc::unavailable);
    f.require_reopened(1);
    f.system.reset();
  }
  CHECK_NOTHROW(f.before.require_back());
}

TEST_CASE("a host destroys its broker in the callback that it set after the failure", "[system][lifetimes]") {
  fixture f;
  watchdog limit{"a broker that is destroyed by on_failure itself"};
  f.cause_failure();
  await([&] { return f.host->why_failed().has_value(); });
  f.host->on_failure([&](const failure&) { f.host.reset(); });
  CHECK_FALSE(f.host);
  f.require_reopened(0);
}

TEST_CASE("a host destroys its broker and front door in the callback of a warning", "[system][lifetimes]") {
  fixture f;
  auto door = must(front_door::open(*f.host, {}));
  f.host->on_warning([&, is_first = true](std::string_view) mutable {
    if (!std::exchange(is_first, false))
      return;
    f.host.reset();
    f.called.set_value();
  });
  {
    watchdog limit{"a broker that is destroyed in on_warning"};
    f.cause_warning();
    f.called.get_future().wait();
    f.require_reopened(200'000);
    door.reset();
    f.system.reset();
  }
  CHECK_NOTHROW(f.before.require_back());
}

TEST_CASE("calls that would wait for the broker are refused in the callback of a warning", "[system][lifetimes]") {
  fixture f;
  watchdog limit{"calls in on_warning"};
  std::vector<failure> error;
  f.host->on_warning([&, is_first = true](std::string_view) mutable {
    if (!std::exchange(is_first, false))
      return;
    error.push_back(describe(f.db->write(insert(1)).error()));
    error.push_back(describe(f.db->read(count_rows()).error()));
    error.push_back(describe(f.host->open_database("other.db").error()));
    error.push_back(describe(f.host->audit({}).error()));
    error.push_back(describe(f.host->shutdown()));
    // Calls that do not wait are executed.
    f.host->log(log_level::info, "host", "warned");
    f.called.set_value();
  });
  f.cause_warning();
  f.called.get_future().wait();
  REQUIRE(error.size() == 5);
  for (const auto& each : error) {
    CHECK(each.code == errc::invalid_request);
    CHECK(each.message.find("by a thread of the broker, in on_warning or on_failure") != std::string::npos);
  }
  f.host->on_warning({});
  CHECK_FALSE(f.host->shutdown());
}

} // namespace sluice::test::lifetimes_callbacks_test
