#include "tests/runtime/client/election_fixture.hpp"

#include "runtime/client/client.hpp"
#include "runtime/client/connect.hpp"
#include "runtime/server/endpoint.hpp"

#include <csignal>
#include <fstream>
#include <future>
#include <sys/stat.h>

namespace sluice::test::election_test {

using Catch::Contains;

TEST_CASE("a leader that answers is found without a check of the lock") {
  election_fixture r;
  fake_leader leader{r.root.socket_path(), answer_nothing};
  CHECK(found(find_leader(r.options(), in(0ms))).connection);
}

TEST_CASE("a leader is found at the address in broker.json") {
  election_fixture r;
  fs::create_directory(r.dir / "run");
  fs::permissions(r.dir / "run", fs::perms::owner_all);
  fake_leader leader{r.dir / "run/s", answer_nothing};
  broker_info info;
  info.pid = 1;
  info.socket = r.dir / "run/s";
  REQUIRE(publish(r.root, info));
  CHECK(found(find_leader(r.options(), in(0ms))).connection);
}

TEST_CASE("when no process leads and no broker may be started, the caller gets the lock") {
  election_fixture r;
  // The socket file of a killed leader.
  { fake_leader dead{r.root.socket_path(), answer_nothing}; }
  REQUIRE(fs::exists(r.root.socket_path()));
  auto result = found(find_leader(r.options("/missing", false), in(0ms)));
  CHECK_FALSE(result.connection);
  CHECK(result.reason.empty());
  REQUIRE(result.lock);
  CHECK(result.lock->still_ours());
  // Only a leader removes it.
  CHECK(fs::exists(r.root.socket_path()));
}

TEST_CASE("a leader without a socket is waited for, and then the store is busy") {
  election_fixture r;
  std::optional<store_lock> lock = r.lock();
  auto limit = in(300ms);
  auto result = find_leader(r.options(), limit);
  CHECK(std::chrono::steady_clock::now() >= limit);
  CHECK(code(result) == errc::busy);
  CHECK(describe(result.error()).waited_ms > 0);
  CHECK(describe(result.error()).attempts > 1);
  std::atomic<bool> stopped = true;
  CHECK(code(find_leader(r.options(), in(1min), &stopped)) == errc::busy);
  auto waiting = std::async(std::launch::async, [&] { return find_leader(r.options(), in(1min)); });
  SECTION("until it has one") {
    fake_leader leader{r.root.socket_path(), answer_nothing};
    CHECK(found(waiting.get()).connection);
  }
  SECTION("until it ends") {
    lock.reset();
    CHECK(found(waiting.get()).lock);
  }
}

TEST_CASE("when no process leads, one of the waiting clients starts a broker") {
  election_fixture r;
  auto count = (r.dir / "count").string();
  auto go = (r.dir / "go").string();
  // The test serves in place of the program.
  REQUIRE(mkfifo(go.c_str(), 0600) == 0);
  auto program = r.program("echo x >>" + count + "; echo $$ >" + (r.dir / "pid").string() + "; read line <" + go
                           + "; echo ready >&5; exec sleep 1000");
  std::vector<std::future<bool>> clients;
  for (auto i = 0; i < 5; ++i)
    clients.push_back(std::async(std::launch::async, [&] {
      auto result = find_leader(r.options(program), in(20s));
      return result && static_cast<bool>(result->connection);
    }));
  // Opens when the program reads.
  std::ofstream start{go};
  fake_leader leader{r.root.socket_path(), answer_nothing};
  start << "go" << std::endl;
  for (auto& client : clients)
    CHECK(client.get());
  CHECK(r.said("count") == "x\n");
  CHECK_FALSE(r.is_free());
  kill(-std::stoi(r.said("pid")), SIGKILL);
}

TEST_CASE("when no broker can be started, the reason is reported") {
  election_fixture r;
  SECTION("there is no program") {
    auto result = found(find_leader(r.options(r.dir / "missing"), in(1s)));
    CHECK_THAT(result.reason, Contains("not found"));
    CHECK(result.lock);
  }
  SECTION("it cannot serve") {
    auto answer = found(find_leader(r.options(r.program("echo 'error io_error no socket' >&5")), in(1s)));
    CHECK_THAT(answer.reason, Contains("no socket"));
    CHECK_FALSE(answer.connection);
  }
  SECTION("it dies, again and again") {
    auto subject = found(find_leader(r.options(r.program("echo x >>" + (r.dir / "count").string())), in(10s)));
    CHECK_THAT(subject.reason, Contains("broker.log"));
    CHECK(r.said("count") == "x\nx\nx\n");
  }
  CHECK(r.is_free());
}

TEST_CASE("a broker that dies once is started again") {
  election_fixture r;
  auto flag = (r.dir / "flag").string();
  fake_leader later{r.dir / "s", answer_nothing};
  auto program = r.program("test -e " + flag + " || { touch " + flag + "; exit 1; }\n ln -s " + (r.dir / "s").string()
                           + " " + r.root.socket_path().string() + "; echo ready >&5");
  CHECK(found(find_leader(r.options(program), in(10s))).connection);
}

TEST_CASE("a broker that could not be started is not started again while its client waits to lead itself") {
  election_fixture r;
  auto program = r.program("echo x >>" + (r.dir / "count").string() + "; echo 'error io_error no socket' >&5");
  repeated_election election{r.options(program)};
  CHECK_FALSE(found(election.find(in(10s))).lock);
  {
    auto other = r.lock();
    CHECK(code(election.find(in(0ms))) == errc::busy);
  }
  auto result = found(election.find(in(10s)));
  CHECK_THAT(result.reason, Contains("no socket"));
  CHECK(result.lock);
  CHECK(r.said("count") == "x\n");
}

TEST_CASE("another user's socket is not used") {
  election_fixture r;
  if (geteuid() != 0)
    return;
  // The listening process is checked, so listen as another user.
  fs::permissions(r.dir.path(), fs::perms::all);
  fs::permissions(r.dir / "root", fs::perms::all);
  fs::permissions(r.root.folder(), fs::perms::all);
  REQUIRE(seteuid(65534) == 0);
  auto leader = std::make_unique<fake_leader>(r.root.socket_path(), answer_nothing);
  REQUIRE(seteuid(0) == 0);
  CHECK(code(find_leader(r.options(), in(0ms))) == errc::not_authorized);
}

TEST_CASE("without a broker the store is led in this process, with a warning, or not at all") {
  election_fixture r;
  std::string warning;
  client_options options;
  options.program = r.dir / "missing";
  options.warn = [&](std::string_view text) { warning = text; };
  {
    auto client = open_client(r.root.path(), options);
    REQUIRE(client);
    CHECK_FALSE(r.is_free());
  }
  CHECK_THAT(warning, Contains("not found"));
  CHECK(r.is_free());
  options.require_broker = true;
  auto result = open_client(r.root.path(), options);
  REQUIRE_FALSE(result);
  CHECK(code_of(result.error()) == errc::route_required);
  // An intended choice causes no warning.
  warning.clear();
  options.require_broker = false;
  options.start_broker = false;
  CHECK(open_client(r.root.path(), options));
  CHECK(warning.empty());
}

TEST_CASE("with an endpoint no other broker is asked, unless the endpoint could not be reached at all") {
  election_fixture r;
  std::string warning;
  client_options options;
  options.endpoint = r.dir / "e";
  options.start_broker = false;
  options.warn = [&](std::string_view text) { warning = text; };
  SECTION("it answers") {
    auto by_variable = GENERATE(false, true);
    if (by_variable) {
      setenv("SLUICE_ENDPOINT", options.endpoint.c_str(), 1);
      options.endpoint.clear();
    }
    auto endpoint = std::make_unique<fake_leader>(
      r.dir / "e", [](const json& request, fake_connection& from) { from.answer(request, test::committed(3)); });
    fake_leader other{r.root.socket_path(), answer_nothing};
    auto answer = open_client(r.root.path(), options);
    unsetenv("SLUICE_ENDPOINT");
    REQUIRE(answer);
    write_request request;
    request.db = "app.db";
    request.statements.push_back({"DELETE FROM t", {}});
    request.deadline = 10s;
    CHECK((*answer)->write(request));
    CHECK(r.is_free());
    endpoint.reset();
    request.deadline = 10ms;
    auto failed = (*answer)->write(request);
    REQUIRE_FALSE(failed);
    CHECK(code_of(failed.error()) == errc::deadline_exceeded);
    CHECK(other.connections() == 0);
    CHECK(warning.empty());
  }
  SECTION("it does not, and a broker is required") {
    options.require_broker = true;
    auto client = open_client(r.root.path(), options);
    REQUIRE_FALSE(client);
    CHECK(code_of(client.error()) == errc::route_required);
  }
  SECTION("it does not, and the store is reached in its own way") {
    fake_leader other{r.root.socket_path(), [](const json& request, fake_connection& from) {
                        from.answer(request, {{"a", 1}});
                      }};
    auto result = open_client(r.root.path(), options);
    REQUIRE(result);
    CHECK((*result)->status());
    CHECK_THAT(warning, Contains("endpoint"));
  }
}

} // namespace sluice::test::election_test
