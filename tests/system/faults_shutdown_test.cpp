#include "runtime/store/store_lock.hpp"
#include "tests/system/fixture.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>

namespace sluice::test::faults_shutdown_test {

namespace {

using namespace std::chrono_literals;

const sql_text make_log{"CREATE TABLE log (n INTEGER NOT NULL)"};
const sql_text add{"INSERT INTO log (n) VALUES (?)"};
const sql_text endless{"WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c, log"};

// The files that SQLite keeps beside databases in use, anywhere under the root.
std::vector<std::string> logs_in(const std::filesystem::path& root) {
  std::vector<std::string> result;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{root}) {
    auto name = entry.path().filename().string();
    if (name.ends_with("-wal") || name.ends_with("-shm") || name.ends_with("-journal"))
      result.push_back(name);
  }
  std::sort(result.begin(), result.end());
  return result;
}

using names = std::vector<std::string>;

read_request running_long(std::string id) {
  auto result = read_of("reader", endless);
  result.request_id = std::move(id);
  result.limits.timeout = 10min;
  return result;
}

/// Keeps the messages that it receives.
struct ear {
  explicit ear(caf::actor_system& system) {
    auto take = [this](invalidation_listener::pointer) -> invalidation_listener::behavior_type {
      return {[this](const invalidation& invalidation) {
        std::lock_guard guard{mutex_};
        heard_.push_back(invalidation);
      }};
    };
    actor = system.spawn(take);
  }

  ~ear() { caf::anon_send_exit(actor, caf::exit_reason::kill); }

  std::vector<invalidation> heard() {
    std::lock_guard guard{mutex_};
    return heard_;
  }

  invalidation_listener actor;

private:
  std::mutex mutex_;
  std::vector<invalidation> heard_;
};

} // namespace

TEST_CASE("a broker that is shut down leaves nothing beside its databases", "[system]") {
  one_database database;
  auto other = must(database.host.open_database("other.db"));
  must(database.db.write("host", make_log));
  must(database.db.write("agent", add, {1}));
  must(other.write("host", make_log));
  for (int i = 0; i < 20; ++i) {
    must(database.db.read(read_of("reader", "SELECT count(*) FROM log", freshness::fresh)));
    must(other.read("reader", "SELECT count(*) FROM log"));
  }
  must(database.host.audit({}));
  CHECK(must(database.host.verify_audit()).intact());
  CHECK(!logs_in(database.folder.path()).empty());
  database.host.shutdown();
  CHECK(logs_in(database.folder.path()) == names{});
  CHECK(integer_of(database.file(), "SELECT count(*) FROM log") == 1);
}

TEST_CASE("no files are left of a database that was only read or compared with the audit", "[system]") {
  temp_dir folder;
  {
    auto host = open_broker(folder.path());
    for (auto* name : {"read.db", "untouched.db"})
      must(must(host.open_database(name)).write("host", make_log));
  }
  CHECK(logs_in(folder.path()) == names{});
  {
    auto host = open_broker(folder.path());
    auto db = must(host.open_database("read.db"));
    must(db.read(read_of("reader", "SELECT count(*) FROM log", freshness::fresh)));
    must(host.audit({}));
  }
  CHECK(logs_in(folder.path()) == names{});
}

TEST_CASE("running queries neither delay a shutdown nor leave files", "[system]") {
  one_database database;
  must(database.db.write("host", make_log));
  must(database.db.write("agent", add, {1}));
  std::vector<std::future<caf::expected<read_result>>> reads;
  for (int i = 0; i < 12; ++i) {
    auto request = running_long(std::to_string(i));
    request.query.params = {};
    request.query.sql = sql_text{endless.str() + " WHERE log.n <> " + std::to_string(i + 10)};
    reads.push_back(database.db.read_async(request));
  }
  await([&] { return database.host.status().cache.misses >= 12; });
  auto write = database.db.write_async(write_of("agent", {{add, {2}}}));
  auto begin = std::chrono::steady_clock::now();
  database.host.shutdown();
  CHECK(std::chrono::steady_clock::now() - begin < 30s);
  for (auto& read : reads)
    CHECK(refused(answer_of(read)).code == errc::unavailable);
  auto written = answer_of(write);
  CHECK(logs_in(database.folder.path()) == names{});
  CHECK(integer_of(database.file(), "SELECT count(*) FROM log") == (written ? 2 : 1));
}

TEST_CASE("a database that another process has open keeps its files, until that process closes it", "[system]") {
  one_database database;
  must(database.db.write("host", make_log));
  auto someone = std::make_unique<external_process>(database.file());
  someone->run("SELECT count(*) FROM log");
  must(database.db.write("agent", add, {1}));
  database.host.shutdown();
  CHECK(logs_in(database.folder.path()) == names{"app.db-shm", "app.db-wal"});
  someone->run("INSERT INTO log (n) VALUES (2)");
  someone.reset();
  CHECK(logs_in(database.folder.path()) == names{});
  CHECK(integer_of(database.file(), "SELECT count(*) FROM log") == 2);
}

