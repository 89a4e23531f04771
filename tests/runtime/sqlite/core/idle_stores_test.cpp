#include "runtime/sqlite/files/file_claims.hpp"
#include "tests/runtime/sqlite/files/file_fixture.hpp"

#include <algorithm>

// Databases whose files are closed while the broker goes on.
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
    auto is_ours = [&](const fs::directory_entry& x) {
      std::error_code gone;
      auto target = fs::read_symlink(x.path(), gone).native();
      return target == folder.path() || target.starts_with(folder.path().native() + "/");
    };
    return std::count_if(fs::directory_iterator{"/proc/self/fd"}, {}, is_ours);
  }
};

} // namespace

TEST_CASE("a database that is closed while idle has no descriptor and no log, and is opened by the next write or read",
          "[idle]") {
  fixture x;
  x.write(*x.writer, "INSERT INTO t VALUES (1)");
  CHECK(x.count() == value{1});
  CHECK(x.descriptors() > 0);
  x.close_both();
  CHECK(x.descriptors() == 0);
  CHECK(!fs::exists(x.file.string() + "-wal"));
  CHECK(!fs::exists(x.file.string() + "-shm"));
  auto reads_first = GENERATE(true, false);
  if (reads_first)
    CHECK(x.count() == value{1});
  x.write(*x.writer, "INSERT INTO t VALUES (2)");
  CHECK(x.count() == value{2});
  CHECK(x.writer->take_file_events().empty());
  CHECK(!x.writer->take_external_commit());
}

TEST_CASE("commit numbers, epoch and keys go on after a rest", "[idle]") {
  fixture x;
  auto request = request_of({statement{"INSERT INTO t VALUES (1)", {}}}, "key");
  auto begun = must(x.writer->begin());
  must(x.writer->execute(request, no_deadline));
  write_result first;
  first.commit_seq = begun.next_seq;
  must(x.writer->remember(request, first));
  must(commit_of(*x.writer, begun, request));
  x.close_both();
  auto next = must(x.writer->begin());
  CHECK(next.next_seq == begun.next_seq + 1);
  CHECK(next.new_epoch.empty());
  CHECK(!next.external_commit);
  auto again = must(x.writer->recall(request));
  REQUIRE(again);
  CHECK(again->replayed);
  CHECK(again->commit_seq == first.commit_seq);
  x.writer->rollback();
}

TEST_CASE("the writer removes the files that a reader leaves beside a database that only it had open", "[idle]") {
  fixture x;
  x.close_both();
  CHECK(x.count() == value{0});
  x.reader->close_idle();
  CHECK(fs::exists(x.file.string() + "-wal"));
  CHECK(x.writer->close_idle());
  CHECK(!fs::exists(x.file.string() + "-wal"));
  CHECK(!fs::exists(x.file.string() + "-shm"));
  CHECK(x.descriptors() == 0);
  CHECK(!x.read().external_commit);
}

TEST_CASE("a file that a reader of the broker has open stays open, and so does one with a transaction", "[idle]") {
  fixture x;
  x.count();
  CHECK(!x.writer->close_idle());
  CHECK(x.writer->is_open());
  x.reader->close_idle();
  CHECK(x.writer->close_idle());
  CHECK(x.writer->close_idle());
}

TEST_CASE("a commit of another program into a database that was closed while idle is noticed when it is opened again",
          "[idle]") {
  fixture x;
  x.write(*x.writer, "INSERT INTO t VALUES (1)");
  x.count();
  x.close_both();
  auto changes = GENERATE(true, false);
  if (changes)
    other_program{x.file}.run("INSERT INTO t VALUES (2)");
  auto reads_first = GENERATE(true, false);
  if (reads_first) {
    auto answer = x.read();
    CHECK(answer.external_commit == changes);
    CHECK(answer.result.rows->at(0, 0) == value{changes ? 2 : 1});
    CHECK(!x.read().external_commit);
  }
  CHECK(must(x.writer->begin()).external_commit == changes);
  x.writer->rollback();
  CHECK(!must(x.writer->begin()).external_commit);
  x.writer->rollback();
  // It is a commit like others, and nothing that was done to the files.
  CHECK(x.writer->take_file_events().empty());
}

TEST_CASE("a program that keeps an idle database open, with commits in its log, is noticed, too", "[idle]") {
  fixture x;
  x.count();
  x.close_both();
  other_program other{x.file};
  other.run("INSERT INTO t VALUES (1)");
  CHECK(fs::exists(x.file.string() + "-wal"));
  auto answer = x.read();
  CHECK(answer.external_commit);
  CHECK(answer.result.rows->at(0, 0) == value{1});
}

TEST_CASE("a database without a log that was only read is noticed to have changed while it was closed", "[idle]") {
  lives x;
  other_program other{x.file};
  other.run("CREATE TABLE t(body)");
  auto reader = sqlite::make_read_store(x.file, {}, machine_time(), {}, x.guard());
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

TEST_CASE("a file that replaces one which is closed while idle is a replaced one", "[idle]") {
  fixture x;
  x.close_both();
  auto other = x.folder / "other.db";
  other_program{other}.run("CREATE TABLE t(body); INSERT INTO t VALUES ('new'), ('newer')");
  fs::rename(other, x.file);
  x.write(*x.writer, "INSERT INTO t VALUES ('after')");
  auto events = x.writer->take_file_events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].status == "replaced");
  CHECK(x.count() == value{3});
}

TEST_CASE("a database that is closed while idle has no claim, and a broker that has opened it meanwhile has it",
          "[idle]") {
  temp_dir folder;
  auto store_of_another_broker = [&] {
    sqlite::file_guard::settings x;
    x.path = folder / "app.db";
    x.name = "app.db";
    x.claims = std::make_shared<sqlite::file_claims>();
    auto files = std::make_shared<sqlite::file_guard>(std::move(x));
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
  fixture x;
  x.write(*x.writer, "INSERT INTO t VALUES (1)");
  x.close_both();
  // The next broker has the record of this one.
  auto next = x.store();
  CHECK(!next->take_external_commit());
  CHECK(next->take_file_events().empty());
  other_program{x.file}.run("INSERT INTO t VALUES (2)");
  auto after = x.store();
  CHECK(after->take_external_commit());
}

} // namespace sluice::test::idle_stores_test
