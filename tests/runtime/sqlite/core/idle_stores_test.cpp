#include "runtime/sqlite/files/file_claims.hpp"
#include "tests/runtime/sqlite/files/file_fixture.hpp"

#include <algorithm>

// Databases whose files are closed while the broker keeps running.
namespace sluice::test::idle_stores_test {

namespace {

struct fixture : lives {
  std::shared_ptr<sqlite::file_guard> files = guard();
  std::unique_ptr<write_store> writer = sqlite::make_write_store(file, {}, machine_time(), {}, files);
  std::unique_ptr<read_store> reader = sqlite::make_read_store(file, {}, machine_time(), {}, files);

  fixture() { write(*writer, "CREATE TABLE t(body)"); }

  executed_read read(const char* sql = "SELECT count(*) FROM t") {
    read_request request;
    request.query.sql = sql;
    return must(reader->run(request, store_fixture::generous()));
  }

  value count() { return read().result.rows->at(0, 0); }

  void close_both() {
    reader->close_idle();
    REQUIRE(writer->close_idle());
    REQUIRE(!writer->is_open());
  }

  // Open descriptors of this process to files in the folder.
  long descriptors() const {
    auto is_ours = [&](const fs::directory_entry& entry) {
      std::error_code gone;
      auto target = fs::read_symlink(entry.path(), gone).native();
      return target == folder.path() || target.starts_with(folder.path().native() + "/");
    };
    return std::count_if(fs::directory_iterator{"/proc/self/fd"}, {}, is_ours);
  }
};

} // namespace

TEST_CASE("a database that is closed while idle has no descriptor and no log, and is opened by the next write or read",
          "[idle]") {
  fixture f;
  f.write(*f.writer, "INSERT INTO t VALUES (1)");
  CHECK(f.count() == value{1});
  CHECK(f.descriptors() > 0);
  f.close_both();
  CHECK(f.descriptors() == 0);
  CHECK(!fs::exists(f.file.string() + "-wal"));
  CHECK(!fs::exists(f.file.string() + "-shm"));
  auto reads_first = GENERATE(true, false);
  if (reads_first)
    CHECK(f.count() == value{1});
  f.write(*f.writer, "INSERT INTO t VALUES (2)");
  CHECK(f.count() == value{2});
  CHECK(f.writer->take_file_events().empty());
  CHECK(!f.writer->take_external_commit());
}

TEST_CASE("commit numbers, epoch and keys continue after an idle database was closed", "[idle]") {
  fixture f;
  auto request = request_of({statement{"INSERT INTO t VALUES (1)", {}}}, "key");
  auto begun = must(f.writer->begin());
  must(f.writer->execute(request, no_deadline));
  write_result first;
  first.commit_seq = begun.next_seq;
  must(f.writer->remember(request, first));
  must(commit_of(*f.writer, begun, request));
  f.close_both();
  auto next = must(f.writer->begin());
  CHECK(next.next_seq == begun.next_seq + 1);
  CHECK(next.new_epoch.empty());
  CHECK(!next.external_commit);
  auto again = must(f.writer->recall(request));
  REQUIRE(again);
  CHECK(again->replayed);
  CHECK(again->commit_seq == first.commit_seq);
  f.writer->rollback();
}

TEST_CASE("the writer removes the files that a reader leaves beside a database that only it had open", "[idle]") {
  fixture f;
  f.close_both();
  CHECK(f.count() == value{0});
  f.reader->close_idle();
  CHECK(fs::exists(f.file.string() + "-wal"));
  CHECK(f.writer->close_idle());
  CHECK(!fs::exists(f.file.string() + "-wal"));
  CHECK(!fs::exists(f.file.string() + "-shm"));
  CHECK(f.descriptors() == 0);
  CHECK(!f.read().external_commit);
}

TEST_CASE("a file that a reader of the broker has open stays open, and so does one with a transaction", "[idle]") {
  fixture f;
  f.count();
  CHECK(!f.writer->close_idle());
  CHECK(f.writer->is_open());
  f.reader->close_idle();
  CHECK(f.writer->close_idle());
  CHECK(f.writer->close_idle());
}

TEST_CASE("a commit of another program into a database that was closed while idle is noticed when it is opened again",
          "[idle]") {
  fixture f;
  f.write(*f.writer, "INSERT INTO t VALUES (1)");
  f.count();
  f.close_both();
  auto changes = GENERATE(true, false);
  if (changes)
    other_program{f.file}.run("INSERT INTO t VALUES (2)");
  auto reads_first = GENERATE(true, false);
  if (reads_first) {
    auto answer = f.read();
    CHECK(answer.external_commit == changes);
    CHECK(answer.result.rows->at(0, 0) == value{changes ? 2 : 1});
    CHECK(!f.read().external_commit);
  }
  CHECK(must(f.writer->begin()).external_commit == changes);
  f.writer->rollback();
  CHECK(!must(f.writer->begin()).external_commit);
  f.writer->rollback();
  // It counts as an external commit and not as a file event.
  CHECK(f.writer->take_file_events().empty());
}

TEST_CASE("commits in the WAL of a program that keeps an idle database open are noticed", "[idle]") {
  fixture f;
  f.count();
  f.close_both();
  other_program other{f.file};
  other.run("INSERT INTO t VALUES (1)");
  CHECK(fs::exists(f.file.string() + "-wal"));
  auto answer = f.read();
  CHECK(answer.external_commit);
  CHECK(answer.result.rows->at(0, 0) == value{1});
}

TEST_CASE("a database without a log that was only read is noticed to have changed while it was closed", "[idle]") {
  lives lives;
  other_program other{lives.file};
  other.run("CREATE TABLE t(body)");
  auto reader = sqlite::make_read_store(lives.file, {}, machine_time(), {}, lives.guard());
  auto read = [&] {
    read_request request;
    request.query.sql = "SELECT count(*) FROM t";
    return must(reader->run(request, store_fixture::generous()));
  };
  CHECK(!read().external_commit);
  reader->close_idle();
  CHECK(!read().external_commit);
  reader->close_idle();
  other.run("INSERT INTO t VALUES (1)");
  CHECK(read().external_commit);
  CHECK(!read().external_commit);
}

TEST_CASE("a file that replaces a database that was closed while idle is noticed as a replacement", "[idle]") {
  fixture f;
  f.close_both();
  auto other = f.folder / "other.db";
  other_program{other}.run("CREATE TABLE t(body); INSERT INTO t VALUES ('new'), ('newer')");
  fs::rename(other, f.file);
  f.write(*f.writer, "INSERT INTO t VALUES ('after')");
  auto events = f.writer->take_file_events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].status == "replaced");
  CHECK(f.count() == value{3});
}

