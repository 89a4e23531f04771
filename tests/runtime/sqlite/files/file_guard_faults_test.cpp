#include "tests/runtime/sqlite/files/file_fixture.hpp"

#include "runtime/sqlite/files/file_claims.hpp"
#include "runtime/sqlite/files/left_log.hpp"

#include <sys/wait.h>
#include <unistd.h>

namespace sluice::test::file_guard_faults_test {

namespace {

// Overwrites the file in place, as `cp` does.
void copy_over(const fs::path& from, const fs::path& to) {
  fs::copy_file(from, to, fs::copy_options::overwrite_existing);
  // A time stamp may have been given twice within its grain.
  fs::last_write_time(to, fs::last_write_time(to) + std::chrono::seconds{1});
}

std::shared_ptr<sqlite::file_guard> guard_of(const fs::path& path, const std::string& name,
                                             std::shared_ptr<sqlite::file_claims> claims) {
  sqlite::file_guard::settings settings;
  settings.path = path;
  settings.name = name;
  settings.claims = std::move(claims);
  return std::make_shared<sqlite::file_guard>(std::move(settings));
}

template <class F> void in_a_process_that_dies(F f) {
  auto child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    f();
    _exit(1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

broker_config impatient() {
  broker_config result;
  result.busy_timeout = milliseconds{0};
  return result;
}

} // namespace

TEST_CASE("a truncated WAL is noticed before a commit to it is acknowledged") {
  busy_fixture fixture;
  auto left = GENERATE(uint64_t{0}, uint64_t{20'000});
  fs::resize_file(fixture.log(), left);
  CHECK(failure_of(fixture.store->begin()).code == errc::ledger_damaged);
  CHECK(fixture.events() == std::vector<std::string>{"log_lost"});
  // The checkpointed pages are there, and no others are mixed in.
  auto found = *fixture.count().integer();
  CHECK(fixture.count_after_a_kill() == std::to_string(found));
  CHECK(found == 2'000);
}

TEST_CASE("a database that was truncated to zero is noticed as overwritten") {
  busy_fixture fixture;
  fs::resize_file(fixture.file, 0);
  CHECK(failure_of(fixture.store->begin()).code == errc::file_replaced);
  CHECK(fixture.events() == std::vector<std::string>{"overwritten"});
  fixture.write("CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)");
  CHECK(fixture.count() == value{0});
  CHECK(fixture.count_after_a_kill() == "0");
}

TEST_CASE("a connection that is only opened then finds that the file was overwritten") {
  busy_fixture fixture;
  fixture.reader = sqlite::make_read_store(fixture.file, fixture.config, machine_time(), {}, fixture.files);
  copy_over(fixture.another(), fixture.file);
  auto first = fixture.try_read("SELECT count(*) FROM t");
  if (!first)
    CHECK(failure_of(first).code == errc::file_replaced);
  CHECK(fixture.count() == value{1});
  CHECK(fixture.events() == std::vector<std::string>{"overwritten"});
  fixture.write("INSERT INTO t(body) VALUES ('after')");
  CHECK(fixture.count() == value{2});
  CHECK(fixture.count_after_a_kill() == "2");
}

TEST_CASE("an overwritten file is released by the connection that has noticed it") {
  busy_fixture fixture;
  copy_over(fixture.another(), fixture.file);
  CHECK(failure_of(fixture.try_read("SELECT count(*) FROM t")).code == errc::file_replaced);
  // It is not a WAL database yet; converting it needs exclusive access to the file.
  fixture.write("INSERT INTO t(body) VALUES ('after')");
  CHECK(fixture.count() == value{2});
}

TEST_CASE("a file that was written without a checkpoint is reported, and its WAL is kept") {
  busy_fixture fixture;
  fs::last_write_time(fixture.file, fs::last_write_time(fixture.file) + std::chrono::seconds{1});
  fixture.write("INSERT INTO t(body) VALUES ('after')");
  CHECK(fixture.events() == std::vector<std::string>{"touched"});
  CHECK(fixture.count() == value{4'001});
  CHECK(fixture.count_after_a_kill() == "4001");
}

TEST_CASE("a folder of the database's name that became a link is not followed") {
  temp_dir root;
  auto sub = root / "sub";
  fs::create_directory(sub);
  sqlite::file_guard::settings settings;
  settings.path = sub / "app.db";
  settings.name = "sub/app.db";
  auto linked = std::make_shared<bool>(false);
  settings.resolve = [linked]() -> caf::error {
    return *linked ? make_error(errc::invalid_request, "it leads out of the store") : caf::error{};
  };
  auto files = std::make_shared<sqlite::file_guard>(std::move(settings));
  auto store = sqlite::make_write_store(sub / "app.db", impatient(), machine_time(), {}, files);
  must(store->begin());
  store->rollback();
  temp_dir outside;
  fs::rename(sub, outside / "sub");
  fs::create_directory_symlink(outside / "sub", sub);
  *linked = true;
  CHECK(failure_of(store->begin()).code == errc::invalid_request);
  auto events = store->take_file_events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].status == "deleted");
}

TEST_CASE("a different file at the path before the first connection is noticed as a replacement") {
  busy_fixture fixture;
  must(fixture.store->checkpoint(checkpoint_mode::truncate));
  fixture.store.reset();
  fixture.reader.reset();
  auto files = guard_of(fixture.file, "app.db", nullptr);
  files->expect_file();
  auto replaced = GENERATE(true, false);
  if (replaced)
    fs::rename(fixture.another(), fixture.file);
  auto store = sqlite::make_write_store(fixture.file, impatient(), machine_time(), {}, files);
  auto begun = must(store->begin());
  CHECK(store->take_file_events().size() == (replaced ? 1 : 0));
}

TEST_CASE("a file that was overwritten after a kill is not combined with the remaining WAL") {
  lives lives;
  auto backup = lives.folder / "backup.db";
  in_a_process_that_dies([&] {
    auto store = lives.store();
    lives.write(*store, "CREATE TABLE t(body)");
    lives.write(*store, "INSERT INTO t VALUES ('kept')");
    other_program{lives.file}.run("VACUUM INTO '" + backup.string() + "'");
    lives.write(*store, "INSERT INTO t SELECT hex(randomblob(100)) FROM pragma_function_list");
    _exit(0);
  });
  auto overwritten = GENERATE(true, false);
  if (overwritten)
    copy_over(backup, lives.file);
  auto record = file_registry{lives.folder / "files.json"}.find("app.db");
  REQUIRE(record);
  CHECK(sqlite::has_log_of_other_file(*record, lives.file) == overwritten);
  auto store = lives.store();
  CHECK(store->take_external_commit() == overwritten);
  auto events = store->take_file_events();
  REQUIRE(events.size() == (overwritten ? 1 : 0));
  CHECK(fs::exists(lives.kept) == overwritten);
  if (!overwritten)
    return;
  CHECK(events[0].status == "overwritten");
  lives.write(*store, "INSERT INTO t VALUES ('after')");
  store.reset();
  other_program db{lives.file};
  CHECK(db.one("PRAGMA integrity_check(1)") == "ok");
  CHECK(db.one("SELECT group_concat(body) FROM t") == "kept,after");
}

TEST_CASE("one file has one writer, regardless of the names that lead to it") {
  temp_dir folder;
  auto claims = std::make_shared<sqlite::file_claims>();
  auto file = folder / "app.db";
  auto store = sqlite::make_write_store(file, impatient(), machine_time(), {}, guard_of(file, "app.db", claims));
  must(store->begin());
  store->rollback();
  auto other = folder / "other.db";

  SECTION("a second name in the same broker is refused") {
    fs::create_hard_link(file, other);
    auto second = sqlite::make_write_store(other, impatient(), machine_time(), {}, guard_of(other, "other.db", claims));
    CHECK(failure_of(second->begin()).code == errc::invalid_request);
  }
  SECTION("a file that was moved is let go of by the broker's former name for it") {
    fs::rename(file, other);
    auto second = sqlite::make_write_store(other, impatient(), machine_time(), {}, guard_of(other, "other.db", claims));
    must(second->begin());
    second->rollback();
    CHECK(store->take_file_events().size() == 1);
  }
  SECTION("another broker is refused until the first has closed it") {
    fs::rename(file, other);
    auto other_claims = std::make_shared<sqlite::file_claims>();
    auto second =
      sqlite::make_write_store(other, impatient(), machine_time(), {}, guard_of(other, "other.db", other_claims));
    CHECK(failure_of(second->begin()).code == errc::busy);
    must(store->begin());
    store->rollback();
    must(second->begin());
    second->rollback();
  }
}

} // namespace sluice::test::file_guard_faults_test
