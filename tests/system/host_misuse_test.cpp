// Misuse by a host that the compiler does not detect: a second front door, a broker that was shut down under one, the
// same folder twice, a request for another database, settings that make no sense.
#include "runtime/client.hpp"
#include "runtime/frontdoor/front_door.hpp"
#include "runtime/server/endpoint.hpp"
#include "runtime/store/store_lock.hpp"
#include "tests/runtime/server/socket_fixture.hpp"
#include "tests/system/fixture.hpp"

#include <malloc.h>
#include <nlohmann/json.hpp>

namespace sluice::test::host_misuse_test {

using namespace std::chrono_literals;
using Catch::Contains;

namespace {

// Longer than any of these calls may take, and shorter than the waits of earlier versions: 5 s for a lock, 31 s for an
// answer.
constexpr auto time_limit = 4s;

template <class Call> auto at_once(Call call) {
  auto start = std::chrono::steady_clock::now();
  auto result = call();
  CHECK(std::chrono::steady_clock::now() - start < time_limit);
  return result;
}

caf::expected<std::unique_ptr<client>> connect(const std::filesystem::path& root, bool require_broker = true) {
  client_options options;
  options.start_broker = false;
  options.require_broker = require_broker;
  return open_client(root, std::move(options));
}

std::filesystem::path socket_of(const temp_dir& folder) { return folder.path() / ".sluice" / "broker.sock"; }

write_request make_table() {
  auto result = write_of("guest", {{"CREATE TABLE IF NOT EXISTS t (n INTEGER NOT NULL)", {}}});
  result.db = "app.db";
  return result;
}

broker_config config_of(const std::filesystem::path& root) {
  broker_config result;
  result.root = root;
  return result;
}

std::string this_process() { return "this process (pid " + std::to_string(getpid()) + ")"; }

} // namespace

TEST_CASE("a second front door is refused, and leaves the first one's socket alone", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path());
  auto door = must(front_door::open(host, {}));
  auto second = front_door::open(host, {});
  CHECK(refused(second).code == errc::invalid_request);
  REQUIRE(std::filesystem::is_socket(socket_of(folder)));
  must(must(connect(folder.path()))->write(make_table()));
  // After one was stopped, another may be opened, even if the first is not destroyed.
  door->stop();
  auto third = must(front_door::open(host, {}));
  door.reset();
  CHECK(std::filesystem::is_socket(socket_of(folder)));
  must(must(connect(folder.path()))->write(make_table()));
}

TEST_CASE("there is no front door to a broker that was shut down", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path());
  CHECK_FALSE(host.shutdown());
  CHECK(refused(front_door::open(host, {})).code == errc::unavailable);
  CHECK_FALSE(std::filesystem::exists(socket_of(folder)));
}

TEST_CASE("a broker that is shut down, or destroyed, stops its front door first", "[system]") {
  temp_dir folder;
  auto destroyed = GENERATE(true, false);
  std::optional<broker> host{open_broker(folder.path())};
  auto door = must(front_door::open(*host, {}));
  auto guest = must(connect(folder.path()));
  must(guest->write(make_table()));
  if (destroyed)
    host.reset();
  else
    CHECK_FALSE(host->shutdown());
  CHECK_FALSE(std::filesystem::exists(socket_of(folder)));
  CHECK_FALSE(published_info(must(store_root::open(folder.path()))));
  // New clients get the error that there is no broker.
  CHECK(at_once([&] { return refused(guest->write(make_table())); }).code == errc::route_required);
  door->stop();
}

TEST_CASE("clients of a front door continue without it when its broker was shut down", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path());
  auto door = must(front_door::open(host, {}));
  auto guest = must(connect(folder.path(), false));
  must(guest->write(make_table()));
  CHECK_FALSE(host.shutdown());
  must(at_once([&] { return guest->write(make_table()); }));
}

TEST_CASE("a client that is destroyed ends the calls that threads wait for in it, and waits for these threads",
          "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path());
  auto door = must(front_door::open(host, {}));
  auto guest = must(connect(folder.path()));
  must(guest->write(make_table()));
  auto slow = make_table();
  slow.statements = {{"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 5000000) INSERT INTO t "
                      "SELECT max(x) FROM n",
                      {}}};
  // For one of the calls, another thread of the client waits for the answer.
  std::vector<cancel_token> tokens{{}, cancel_token::make()};
  std::vector<caf::expected<write_result>> answers(tokens.size(), caf::error{});
  std::vector<std::thread> waiting;
  for (size_t i = 0; i < tokens.size(); ++i)
    waiting.emplace_back([&, whom = guest.get(), i] {
      auto request = slow;
      request.cancel = tokens[i];
      answers[i] = whom->write(request);
    });
  await([&] { return host.running_writes().size() == tokens.size(); });
  // Makes the use of freed memory visible.
  mallopt(M_PERTURB, 0xdb);
  at_once([&] {
    guest.reset();
    return true;
  });
  for (auto& each : waiting)
    each.join();
  mallopt(M_PERTURB, 0);
  for (const auto& each : answers) {
    auto error = refused(each);
    CHECK(error.code == errc::cancelled);
    CHECK(error.outcome == outcome::unknown);
  }
}

TEST_CASE("a host may stop, or destroy, its broker and front door from within the notification", "[system]") {
  temp_dir folder;
  std::optional<broker> host{open_broker(folder.path())};
  std::unique_ptr<front_door> door;
  std::promise<void> stopped;
  front_door_options options;
  auto destroys = GENERATE(true, false);
  options.stop_wanted = [&](std::string_view) {
    if (destroys) {
      host.reset();
      door.reset();
    } else {
      host->shutdown();
      door->stop();
    }
    stopped.set_value();
  };
  door = must(front_door::open(*host, std::move(options)));
  raw_line_client guest{socket_of(folder)};
  guest.send(request_line(1, "shutdown", nlohmann::json::object()));
  CHECK(guest.answer().at("result").at("stopping") == true);
  REQUIRE(stopped.get_future().wait_for(1min) == std::future_status::ready);
  CHECK_FALSE(std::filesystem::exists(socket_of(folder)));
  door.reset();
}