TEST_CASE("no files are left when an actor was killed before the shutdown", "[system]") {
  one_database database;
  must(database.db.write("host", make_log));
  must(database.db.read(read_of("reader", "SELECT count(*) FROM log", freshness::fresh)));
  auto restarts = database.host.status().restarts;
  switch (GENERATE(range(0, 3))) {
  case 0:
    caf::anon_send_exit(must(database.host.actors().context("app.db").route()).writer, caf::exit_reason::kill);
    break;
  case 1: caf::anon_send_exit(database.host.actors().cache(), caf::exit_reason::kill); break;
  default: caf::anon_send_exit(database.host.actors().audit(), caf::exit_reason::kill);
  }
  await([&] { return database.host.status().restarts > restarts; });
  database.host.shutdown();
  CHECK(logs_in(database.folder.path()) == names{});
}

TEST_CASE("a running query is interrupted by cancelling its id, and its reader runs the next one", "[system]") {
  one_database database{[](broker_config& cfg) { cfg.readers = 1; }};
  must(database.db.write("host", make_log));
  must(database.db.write("agent", add, {1}));
  auto reading = database.db.read_async(running_long("long"));
  await([&] { return database.host.status().cache.misses >= 1; });
  caf::scoped_actor self{database.host.system()};
  auto cancel = [&](const std::string& id) {
    auto found = false;
    self->request(database.host.actors().cache(), caf::infinite, cancel_atom{}, id)
      .receive([&](bool was) { found = was; }, [](const caf::error& error) { FAIL(describe(error).message); });
    return found;
  };
  CHECK_FALSE(cancel("other"));
  CHECK(cancel("long"));
  auto error = refused(answer_of(reading));
  CHECK(error.code == errc::cancelled);
  CHECK(error.request_id == "long");
  // With one reader, this answer means that the query has ended.
  must(database.db.read(read_of("reader", "SELECT count(*) FROM log", freshness::fresh)));
  audit_query query;
  query.status = "cancelled";
  await([&] { return must(database.host.audit(query)).records.size() == 1; });
  CHECK(must(database.host.audit(query)).records[0].request_id == "long");
}

TEST_CASE("a listener gets every commit once and in order, under many writers", "[system]") {
  one_database database;
  ear listener{database.host.system()};
  database.db.listen(listener.actor);
  must(database.db.write("host", make_log));
  std::vector<std::future<caf::expected<write_result>>> writes;
  uint64_t last = 0;
  for (int i = 0; i < 50; ++i) {
    for (int k = 0; k < 20; ++k)
      writes.push_back(database.db.write_async(write_of("agent", {{add, {i * 20 + k}}})));
    for (auto& write : std::exchange(writes, {}))
      last = std::max(last, must(answer_of(write)).commit_seq);
  }
  await([&] { return !listener.heard().empty() && listener.heard().back().commit_seq == last; });
  auto heard = listener.heard();
  REQUIRE(heard.size() == last);
  for (size_t i = 0; i < heard.size(); ++i) {
    CHECK(heard[i].commit_seq == i + 1);
    CHECK(heard[i].db == "app.db");
    CHECK((i == 0 || heard[i].tables == names{"log"}));
  }
  external_process someone{database.file()};
  someone.run("INSERT INTO log (n) VALUES (-1)");
  must(database.db.write("agent", add, {-2}));
  await([&] { return listener.heard().back().commit_seq == last + 1; });
  heard = listener.heard();
  CHECK(heard[heard.size() - 2].commit_seq == 0);
  CHECK(heard[heard.size() - 2].everything);
  database.db.unlisten(listener.actor);
}

TEST_CASE("a broker may be given a lock that was taken before, and actors may open databases without blocking",
          "[system]") {
  temp_dir folder;
  auto root = must(store_root::open(folder.path()));
  auto lock = must(store_lock::acquire(root, 0ms));
  auto host = must(broker::open(broker_config{}, root, std::move(lock)));
  CHECK(refused(store_lock::acquire(root, 0ms)).code == errc::busy);
  CHECK(must(host.resolve("./app.db")) == "app.db");
  CHECK(refused(host.resolve("../app.db")).code == errc::invalid_request);
  std::promise<caf::expected<write_result>> answer;
  auto asked = answer.get_future();
  host.system().spawn([&](caf::event_based_actor* self) {
    auto fail = [&](caf::error& error) { answer.set_value(std::move(error)); };
    host.open_database(self, "app.db")
      .then(
        [&, self, fail](caf::ok_atom) {
          host.opened("app.db")
            .write(self, write_of("actor", {{make_log, {}}}))
            .then([&](write_result& x) { answer.set_value(std::move(x)); }, fail);
        },
        fail);
  });
  CHECK(must(answer_of(asked)).commit_seq == 1);
}

} // namespace sluice::test::faults_shutdown_test
