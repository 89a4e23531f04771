#include "tests/runtime/sqlite/buffer/buffer_fixture.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

namespace sluice::test::buffer_faults_test {

using namespace sluice::sqlite::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

std::string bytes_of(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

TEST_CASE("a buffer file that is not a database is left unchanged, and every call reports it") {
  buffer_fixture r;
  std::ofstream{r.path} << std::string(8'192, 'x');
  CHECK(r.complaint() == errc::corrupt);
  CHECK(bytes_of(r.path) == std::string(8'192, 'x'));
}

TEST_CASE("a database of another application in its place is left unchanged") {
  buffer_fixture r;
  r.meddle("CREATE TABLE theirs(x); INSERT INTO theirs VALUES (1)");
  auto before = bytes_of(r.path);
  CHECK(r.complaint() == errc::corrupt);
  CHECK(bytes_of(r.path) == before);
}

TEST_CASE("a buffer file of a later format is refused as such") {
  buffer_fixture r;
  r.append({put(1)});
  r.store.reset();
  r.meddle("PRAGMA user_version = 2");
  r.reopen();
  CHECK(r.complaint() == errc::protocol_mismatch);
  CHECK_THAT(describe(r.store->recover().error()).message, Contains("format 2"));
  r.meddle("PRAGMA user_version = 1");
  // The store works again without a restart once the file is valid again.
  CHECK(r.pending() == std::vector<uint64_t>{1});
}

TEST_CASE("a buffer file without its tables is refused") {
  buffer_fixture r;
  r.append({put(1)});
  r.store.reset();
  r.meddle("DROP TABLE rejected");
  r.reopen();
  CHECK(r.complaint() == errc::corrupt);
}

TEST_CASE("a damaged buffer file is found before it is used") {
  buffer_fixture r;
  std::vector<buffer_put> many;
  for (int64_t i = 0; i < 500; ++i)
    many.push_back(put(i));
  r.append(many);
  r.store.reset();
  {
    std::fstream file{r.path, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(2 * 4'096);
    file << std::string(6 * 4'096, '\x7f');
  }
  r.reopen();
  CHECK(r.complaint() == errc::corrupt);
}

TEST_CASE("a folder that may not be written is reported by its error") {
  buffer_fixture r;
  if (geteuid() == 0)
    return;
  fs::permissions(r.dir.path(), fs::perms::owner_read | fs::perms::owner_exec);
  std::vector<buffer_put> one{put(1)};
  auto denied = r.store->append(one);
  REQUIRE_FALSE(denied);
  CHECK(code_of(denied.error()) == errc::not_authorized);
  fs::permissions(r.dir.path(), fs::perms::owner_all);
}

TEST_CASE("an external lock on the buffer file is reported as such, and ends") {
  buffer_fixture r;
  r.append({put(1)});
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(r.path.c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  std::vector<buffer_put> one{put(2)};
  auto locked = r.store->append(one);
  REQUIRE_FALSE(locked);
  CHECK(code_of(locked.error()) == errc::busy);
  sqlite3_close(db);
  r.append({put(3)});
  CHECK(r.recover().operations.size() == 2);
}

TEST_CASE("when the file is removed, the next one continues, and reuses no id") {
  buffer_fixture r;
  r.append({put(1), put(2)});
  for (const auto* suffix : {"", "-wal", "-shm"})
    fs::remove(r.path.string() + suffix);
  CHECK(r.append({put(3)}) == 3);
  r.reopen();
  CHECK(r.pending() == std::vector<uint64_t>{1, 2, 3});
}

TEST_CASE("a file or a log that is cut short is filled again before anything more is acknowledged") {
  buffer_fixture r;
  r.append({put(1), put(2)});
  fs::resize_file(r.path.string() + GENERATE("", "-wal"), 0);
  CHECK(r.append({put(3)}) == 3);
  // As if the process had been killed now.
  for (const auto* suffix : {"", "-wal"})
    fs::copy_file(r.path.string() + suffix, (r.dir / "copy.db").string() + suffix);
  auto copy = sqlite::open_buffer_store(r.dir / "copy.db", synchronous_mode::full);
  auto found = copy->recover();
  REQUIRE(found);
  CHECK(found->operations.size() == 3);
}

TEST_CASE("a killed process leaves every acknowledged operation, and every batch whole") {
  buffer_fixture r;
  r.store.reset();
  for (auto round = 0; round < 20; ++round) {
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    auto child = fork();
    if (child == 0) {
      auto store = sqlite::open_buffer_store(r.path, synchronous_mode::normal);
      for (int64_t i = 1;; ++i) {
        std::vector<buffer_put> three{put(i), put(i), put(i)};
        auto first = store->append(three);
        auto key = std::to_string(getpid()) + "-" + std::to_string(i);
        if (!first || (i % 2 == 0 && !store->begin_batch(batch(key, {*first, *first + 2}))))
          _exit(1);
        uint64_t done[2] = {*first + 2, i % 2 == 0 ? *first : 0};
        if (write(pipes[1], done, sizeof done) != sizeof done)
          _exit(1);
      }
    }
    close(pipes[1]);
    uint64_t done[2] = {};
    uint64_t last = 0;
    for (auto i = 0; i < 3 + round; ++i) {
      REQUIRE(read(pipes[0], done, sizeof done) == sizeof done);
      last = std::max(last, done[0]);
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    while (read(pipes[0], done, sizeof done) == sizeof done)
      last = std::max(last, done[0]);
    close(pipes[0]);
    r.reopen();
    auto found = r.recover();
    std::vector<uint64_t> all;
    for (const auto& operation : found.operations)
      all.push_back(operation.seq);
    for (const auto& each : found.batches) {
      CHECK(each.operations.size() == 2);
      all.insert(all.end(), each.operations.begin(), each.operations.end());
    }
    std::sort(all.begin(), all.end());
    CHECK(all.size() >= last);
    CHECK(all.size() % 3 == 0);
    CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
    CHECK(all.back() == all.size());
    r.store.reset();
  }
}

TEST_CASE("the content of the buffer's write-ahead log is saved when the log is deleted") {
  buffer_fixture r;
  r.append({put(1)});
  REQUIRE(fs::remove(r.path.string() + "-wal"));
  r.append({put(2)});
  r.reopen();
  CHECK(r.pending() == std::vector<uint64_t>{1, 2});
}

TEST_CASE("a journal that is deleted is made again with all pending operations") {
  buffer_fixture r;
  r.append({put(1), put(2), put(3), put(4)});
  REQUIRE(r.store->begin_batch(batch("done", {1})));
  REQUIRE(r.store->end_batch("done"));
  REQUIRE(r.store->begin_batch(batch("on its way", {2})));
  for (const auto* suffix : {"", "-wal", "-shm"})
    fs::remove(r.path.string() + suffix);
  CHECK(r.append({put(5)}) == 5);
  r.reopen();
  auto found = r.recover();
  CHECK(r.pending() == std::vector<uint64_t>{3, 4, 5});
  REQUIRE(found.batches.size() == 1);
  CHECK(found.batches[0].idempotency_key == "on its way");
  CHECK(found.batches[0].operations == std::vector<uint64_t>{2});
}

} // namespace sluice::test::buffer_faults_test
