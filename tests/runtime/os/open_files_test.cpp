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

  // As a request to it does.
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

template <class T> T given(caf::expected<T> x) {
  REQUIRE(x);
  return std::move(*x);
}

} // namespace

TEST_CASE("a database takes five descriptors with its first connection, two with each other, and gives them back",
          "[descriptors]") {
  fixture x{100};
  {
    auto first = given(x.use("a"));
    CHECK(x.files->used() == 5);
    auto second = given(x.open(0));
    CHECK(x.files->used() == 7);
    auto other = given(x.use("b"));
    CHECK(x.files->used() == 12);
    first = {};
    CHECK(x.files->used() == 10);
    auto moved = std::move(second);
    CHECK(x.files->used() == 10);
  }
  CHECK(x.files->used() == 0);
  CHECK(x.closed.empty());
}

TEST_CASE("beyond three quarters of the bound, databases that are not in use are to be closed, but for the newest",
          "[descriptors]") {
  fixture x{40};
  std::vector<open_files::share> open;
  for (const auto* db : {"a", "b", "c", "d", "e", "f"})
    open.push_back(given(x.use(db)));
  CHECK(x.closed.empty());
  x.uses[0]->set_in_use(true);
  open.push_back(given(x.use("g")));
  REQUIRE(x.closed.size() == 1);
  CHECK(x.closed[0] == "b");
  CHECK(x.uses[1]->is_to_be_closed());
  // A database that is about to be closed is not asked again, and counts as closed.
  open.erase(open.begin() + 1);
  CHECK_FALSE(x.uses[1]->is_to_be_closed());
  open.push_back(given(x.use("h")));
  CHECK(x.closed == std::vector<std::string>{"b", "c"});
}

TEST_CASE("a database that is used again is not to be closed any more", "[descriptors]") {
  fixture x{20};
  std::vector<open_files::share> open;
  for (const auto* db : {"a", "b", "c", "d"})
    open.push_back(given(x.use(db)));
  REQUIRE(x.closed == std::vector<std::string>{"a"});
  x.uses[0]->begin();
  CHECK_FALSE(x.uses[0]->is_to_be_closed());
}

TEST_CASE("beyond the bound a database is refused by name, and can be opened when another one has closed",
          "[descriptors]") {
  fixture x{20};
  std::vector<open_files::share> open;
  for (const auto* db : {"a", "b", "c", "d"})
    open.push_back(given(x.use(db)));
  auto refused = x.use("late.db");
  REQUIRE_FALSE(refused);
  auto why = describe(refused.error());
  CHECK(why.code == errc::busy);
  CHECK(why.retry_after_ms > 0);
  CHECK_THAT(why.message,
             Contains("cannot open 'late.db', too many open files: 4 databases are open, with 20 of the 20 "
                      "descriptors that they may have, and the limit of the process is 1024"));
  open.erase(open.begin());
  given(x.open(4));
}

TEST_CASE("half of the limit of the process is for databases, whatever it is at the moment", "[descriptors]") {
  fixture x{0};
  x.limit = 64;
  x.free = 50;
  std::vector<open_files::share> open;
  auto refused = false;
  for (auto i = 0; i < 10 && !refused; ++i) {
    auto more = x.use("db" + std::to_string(i));
    refused = !more;
    if (more)
      open.push_back(std::move(*more));
  }
  CHECK(refused);
  CHECK(open.size() == 6);
  x.limit = 1'024;
  x.free = 1'000;
  given(x.use("more"));
}

TEST_CASE("a host that has taken the descriptors has idle databases closed, and is not kept from the only one",
          "[descriptors]") {
  fixture x{0};
  auto first = given(x.use("a"));
  CHECK(x.closed.empty());
  x.free = 100;
  auto second = given(x.use("b"));
  CHECK(x.closed == std::vector<std::string>{"a"});
  x.free = 10;
  CHECK_FALSE(x.use("c"));
  first = {};
  second = {};
  given(x.open(0));
}

TEST_CASE("an error says that there were no descriptors only if there are none", "[descriptors]") {
  fixture x{0};
  auto open = given(x.use("a"));
  auto& other = x.add("b");
  auto disk = make_error(errc::io_error, "the disk");
  CHECK(describe(x.files->explain(other, disk)).message == "the disk");
  x.free = 4;
  CHECK(describe(x.files->explain(other, make_error(errc::corrupt, "damaged"))).code == errc::corrupt);
  auto why = describe(x.files->explain(other, disk));
  CHECK(why.code == errc::busy);
  CHECK_THAT(why.message, Contains("too many open files: 1 databases are open"));
  CHECK(x.closed == std::vector<std::string>{"a"});
  open = {};
  CHECK(describe(x.files->explain(other, disk)).code == errc::unavailable);
}

TEST_CASE("the limit of this process is found", "[descriptors]") {
  auto files = std::make_shared<open_files>(0);
  auto use = std::make_shared<file_use>("a");
  given(files->open(use));
  CHECK(describe(files->explain(*use, make_error(errc::io_error, "the disk"))).message == "the disk");
}

} // namespace sluice::test::open_files_test
