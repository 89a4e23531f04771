#include "actors/cache/reader_pool.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::reader_pool_test {

namespace {

struct two_databases {
  explicit two_databases(uint64_t max) : everywhere(max) {
    for (auto* x : {&first, &second})
      for (auto i = 0; i < 4; ++i)
        x->add({});
  }

  long_reads everywhere;
  reader_pool first{4, &everywhere};
  reader_pool second{4, &everywhere};
};

reader_pool::grant start(reader_pool& in, const std::string& agent, uint64_t flight) {
  auto x = in.choose(query_length::unknown, agent);
  REQUIRE(x.who);
  in.started(x, flight, query_length::unknown, agent);
  return x;
}

} // namespace

TEST_CASE("the long queries of all databases have a bound together, beyond which time is limited") {
  two_databases x{2};
  auto a = start(x.first, "a", 1);
  CHECK(!a.is_limited);
  CHECK(!start(x.second, "b", 2).is_limited);
  CHECK(start(x.second, "c", 3).is_limited);
  CHECK(!x.second.choose(query_length::lengthy, "c").who);
  CHECK(!x.everywhere.take_freed());
  x.first.finished(*a.who, 1);
  CHECK(x.everywhere.take_freed());
  CHECK(x.second.choose(query_length::lengthy, "c").who);
}

TEST_CASE("one agent has half of the long queries of all databases") {
  two_databases x{4};
  CHECK(!start(x.first, "a", 1).is_limited);
  CHECK(!start(x.second, "a", 2).is_limited);
  CHECK(start(x.second, "a", 3).is_limited);
  CHECK(!start(x.second, "b", 4).is_limited);
}

} // namespace sluice::test::reader_pool_test
