#include "runtime/cli/serve.hpp"
#include "runtime/server/service.hpp"
#include "tests/system/fixture.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <atomic>
#include <filesystem>

// The resources that a broker takes and gives back, and its state when its supervisor has failed.
namespace sluice::test::resources_test {

namespace {

using namespace std::chrono_literals;

const sql_text make_notes{"CREATE TABLE notes (text TEXT NOT NULL)"};
const sql_text add_note{"INSERT INTO notes (text) VALUES ('a')"};
const sql_text count_notes{"SELECT count(*) FROM notes"};

size_t threads() {
  std::filesystem::directory_iterator tasks{"/proc/self/task"};
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

void close_soon(broker_config& config) {
  config.idle_after = 10ms;
  config.close_idle_after = 50ms;
}

void await_closed(const one_database& database) {
  await([&] { return !std::filesystem::exists(database.file().native() + "-wal"); });
}

// The number of descriptors of this process that are open on the database.
size_t descriptors(const one_database& database) {
  auto name = std::filesystem::canonical(database.file()).native();
  size_t result = 0;
  std::error_code gone;
  for (const auto& each : std::filesystem::directory_iterator{"/proc/self/fd"})
    result += std::filesystem::read_symlink(each.path(), gone).native() == name ? 1 : 0;
  return result;
}

} // namespace

TEST_CASE("a hundred databases take no more threads than a few databases", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path(), [](broker_config& x) { x.blocking_threads = 6; });
  auto before = threads();
  std::vector<database> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(must(host.open_database("d" + std::to_string(i) + ".db")));
    must(all.back().write("host", make_notes));
  }
  std::vector<std::future<caf::expected<write_result>>> writes;
  std::vector<std::future<caf::expected<read_result>>> reads;
  for (const auto& db : all) {
    writes.push_back(db.write_async(write_of("host", {{add_note, {}}})));
    reads.push_back(db.read_async(read_of("host", count_notes, freshness::fresh)));
  }
  for (auto& write : writes)
    must(answer_of(write));
  for (auto& read : reads)
    must(answer_of(read));
  // Six for writers and readers, six for other actors, and those of the broker that had not started before; a thread
  // for each database would make a hundred.
  CHECK(threads() < before + 30);
}

TEST_CASE("an idle database is closed, and continues with the next request", "[system]") {
  one_database database{close_soon};
  must(database.db.write(write_of("host", {{make_notes, {}}}, "make")));
  CHECK(database.number("SELECT count(*) FROM notes") == 0);
  auto rounds = 5;
  for (auto i = 1; i <= rounds; ++i) {
    await_closed(database);
    if (i % 2 == 0)
      CHECK(database.number("SELECT count(*) FROM notes") == i - 1);
    must(database.db.write("host", add_note));
    CHECK(database.number("SELECT count(*) FROM notes") == i);
  }
  await_closed(database);
  auto again = must(database.db.write(write_of("host", {{make_notes, {}}}, "make")));
  CHECK(again.replayed);
  auto status = database.db.status();
  CHECK(status.last_commit_seq == again.commit_seq + static_cast<uint64_t>(rounds));
  CHECK(status.foreign_commits == 0);
  CHECK(status.file_events == 0);
  CHECK(status.restarts == 0);
  database.require_serving();
}

TEST_CASE("requests that arrive while a database is being closed are answered", "[system]") {
  one_database database{[](broker_config& config) {
    config.idle_after = 10ms;
    config.close_idle_after = 1ms;
  }};
  must(database.db.write("host", make_notes));
  constexpr int rounds = 100;
  for (int i = 0; i < rounds; ++i) {
    // The first of its connections is being closed or has just been closed.
    auto in_use = descriptors(database);
    await([&] { return descriptors(database) < in_use || in_use == 0; });
    must(database.db.write("host", add_note));
    CHECK(must(database.db.read(read_of("host", count_notes, freshness::fresh))).rows->at(0, 0) == value{i + 1});
  }
  database.require_serving();
}

TEST_CASE("a cached answer is not returned after another program has written to a closed database", "[system]") {
  one_database database{close_soon};
  must(database.db.write("host", make_notes));
  await_closed(database);
  CHECK(database.number("SELECT count(*) FROM notes") == 0);
  await_closed(database);
  external_process{database.file()}.run("INSERT INTO notes (text) VALUES ('b')");
  CHECK(must(database.db.read(read_of("host", count_notes, freshness::fresh))).rows->at(0, 0) == value{1});
  CHECK(database.number("SELECT count(*) FROM notes") == 1);
  await([&] { return database.db.status().foreign_commits == 1; });
}

