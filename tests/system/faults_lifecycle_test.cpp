#include "tests/system/fixture.hpp"

#include <caf/all.hpp>

#include <fstream>
#include <map>

namespace sluice::test::faults_lifecycle_test {

namespace {

using namespace std::chrono_literals;

const sql_text make_log{"CREATE TABLE log (n INTEGER NOT NULL UNIQUE)"};
const sql_text add{"INSERT INTO log (n) VALUES (?)"};

// Returns when another writer has replaced it, or when there is none.
void kill_writer(const broker& host, const std::string& name) {
  auto& context = host.actors().context(name);
  auto victim = must(context.route()).writer;
  caf::anon_send_exit(victim, caf::exit_reason::kill);
  await([&] {
    auto route = context.route();
    return !route || route->writer != victim;
  });
}

std::map<std::string, int> committed_in_audit(const broker& host) {
  audit_query query;
  query.status = "committed";
  query.limit = 100'000;
  std::map<std::string, int> result;
  for (const auto& record : must(host.audit(query)).records)
    ++result[record.request_id];
  return result;
}

write_request numbered(int n) {
  auto request = write_of("agent", {{add, {n}}});
  request.request_id = "request-" + std::to_string(n);
  return request;
}

} // namespace

TEST_CASE("a writer that is killed six times puts its database in quarantine, and other databases are served",
          "[system]") {
  one_database database;
  auto other = must(database.host.open_database("other.db"));
  must(database.db.write("host", make_log));
  must(other.write("host", make_log));
  for (int i = 1; i <= 5; ++i) {
    kill_writer(database.host, "app.db");
    // A successor serves at once.
    await([&] { return static_cast<bool>(database.db.write("agent", add, {i})); });
  }
  CHECK_FALSE(database.db.status().quarantined);
  kill_writer(database.host, "app.db");
  await([&] { return database.db.status().quarantined; });
  auto error = refused(database.db.write("agent", add, {6}));
  CHECK(error.code == errc::unavailable);
  CHECK(error.outcome == outcome::not_committed);
  CHECK(error.message.find("quarantine") != std::string::npos);
  auto later = database.db.write_async(numbered(7));
  CHECK(refused(answer_of(later)).code == errc::unavailable);
  for (auto mode : {freshness::cached, freshness::fresh}) {
    CHECK(refused(database.db.read(read_of("agent", "SELECT count(*) FROM log", mode))).code == errc::unavailable);
    auto read = database.db.read_async(read_of("agent", "SELECT 5", mode));
    CHECK(refused(answer_of(read)).code == errc::unavailable);
  }
  must(other.write("agent", add, {1}));
  must(other.read("agent", "SELECT n FROM log"));
  CHECK_FALSE(other.status().quarantined);
  CHECK(integer_of(database.file(), "SELECT count(*) FROM log") == 5);
  require_sound(database.file());
  database.host.shutdown();
  // Quarantine ends with the broker.
  auto again = open_broker(database.folder.path());
  must(must(again.open_database("app.db")).write("agent", add, {6}));
}

TEST_CASE("a cached answer of a database in quarantine is not returned", "[system]") {
  one_database database{[](broker_config& cfg) {
    cfg.restart_limit = 1;
    cfg.cache_ttl = 1h;
  }};
  must(database.db.write("host", make_log));
  must(database.db.read("agent", "SELECT count(*) FROM log"));
  kill_writer(database.host, "app.db");
  kill_writer(database.host, "app.db");
  await([&] { return database.db.status().quarantined; });
  CHECK(refused(database.db.read("agent", "SELECT count(*) FROM log")).code == errc::unavailable);
}

TEST_CASE("requests that wait for a writer that dies are answered, and a retry with the key applies once", "[system]") {
  one_database database{[](broker_config& cfg) { cfg.retry_attempts = 100; }};
  must(database.db.write("host", make_log));
  external_process someone{database.file()};
  someone.run("BEGIN IMMEDIATE");
  std::vector<std::future<caf::expected<write_result>>> answers;
  for (int n = 0; n < 50; ++n) {
    auto request = numbered(n);
    request.idempotency_key = "key-" + std::to_string(n);
    answers.push_back(database.db.write_async(request));
  }
  await([&] { return database.db.status().queued == 50; });
  kill_writer(database.host, "app.db");
  for (auto& answer : answers) {
    auto error = refused(answer_of(answer));
    CHECK(error.code == errc::unavailable);
    CHECK(error.outcome == outcome::not_committed);
  }
  CHECK(database.db.status().queued == 0);
  someone.run("COMMIT");
  for (int n = 0; n < 50; ++n) {
    auto request = numbered(n);
    request.idempotency_key = "key-" + std::to_string(n);
    CHECK_FALSE(must(database.db.write(request)).replayed);
  }
  CHECK(database.number("SELECT count(*) FROM log") == 50);
  database.require_serving();
}

TEST_CASE("a damaged audit file is renamed, and a new one is completed from the ledger", "[system]") {
  temp_dir folder;
  { must(must(open_broker(folder.path()).open_database("app.db")).write("host", make_log)); }
  auto audit = folder / ".sluice" / "audit.db";
  for (const char* suffix : {"-wal", "-shm"})
    std::filesystem::remove(audit.string() + suffix);
  const std::string garbage(50'000, '#');
  std::ofstream{audit, std::ios::binary} << garbage;
  auto host = open_broker(folder.path());
  auto db = must(host.open_database("app.db"));
  for (int n = 0; n < 20; ++n)
    must(db.write(numbered(n)));
  CHECK((must(db.read("agent", "SELECT count(*) FROM log")).rows->at(0, 0) == value{20}));
  CHECK(committed_in_audit(host).size() == 21);
  CHECK(!must(host.verify_audit()).intact());
  // The damaged file is kept unchanged for an examination.
  auto kept = std::find_if(std::filesystem::directory_iterator{folder / ".sluice"}, {}, [](const auto& each) {
    return each.path().filename().string().starts_with("audit.db.damaged-") && each.file_size() == 50'000;
  });
  REQUIRE(kept != std::filesystem::directory_iterator{});
  std::ifstream in{kept->path(), std::ios::binary};
  CHECK(std::string{std::istreambuf_iterator<char>{in}, {}} == garbage);
}

TEST_CASE("records that a killed audit actor had not written are completed from the ledger, once", "[system]") {
  one_database database;
  must(database.db.write("host", make_log));
  auto restarts = database.host.status().restarts;
  audit_actor killed;
  auto replaced = [&] { return database.host.actors().audit() != killed; };
  for (int n = 0; n < 200; ++n) {
    must(database.db.write(numbered(n)));
    if (n % 40 == 20) {
      // Each is killed once, however slow the supervisor is.
      await(replaced);
      killed = database.host.actors().audit();
      caf::anon_send_exit(killed, caf::exit_reason::kill);
      // Some requests go to the dead actor.
      if (n % 80 == 20)
        await(replaced);
    }
  }
  await([&] { return database.host.status().restarts >= restarts + 5; });
  auto complete = [&](const broker& host) {
    auto audited = committed_in_audit(host);
    for (int n = 0; n < 200; ++n)
      if (audited["request-" + std::to_string(n)] != 1)
        return false;
    return true;
  };
  CHECK(complete(database.host));
  CHECK(must(database.host.verify_audit()).intact());
  CHECK_FALSE(database.db.status().quarantined);
  database.host.shutdown();
  auto again = open_broker(database.folder.path());
  must(again.open_database("app.db"));
  CHECK(complete(again));
  CHECK(must(again.verify_audit()).intact());
}

TEST_CASE("shutting down answers every accepted write, after it is on disk", "[system]") {
  temp_dir folder;
  std::vector<std::future<caf::expected<write_result>>> answers;
  {
    auto host = open_broker(folder.path(), [](broker_config& cfg) { cfg.retry_attempts = 100; });
    auto db = must(host.open_database("app.db"));
    must(db.write("host", make_log));
    auto someone = std::make_unique<external_process>(folder / "app.db");
    someone->run("BEGIN IMMEDIATE");
    for (int n = 0; n < 300; ++n)
      answers.push_back(db.write_async(numbered(n)));
    await([&] { return db.status().queued == 300; });
    someone->run("COMMIT");
    someone.reset();
    host.shutdown();
    host.shutdown();
    // No request is accepted any more, and refusals are immediate.
    auto error = refused(db.write(numbered(1'000)));
    CHECK(error.code == errc::unavailable);
    CHECK(error.outcome == outcome::not_committed);
    CHECK(refused(db.read("late", "SELECT 1")).code == errc::unavailable);
    auto late = db.read_async(read_of("late", "SELECT 1", freshness::fresh));
    CHECK(refused(answer_of(late)).code == errc::unavailable);
    CHECK(refused(host.open_database("late.db")).code == errc::unavailable);
    CHECK(refused(host.audit({})).code == errc::unavailable);
    CHECK(refused(host.verify_audit()).code == errc::unavailable);
  }
  int64_t committed = 0;
  for (auto& answer : answers) {
    auto result = answer_of(answer);
    committed += result.engaged();
    CHECK((result || describe(result.error()).outcome == outcome::not_committed));
  }
  CHECK(committed == 300);
  CHECK(integer_of(folder / "app.db", "SELECT count(*) FROM log") == committed);
  // The WAL was checkpointed.
  auto wal = folder / "app.db-wal";
  CHECK((!std::filesystem::exists(wal) || std::filesystem::file_size(wal) == 0));
  require_sound(folder / "app.db");
}

TEST_CASE("shutting down during writes answers each with its true outcome", "[system]") {
  temp_dir folder;
  std::vector<std::future<caf::expected<write_result>>> answers;
  {
    auto host = open_broker(folder.path());
    auto db = must(host.open_database("app.db"));
    must(db.write("host", make_log));
    for (int n = 0; n < 500; ++n)
      answers.push_back(db.write_async(numbered(n)));
  }
  std::vector<value> committed;
  for (int n = 0; n < 500; ++n) {
    INFO(n);
    auto answer = answer_of(answers[static_cast<size_t>(n)]);
    if (answer)
      committed.emplace_back(n);
    else {
      CHECK(describe(answer.error()).code == errc::unavailable);
      CHECK(describe(answer.error()).outcome == outcome::not_committed);
    }
  }
  CHECK(column_of(folder / "app.db", "SELECT n FROM log ORDER BY n") == committed);
  require_sound(folder / "app.db");
}

TEST_CASE("shutting down waits for an external lock for a bounded time", "[system]") {
  temp_dir folder;
  std::vector<std::future<caf::expected<write_result>>> answers;
  external_process* someone = nullptr;
  std::unique_ptr<external_process> owner;
  {
    auto host = open_broker(folder.path(), [](broker_config& cfg) { cfg.retry_attempts = 100; });
    auto db = must(host.open_database("app.db"));
    must(db.write("host", make_log));
    owner = std::make_unique<external_process>(folder / "app.db");
    someone = owner.get();
    someone->run("BEGIN IMMEDIATE");
    for (int n = 0; n < 5; ++n)
      answers.push_back(db.write_async(numbered(n)));
    await([&] { return db.status().retry.lock_errors > 0 && db.status().queued == 5; });
  }
  for (auto& answer : answers) {
    auto error = refused(answer_of(answer));
    CHECK((error.code == errc::busy || error.code == errc::unavailable));
    CHECK(error.outcome == outcome::not_committed);
  }
  someone->run("COMMIT");
  CHECK(integer_of(folder / "app.db", "SELECT count(*) FROM log") == 0);
}

TEST_CASE("the second broker on a root is refused as busy, until the first one ends", "[system]") {
  one_database database;
  broker_config config;
  config.root = database.folder.path();
  config.lock_wait = 1min;
  auto error = refused(broker::open(config));
  CHECK(error.code == errc::busy);
  CHECK(error.attempts == 1);
  database.require_serving();
  // A broker that is opened while the first one ends waits for it.
  auto closing = std::async(std::launch::async, [&] { return database.host.shutdown(); });
  auto second = broker::open(config);
  while (!second && code_of(second.error()) == errc::busy)
    second = broker::open(config);
  CHECK_FALSE(closing.get());
  auto heir = must(std::move(second));
  must(must(heir.open_database("app.db")).write("heir", make_log));
}

TEST_CASE("one actor system can have two brokers on two roots", "[system]") {
  temp_dir one;
  temp_dir two;
  caf::actor_system_config system_config;
  add_message_types(system_config);
  caf::actor_system system{system_config};
  broker_config config;
  config.root = one.path();
  auto first = must(broker::open(system, config));
  config.root = two.path();
  auto second = must(broker::open(system, config));
  auto in_first = must(first.open_database("app.db"));
  auto in_second = must(second.open_database("app.db"));
  must(in_first.write("agent", make_log));
  must(in_second.write("agent", make_log));
  must(in_first.write("agent", add, {1}));
  for (int i = 0; i < 2; ++i) {
    CHECK((must(in_first.read("agent", "SELECT count(*) FROM log")).rows->at(0, 0) == value{1}));
    CHECK((must(in_second.read("agent", "SELECT count(*) FROM log")).rows->at(0, 0) == value{0}));
  }
  first.shutdown();
  CHECK(refused(in_first.write("agent", add, {2})).code == errc::unavailable);
  must(in_second.write("agent", add, {2}));
  CHECK(must(second.verify_audit()).intact());
  second.shutdown();
  CHECK(integer_of(one / "app.db", "SELECT n FROM log") == 1);
  CHECK(integer_of(two / "app.db", "SELECT n FROM log") == 2);
}

} // namespace sluice::test::faults_lifecycle_test
