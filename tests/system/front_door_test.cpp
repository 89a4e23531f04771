#include "runtime/client/client.hpp"
#include "runtime/server/endpoint.hpp"
#include "runtime/server/front_door.hpp"
#include "tests/runtime/server/socket_fixture.hpp"
#include "tests/system/fixture.hpp"

#include <nlohmann/json.hpp>

#include <atomic>

namespace sluice::test::front_door_test {

namespace {

// A host that leads a store and shares it.
struct host {
  explicit host(const std::filesystem::path& root, front_door_options options = {})
    : leader(open_broker(root)), door(must(front_door::open(leader, std::move(options)))) {}

  void leave() {
    door->stop();
    leader.shutdown();
  }

  broker leader;
  std::unique_ptr<front_door> door;
};

std::unique_ptr<client> connect(const std::filesystem::path& root, bool require_broker = true) {
  client_options options;
  options.start_broker = false;
  options.require_broker = require_broker;
  return must(open_client(root, std::move(options)));
}

write_request add(int64_t number) {
  auto request = write_of("guest", {{"INSERT INTO t VALUES (?)", {number}}});
  request.db = "app.db";
  return request;
}

write_request make_table() {
  auto request = write_of("guest", {{"CREATE TABLE t (x INTEGER NOT NULL)", {}}});
  request.db = "app.db";
  return request;
}

int64_t count(client& client) {
  read_request request;
  request.db = "app.db";
  request.agent = "guest";
  request.query = {"SELECT count(*) FROM t", {}};
  return *must(client.read(request)).rows->row(0)[0].integer();
}

} // namespace

TEST_CASE("other processes find a host that shares its broker as the leader", "[system]") {
  temp_dir folder;
  host f{folder.path()};
  auto guest = connect(folder.path());
  must(guest->write(make_table()));
  must(guest->write(add(1)));
  CHECK(must(guest->status()).at("leader").at("pid") == getpid());
  // The host's own requests and those of others see each other.
  auto db = must(f.leader.open_database("app.db"));
  must(db.write("host", "INSERT INTO t VALUES (2)"));
  CHECK(count(*guest) == 2);
}

TEST_CASE("when the host ends, its clients continue with the next leader", "[system]") {
  temp_dir folder;
  auto first = std::make_unique<host>(folder.path());
  auto guest = connect(folder.path(), false);
  must(guest->write(make_table()));
  first->leave();
  CHECK_FALSE(published_info(must(store_root::open(folder.path()))));
  CHECK_FALSE(std::filesystem::exists(folder.path() / ".sluice" / "broker.sock"));
  CHECK_FALSE(std::filesystem::exists(folder.path() / ".sluice" / "broker.lock"));
  host second{folder.path()};
  must(guest->write(add(1)));
  CHECK(count(*guest) == 1);
}

TEST_CASE("futures of many requests over one connection are all fulfilled", "[system]") {
  temp_dir folder;
  host f{folder.path()};
  auto guest = connect(folder.path());
  must(guest->write(make_table()));
  std::vector<std::future<caf::expected<write_result>>> writes;
  for (int i = 0; i < 500; ++i)
    writes.push_back(guest->write_async(add(i)));
  uint64_t last = 0;
  for (auto& each : writes) {
    auto result = must(answer_of(each));
    // The answers come in the order of the requests.
    CHECK(result.commit_seq >= last);
    last = result.commit_seq;
  }
  CHECK(count(*guest) == 500);
}

TEST_CASE("requests that wait for their database to open keep their order", "[system]") {
  temp_dir folder;
  host f{folder.path()};
  raw_line_client guest{folder.path() / ".sluice" / "broker.sock"};
  std::string all;
  for (int i = 0; i < 200; ++i) {
    auto sql = i == 0 ? std::string{"CREATE TABLE t (x)"} : "INSERT INTO t VALUES (" + std::to_string(i) + ")";
    all += request_line(i, "write", {{"db", "app.db"}, {"statements", {{{"sql", sql}}}}});
  }
  guest.send(all);
  for (int i = 0; i < 200; ++i)
    REQUIRE(guest.answer().contains("result"));
  auto rows = must(must(f.leader.open_database("app.db")).read("host", "SELECT x FROM t ORDER BY rowid")).rows;
  REQUIRE(rows->size() == 199);
  for (size_t i = 0; i < 199; ++i)
    CHECK(*rows->row(i)[0].integer() == static_cast<int64_t>(i) + 1);
}

TEST_CASE("a subscriber is notified of the host's own writes", "[system]") {
  temp_dir folder;
  host f{folder.path()};
  auto db = must(f.leader.open_database("app.db"));
  must(db.write("host", "CREATE TABLE t (x)"));
  raw_line_client guest{folder.path() / ".sluice" / "broker.sock"};
  guest.send(request_line(1, "subscribe", {{"db", "app.db"}, {"tables", {"t"}}}));
  auto as_of = guest.answer().at("result").at("as_of_seq").get<uint64_t>();
  auto written = must(db.write("host", "INSERT INTO t VALUES (1)"));
  auto notification = guest.answer();
  CHECK(notification.at("method") == "invalidation");
  CHECK(notification.at("params").at("commit_seq") == written.commit_seq);
  CHECK(notification.at("params").at("tables") == nlohmann::json{"t"});
  CHECK(written.commit_seq == as_of + 1);
}

TEST_CASE("a host is notified when a client asks it to stop, and serves until it stops", "[system]") {
  temp_dir folder;
  std::promise<std::string> wanted;
  front_door_options options;
  options.stop_wanted = [&](std::string_view reason) { wanted.set_value(std::string{reason}); };
  host f{folder.path(), std::move(options)};
  auto guest = connect(folder.path());
  CHECK(must(guest->call("shutdown", nlohmann::json::object())).at("stopping") == true);
  auto reason = wanted.get_future();
  REQUIRE(reason.wait_for(std::chrono::minutes{1}) == std::future_status::ready);
  CHECK(reason.get() == "a client requested it");
  must(guest->write(make_table()));
  f.leave();
}

TEST_CASE("a host whose folder is deleted is notified", "[system]") {
  temp_dir folder;
  std::filesystem::create_directory(folder.path() / "store");
  std::promise<std::string> wanted;
  front_door_options options;
  options.stop_wanted = [&](std::string_view reason) { wanted.set_value(std::string{reason}); };
  host f{folder.path() / "store", std::move(options)};
  std::filesystem::remove_all(folder.path() / "store" / ".sluice");
  auto reason = wanted.get_future();
  REQUIRE(reason.wait_for(std::chrono::minutes{1}) == std::future_status::ready);
  CHECK(reason.get() == "its lock file is gone, or its folder was moved");
  f.leave();
}

} // namespace sluice::test::front_door_test