TEST_CASE("find refuses a name without a file, and it appears in no status", "[system]") {
  one_database database;
  auto before = threads();
  for (int i = 0; i < 200; ++i)
    CHECK(refused(database.host.find_database("no" + std::to_string(i) + ".db")).code == errc::unknown_database);
  CHECK(refused(database.host.open_database("no/such/folder.db")).code == errc::unknown_database);
  CHECK(database.host.status().databases.size() == 1);
  CHECK(threads() <= before + 2);
  must(database.db.write("host", make_notes));
  CHECK(must(database.host.find_database("app.db")).name() == "app.db");
}

TEST_CASE("a broker whose supervisor has failed refuses every request with the reason, and another one can lead",
          "[system]") {
  temp_dir folder;
  {
    auto host = open_broker(folder.path());
    auto db = must(host.open_database("app.db"));
    must(db.write("host", make_notes));
    must(db.write("host", add_note));
    std::promise<failure> reported;
    host.on_failure([&](const failure& error) { reported.set_value(error); });
    CHECK_FALSE(host.why_failed());
    caf::anon_send_exit(host.actors().supervisor(), caf::exit_reason::kill);
    auto future = reported.get_future();
    REQUIRE(future.wait_for(1min) == std::future_status::ready);
    CHECK(future.get().code == errc::unavailable);
    REQUIRE(host.why_failed());
    CHECK(refused(db.write("host", add_note)).code == errc::unavailable);
    CHECK(refused(db.read(read_of("host", count_notes, freshness::fresh))).code == errc::unavailable);
    CHECK(refused(db.read(read_of("host", count_notes))).code == errc::unavailable);
    CHECK(refused(host.open_database("other.db")).code == errc::unavailable);
    CHECK(refused(host.audit({})).code == errc::unavailable);
    CHECK(refused(host.recent_logs({})).code == errc::unavailable);
    buffer_put put;
    put.agent = "host";
    put.row = {"app.db", "notes", {{"text", value{"a"}}}};
    CHECK(refused(host.buffer().put(put)).code == errc::unavailable);
    // A callback that is set after the failure is called as well.
    std::atomic<int> late{0};
    host.on_failure([&](const failure&) { ++late; });
    CHECK(late == 1);
    CHECK(host.shutdown());
  }
  auto next = open_broker(folder.path());
  auto db = must(next.open_database("app.db"));
  CHECK(must(db.read("host", count_notes)).rows->at(0, 0) == value{1});
  must(db.write("host", add_note));
}

TEST_CASE("a broker whose supervisor has failed is not ready", "[system]") {
  one_database database;
  boost::asio::io_context loop{1};
  io_actor_handle actor{database.host.system(), loop};
  broker_info info;
  service methods{database.host, info, loop, *actor.get(), [](std::string_view) {}};
  auto health = [&] {
    std::optional<std::optional<std::string>> result;
    methods.check_health([&](std::optional<std::string> error) { result = std::move(error); });
    while (!result) {
      loop.restart();
      loop.run_for(10ms);
    }
    return *result;
  };
  auto fails = GENERATE(false, true);
  if (fails) {
    caf::anon_send_exit(database.host.actors().supervisor(), caf::exit_reason::kill);
    await([&] { return database.host.why_failed().has_value(); });
  }
  auto error = health();
  CHECK(error.has_value() == fails);
  if (fails)
    CHECK_THAT(*error, Catch::Contains("supervisor"));
}

TEST_CASE("sluice serve ends with an error when the supervisor of its broker has failed", "[system]") {
  temp_dir folder;
  CLI::App app;
  cli::action chosen;
  cli::serve_hooks hooks;
  hooks.leads = [](broker& leader) { caf::anon_send_exit(leader.actors().supervisor(), caf::exit_reason::kill); };
  cli::declare_serve(app, chosen, hooks);
  app.parse(std::vector<std::string>{folder.path().string()});
  REQUIRE(chosen);
  CHECK(chosen() == 1);
  // The store is free for the next leader.
  open_broker(folder.path());
}

} // namespace sluice::test::resources_test