TEST_CASE("a forked child that ends a front door leaves that of its parent alone", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path());
  auto door = must(front_door::open(host, {}));
  auto guest = must(connect(folder.path()));
  must(guest->write(make_table()));
  auto child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(60);
    door.reset();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  must(guest->write(make_table()));
  CHECK(std::filesystem::is_socket(socket_of(folder)));
}

TEST_CASE("opening the same folder twice in one process is refused at once, by a broker or a client", "[system]") {
  temp_dir folder;
  temp_dir links;
  std::filesystem::create_directory_symlink(folder.path(), links / "link");
  auto host = open_broker(folder.path());
  for (const auto& root : {folder.path(), links / "link", folder.path() / "." / ".." / folder.path().filename()}) {
    auto error = at_once([&] { return refused(broker::open(config_of(root))); });
    CHECK(error.code == errc::busy);
    CHECK_THAT(error.message, Contains(this_process() + " leads this store already"));
  }
  for (auto require_broker : {true, false}) {
    auto error = at_once([&] { return refused(connect(folder.path(), require_broker)); });
    CHECK(error.code == errc::busy);
    CHECK_THAT(error.message, Contains(this_process() + " leads this store itself"));
  }
  // After the shutdown the folder can be opened again.
  CHECK_FALSE(host.shutdown());
  open_broker(folder.path());
}

TEST_CASE("a folder that a broker of this process uses as part of its store is refused at once", "[system]") {
  temp_dir folder;
  std::filesystem::create_directory(folder.path() / "sub");
  auto host = open_broker(folder.path());
  must(must(host.open_database("sub/app.db")).write("host", "CREATE TABLE t (n)"));
  auto error = at_once([&] { return refused(broker::open(config_of(folder.path() / "sub"))); });
  CHECK(error.code == errc::busy);
  CHECK_THAT(error.message, Contains(this_process() + " has databases of this folder open"));
  CHECK(at_once([&] { return refused(connect(folder.path() / "sub")); }).message == error.message);
}

TEST_CASE("a folder that is a store of its own is not part of the outer one", "[system]") {
  temp_dir folder;
  std::filesystem::create_directory(folder.path() / "sub");
  auto inner = open_broker(folder.path() / "sub");
  auto outer = open_broker(folder.path());
  CHECK(at_once([&] { return refused(outer.open_database("sub/app.db")); }).code == errc::wrong_store);
}

TEST_CASE("a broker with settings that sluice.toml could not have is not opened", "[system]") {
  temp_dir folder;
  caf::actor_system_config system_config;
  add_message_types(system_config);
  caf::actor_system system{system_config};
  auto config = config_of(folder.path());
  auto field = GENERATE(as<std::string>{}, "readers", "buffer_batch", "scheduler_threads", "read_timeout_ms", "root");
  config.readers = field == "readers" ? 0 : config.readers;
  config.buffer_batch = field == "buffer_batch" ? 0 : config.buffer_batch;
  config.scheduler_threads = field == "scheduler_threads" ? 100'000 : 0;
  config.read_timeout = field == "read_timeout_ms" ? -1ms : config.read_timeout;
  if (field == "root")
    config.root.clear();
  for (auto& opened : {broker::open(config), broker::open(system, config)}) {
    CHECK(refused(opened).code == errc::invalid_request);
    CHECK_THAT(refused(opened).message, Catch::StartsWith(field));
  }
  // No file was created.
  CHECK(std::filesystem::is_empty(folder.path()));
  if (field == "root")
    return;
  auto root = must(store_root::open(folder.path()));
  CHECK(refused(broker::open(config, root, must(store_lock::acquire(root, 0ms)))).code == errc::invalid_request);
  CHECK(refused(broker::open(system, config, root, must(store_lock::acquire(root, 0ms)))).code
        == errc::invalid_request);
}

TEST_CASE("a request for another database than that of its handle is refused", "[system]") {
  one_database database;
  must(database.host.open_database("other.db"));
  must(database.db.write("host", "CREATE TABLE t (n)"));
  auto write = write_of("host", {{"INSERT INTO t VALUES (1)", {}}});
  auto read = read_of("host", "SELECT count(*) FROM t");
  for (const auto* name : {"", "app.db", "./app.db"}) {
    write.db = read.db = name;
    must(database.db.write(write));
    must(database.db.write_async(write).get());
    must(database.db.read(read));
    must(database.db.read_async(read).get());
    must(database.db.open_cursor(read));
  }
  for (const auto* name : {"other.db", "missing.db", "../app.db", "app.db\xe9"}) {
    INFO(name);
    write.db = read.db = name;
    CHECK(refused(database.db.write(write)).code == errc::invalid_request);
    CHECK(refused(database.db.write_async(write).get()).code == errc::invalid_request);
    CHECK(refused(database.db.read(read)).code == errc::invalid_request);
    CHECK(refused(database.db.read_async(read).get()).code == errc::invalid_request);
    CHECK(refused(database.db.open_cursor(read)).code == errc::invalid_request);
    CHECK_FALSE(database.db.cached(read));
  }
  CHECK(database.number("SELECT count(*) FROM t") == 6);
  // The error has the requested name.
  audit_query query;
  query.db = "other.db";
  query.status = "invalid_request";
  await([&] { return must(database.host.audit(query)).records.size() == 5; });
}

} // namespace sluice::test::host_misuse_test
