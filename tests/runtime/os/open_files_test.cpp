#include "runtime/os/open_files.hpp"

#include <catch2/catch.hpp>

#include <deque>

namespace sluice::test::open_files_test {

namespace {

using Catch::Contains;

// A process with a limit, and databases that are opened one after the other.
struct fixture {
  explicit fixture(uint64_t max)
    : files(std::make_shared<open_files>(
      max, open_files::process{[this] { return limit; }, [this](uint64_t) { return free; }})) {
    files->on_shortage([this](const std::string& db) { closed.push_back(db); });
  }

  file_use& add(const std::string& db) { return *uses.emplace_back(std::make_shared<file_use>(db)); }

  caf::expected<open_files::share> open(size_t which) { return files->open(uses.at(which)); }

  // Uses the database, as a request does.
  caf::expected<open_files::share> use(const std::string& db) {
    add(db).begin();
    return open(uses.size() - 1);
  }

  uint64_t limit = 1'024;
  uint64_t free = 1'000;
  std::vector<std::string> closed;
  std::deque<std::shared_ptr<file_use>> uses;
  std::shared_ptr<open_files> files;
};

template <class T> T given(caf::expected<T> result) {
  REQUIRE(result);
  return std::move(*result);
}

} // namespace

TEST_CASE("a database takes five descriptors with its first connection, two with each other, and gives them back",
          "[descriptors]") {
  fixture f{100};
  {
    auto first = given(f.use("a"));
    CHECK(f.files->used() == 5);
    auto second = given(f.open(0));
    CHECK(f.files->used() == 7);
    auto other = given(f.use("b"));
    CHECK(f.files->used() == 12);
    first = {};
    CHECK(f.files->used() == 10);
    auto moved = std::move(second);
    CHECK(f.files->used() == 10);
  }
  CHECK(f.files->used() == 0);
  CHECK(f.closed.empty());
}

TEST_CASE("beyond three quarters of the bound, databases that are not in use are to be closed, except the newest",
          "[descriptors]") {
  fixture f{40};
  std::vector<open_files::share> open;
  for (const auto* db : {"a", "b", "c", "d", "e", "f"})
    open.push_back(given(f.use(db)));
  CHECK(f.closed.empty());
  f.uses[0]->set_in_use(true);
  open.push_back(given(f.use("g")));
  REQUIRE(f.closed.size() == 1);
  CHECK(f.closed[0] == "b");
  CHECK(f.uses[1]->is_to_be_closed());
  // A database that is about to be closed is not asked again, and counts as closed.
  open.erase(open.begin() + 1);
  CHECK_FALSE(f.uses[1]->is_to_be_closed());
  open.push_back(given(f.use("h")));
  CHECK(f.closed == std::vector<std::string>{"b", "c"});
}

TEST_CASE("a database that is used again is no longer to be closed", "[descriptors]") {
  fixture f{20};
  std::vector<open_files::share> open;
  for (const auto* db : {"a", "b", "c", "d"})
    open.push_back(given(f.use(db)));
  REQUIRE(f.closed == std::vector<std::string>{"a"});
  f.uses[0]->begin();
  CHECK_FALSE(f.uses[0]->is_to_be_closed());
}

TEST_CASE("beyond the bound a database is refused by name, and can be opened when another one has closed",
          "[descriptors]") {
  fixture f{20};
  std::vector<open_files::share> open;
  for (const auto* db : {"a", "b", "c", "d"})
    open.push_back(given(f.use(db)));
  auto refused = f.use("late.db");
  REQUIRE_FALSE(refused);
  auto error = describe(refused.error());
  CHECK(error.code == errc::busy);
  CHECK(error.retry_after_ms > 0);
  CHECK_THAT(error.message,
             Contains("cannot open 'late.db', too many open files: 4 databases are open, with 20 of the 20 "
                      "descriptors that they may have, and the limit of the process is 1024"));
  open.erase(open.begin());
  given(f.open(4));
}

TEST_CASE("half of the current limit of the process is for databases", "[descriptors]") {
  fixture f{0};
  f.limit = 64;
  f.free = 50;
  std::vector<open_files::share> open;
  auto refused = false;
  for (auto i = 0; i < 10 && !refused; ++i) {
    auto more = f.use("db" + std::to_string(i));
    refused = !more;
    if (more)
      open.push_back(std::move(*more));
  }
  CHECK(refused);
  CHECK(open.size() == 6);
  f.limit = 1'024;
  f.free = 1'000;
  given(f.use("more"));
}

TEST_CASE("when the host takes the descriptors idle databases are closed, except a single one", "[descriptors]") {
  fixture f{0};
  auto first = given(f.use("a"));
  CHECK(f.closed.empty());
  f.free = 100;
  auto second = given(f.use("b"));
  CHECK(f.closed == std::vector<std::string>{"a"});
  f.free = 10;
  CHECK_FALSE(f.use("c"));
  first = {};
  second = {};
  given(f.open(0));
}

TEST_CASE("an error says that there were no descriptors only if there are none", "[descriptors]") {
  fixture f{0};
  auto open = given(f.use("a"));
  auto& other = f.add("b");
  auto disk = make_error(errc::io_error, "the disk");
  CHECK(describe(f.files->explain(other, disk)).message == "the disk");
  f.free = 4;
  CHECK(describe(f.files->explain(other, make_error(errc::corrupt, "damaged"))).code == errc::corrupt);
  auto error = describe(f.files->explain(other, disk));
  CHECK(error.code == errc::busy);
  CHECK_THAT(error.message, Contains("too many open files: 1 databases are open"));
  CHECK(f.closed == std::vector<std::string>{"a"});
  open = {};
  CHECK(describe(f.files->explain(other, disk)).code == errc::unavailable);
}

TEST_CASE("the descriptor limit of this process is read", "[descriptors]") {
  auto files = std::make_shared<open_files>(0);
  auto use = std::make_shared<file_use>("a");
  given(files->open(use));
  CHECK(describe(files->explain(*use, make_error(errc::io_error, "the disk"))).message == "the disk");
}

} // namespace sluice::test::open_files_test