TEST_CASE("a database that is closed while idle has no claim, and a broker that has opened it meanwhile has it",
          "[idle]") {
  temp_dir folder;
  auto store_of_another_broker = [&] {
    sqlite::file_guard::settings settings;
    settings.path = folder / "app.db";
    settings.name = "app.db";
    settings.claims = std::make_shared<sqlite::file_claims>();
    auto files = std::make_shared<sqlite::file_guard>(std::move(settings));
    return sqlite::make_write_store(folder / "app.db", {}, machine_time(), {}, std::move(files));
  };
  auto first = store_of_another_broker();
  must(first->begin());
  first->rollback();
  auto second = store_of_another_broker();
  CHECK(failure_of(second->begin()).code == errc::busy);
  CHECK(first->close_idle());
  must(second->begin());
  second->rollback();
  CHECK(failure_of(first->begin()).code == errc::busy);
  CHECK(second->close_idle());
  must(first->begin());
  first->rollback();
}

TEST_CASE("a broker that is killed while a database is closed leaves one that was closed in order", "[idle]") {
  fixture f;
  f.write(*f.writer, "INSERT INTO t VALUES (1)");
  f.close_both();
  // The next broker has the record of this one.
  auto next = f.store();
  CHECK(!next->take_external_commit());
  CHECK(next->take_file_events().empty());
  other_program{f.file}.run("INSERT INTO t VALUES (2)");
  auto after = f.store();
  CHECK(after->take_external_commit());
}

} // namespace sluice::test::idle_stores_test
