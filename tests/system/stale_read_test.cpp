#include "tests/system/fixture.hpp"

#include <atomic>
#include <thread>

namespace sluice::test::stale_read_test {

namespace {

const sql_text bump{"UPDATE versions SET v = v + 1 WHERE id = ? RETURNING v"};
const sql_text look{"SELECT v FROM versions WHERE id = ?"};

int64_t read_version(const database& db, int row) {
  auto answer = must(db.read("reader", look, {row}));
  return *answer.rows->at(0, 0).integer();
}

} // namespace

TEST_CASE("a read is never older than any acknowledged write nor than any earlier read", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path());
  auto db = must(host.open_database("app.db"));
  must(db.write("host", "CREATE TABLE versions (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)"));
  must(db.write("host", "INSERT INTO versions VALUES (1, 0), (2, 0)"));

  // For each row, the newest version that any client has seen: by an acknowledgement or by a read.
  std::array<std::atomic<int64_t>, 3> known{};
  auto raise = [&](int row, int64_t v) {
    auto seen = known[static_cast<size_t>(row)].load();
    while (seen < v && !known[static_cast<size_t>(row)].compare_exchange_weak(seen, v)) {
    }
  };
  std::atomic<bool> stop{false};
  std::atomic<int> stale{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, row = 1 + i % 2] {
      while (!stop) {
        auto least = known[static_cast<size_t>(row)].load();
        auto got = read_version(db, row);
        stale += got < least;
        raise(row, got);
      }
    });
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&, row = 1 + i % 2] {
      for (int n = 0; n < soak(500); ++n) {
        auto done = must(db.write("writer", bump, {row}));
        raise(row, *done.results[0].rows.at(0, 0).integer());
      }
    });
  for (size_t i = 4; i < threads.size(); ++i)
    threads[i].join();
  stop = true;
  for (size_t i = 0; i < 4; ++i)
    threads[i].join();

  CHECK(stale == 0);
  CHECK(known[1] == 2 * soak(500));
  CHECK(known[2] == soak(500));
  // The test is worth something only if there were hits to be stale.
  CHECK(host.status().cache.hits > 0);
}

} // namespace sluice::test::stale_read_test
