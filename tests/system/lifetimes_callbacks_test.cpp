// Functions of the host that a broker calls in its own threads, and that end it.
#include "tests/support/temp_dir.hpp"
#include "tests/system/fixture.hpp"
#include "tests/system/situation.hpp"

namespace sluice::test::lifetimes_callbacks_test {

using namespace lifetimes;

namespace {

struct fixture {
  fixture() {
    auto config = config_of(folder.path());
    // By another broker, which warns of nothing: one that has just warned of a slow write does not warn of the next.
    must(must(must(broker::open(config)).open_database("app.db")).write(make_tables()));
    // Any write that takes its time is warned about, by its writer.
    config.slow_execution = 1ms;
    if (GENERATE(true, false))
      system = std::make_unique<host_system>(1);
    host = std::make_unique<broker>(must(system ? broker::open(system->get(), config) : broker::open(config)));
    db.emplace(must(host->open_database("app.db")));
  }

  /// The answer comes from the thread that warns, before that.
  void cause_warning() {
    write_request slow;
    slow.agent = "agent";
    slow.statements = {{"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 200000) "
                        "INSERT INTO t SELECT x FROM n",
                        {}}};
    must(db->write(slow));
  }

  void cause_failure() { caf::anon_send_exit(host->actors().supervisor(), caf::exit_reason::kill); }

  /// The next opening waits for the end, and finds all acknowledged rows.
  void require_reopened(int64_t rows) {
    must(must(broker::open(config_of(folder.path()))).open_database("app.db"));
    CHECK(integer_of(folder / "app.db", "SELECT count(*) FROM t") == rows);
  }

  temp_dir folder;
  resources before;
  std::unique_ptr<host_system> system;
  std::unique_ptr<broker> host;
  std::optional<database> db;
  std::promise<void> told;
};

} // namespace

TEST_CASE("a host destroys its broker in the callback that reports its failure", "[system][lifetimes]") {
  fixture x;
  must(x.db->write(insert(1)));
  x.host->on_failure([&](const failure&) {
    x.host.reset();
    x.told.set_value();
  });
  {
    watchdog limit{"a broker that is destroyed in on_failure"};
    x.cause_failure();
    x.told.get_future().wait();
    CHECK(refused(x.db->write(insert(2))).code == errc::unavailable);
    x.require_reopened(1);
    x.system.reset();
  }
  CHECK_NOTHROW(x.before.require_back());
}

TEST_CASE("a host destroys its broker when it asks whether it has failed", "[system][lifetimes]") {
  fixture x;
  watchdog limit{"a broker that is destroyed by on_failure itself"};
  x.cause_failure();
  await([&] { return x.host->why_failed().has_value(); });
  x.host->on_failure([&](const failure&) { x.host.reset(); });
  CHECK_FALSE(x.host);
  x.require_reopened(0);
}

TEST_CASE("a host destroys its broker, and a front door with it, where it is warned", "[system][lifetimes]") {
  fixture x;
  auto door = must(front_door::open(*x.host, {}));
  x.host->on_warning([&, is_first = true](std::string_view) mutable {
    if (!std::exchange(is_first, false))
      return;
    x.host.reset();
    x.told.set_value();
  });
  {
    watchdog limit{"a broker that is destroyed in on_warning"};
    x.cause_warning();
    x.told.get_future().wait();
    x.require_reopened(200'000);
    door.reset();
    x.system.reset();
  }
  CHECK_NOTHROW(x.before.require_back());
}

TEST_CASE("calls that would wait for the broker are refused where it warns its host", "[system][lifetimes]") {
  fixture x;
  watchdog limit{"calls in on_warning"};
  std::vector<failure> why;
  x.host->on_warning([&, is_first = true](std::string_view) mutable {
    if (!std::exchange(is_first, false))
      return;
    why.push_back(describe(x.db->write(insert(1)).error()));
    why.push_back(describe(x.db->read(count_rows()).error()));
    why.push_back(describe(x.host->open_database("other.db").error()));
    why.push_back(describe(x.host->audit({}).error()));
    why.push_back(describe(x.host->shutdown()));
    // Calls that do not wait are executed.
    x.host->log(log_level::info, "host", "warned");
    x.told.set_value();
  });
  x.cause_warning();
  x.told.get_future().wait();
  REQUIRE(why.size() == 5);
  for (const auto& each : why) {
    CHECK(each.code == errc::invalid_request);
    CHECK(each.message.find("by a thread of the broker, in on_warning or on_failure") != std::string::npos);
  }
  x.host->on_warning({});
  CHECK_FALSE(x.host->shutdown());
}

} // namespace sluice::test::lifetimes_callbacks_test
