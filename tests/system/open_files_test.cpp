// A host with more databases than its limit of descriptors has room for.
#include "tests/system/fixture.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <sys/resource.h>

namespace sluice::test::open_files_test {

namespace {

using namespace std::chrono_literals;

// Sets the descriptor limit of this process until the end of the scope.
class descriptor_limit {
public:
  explicit descriptor_limit(rlim_t limit) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit lower{limit, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &lower);
  }
  descriptor_limit(const descriptor_limit&) = delete;
  descriptor_limit& operator=(const descriptor_limit&) = delete;
  ~descriptor_limit() { setrlimit(RLIMIT_NOFILE, &before_); }

private:
  rlimit before_{};
};

bool can_open_own_file() {
  auto* file = std::fopen("/proc/self/stat", "r");
  return file && std::fclose(file) == 0;
}

std::string name_of(size_t number) { return "d" + std::to_string(number) + ".db"; }

write_request add_row() {
  return write_of("host", {{"CREATE TABLE IF NOT EXISTS t (a)", {}}, {"INSERT INTO t VALUES (1)", {}}});
}

// The results of the host's threads; Catch2 accepts assertions of one thread only.
class findings {
public:
  template <class T> void note(const std::string& name, const caf::expected<T>& result) {
    if (!result)
      note(name + ": " + std::string{to_string(code_of(result.error()))} + ": " + describe(result.error()).message);
  }
  void note(std::string text) {
    std::lock_guard guard{mutex_};
    all_.push_back(std::move(text));
  }
  void require_none() const {
    std::string text;
    for (const auto& each : all_)
      text += each + "\n";
    INFO(text);
    REQUIRE(all_.empty());
  }

private:
  std::mutex mutex_;
  std::vector<std::string> all_;
};

} // namespace

TEST_CASE("a host uses more databases than descriptors allow, and can still open files of its own",
          "[system][descriptors]") {
  descriptor_limit low{256};
  temp_dir folder;
  auto host = open_broker(folder.path());
  std::vector<database> all;
  for (size_t i = 0; i < 100; ++i)
    all.push_back(must(host.open_database(name_of(i))));
  findings found;
  constexpr size_t threads = 8;
  for (auto round = 1; round <= 3; ++round) {
    std::vector<std::thread> workers;
    for (size_t first = 0; first < threads; ++first)
      workers.emplace_back([&, first] {
        for (auto i = first; i < all.size(); i += threads) {
          found.note(name_of(i), all[i].write(add_row()));
          auto rows = all[i].read(read_of("host", "SELECT count(*) FROM t", freshness::fresh));
          found.note(name_of(i), rows);
          if (rows && rows->rows->at(0, 0) != value{round})
            found.note(name_of(i) + " has another number of rows than were written");
          if (!can_open_own_file())
            found.note("the host cannot open a file of its own");
        }
      });
    for (auto& each : workers)
      each.join();
    found.require_none();
  }
  for (const auto& each : host.status().databases) {
    CHECK(each.foreign_commits == 0);
    CHECK(each.file_events == 0);
    CHECK(each.restarts == 0);
  }
}

TEST_CASE("concurrent requests to more databases than descriptors allow are all answered", "[system][descriptors]") {
  temp_dir folder;
  auto host = open_broker(folder.path(), [](broker_config& config) {
    config.max_open_files = 60;
    config.retry_base = 5ms;
  });
  std::vector<std::future<caf::expected<write_result>>> writes;
  for (size_t i = 0; i < 60; ++i)
    for (auto k = 0; k < 3; ++k)
      writes.push_back(must(host.open_database(name_of(i))).write_async(add_row()));
  for (auto& each : writes)
    must(answer_of(each));
  // A wait for descriptors does not count as a wait for a lock.
  for (const auto& each : host.status().databases)
    CHECK(each.retry.lock_errors == 0);
}

TEST_CASE("a database without descriptors until the deadline is refused with the limit", "[system][descriptors]") {
  temp_dir folder;
  auto host = open_broker(folder.path(), [](broker_config& config) {
    // Uses the descriptors of three databases, each with its writer and a cursor.
    config.max_open_files = 21;
    config.retry_base = 5ms;
  });
  // A database with an open cursor cannot be closed.
  std::vector<std::unique_ptr<cursor>> cursors;
  for (size_t i = 0; i < 3; ++i) {
    auto db = must(host.open_database(name_of(i)));
    must(db.write(add_row()));
    auto rows =
      must(db.open_cursor(read_of("host", "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT "
                                          "100000) SELECT x FROM n, t")));
    must(rows->next());
    cursors.push_back(std::move(rows));
  }
  auto other = must(host.open_database("other.db"));
  auto request = add_row();
  request.deadline = 300ms;
  auto error = refused(other.write(request));
  CHECK(error.code == errc::busy);
  CHECK_THAT(error.message, Catch::Contains("cannot open 'other.db', too many open files: "));
  CHECK_THAT(error.message, Catch::Contains("of the 21 descriptors that they may have"));
  CHECK_THAT(error.message, Catch::Contains("max_open_files"));
  cursors.clear();
  must(other.write(add_row()));
}

} // namespace sluice::test::open_files_test
