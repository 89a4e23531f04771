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

reader_pool with_readers(uint64_t count, uint64_t max) {
  reader_pool result{max};
  for (uint64_t i = 0; i < count; ++i)
    result.add({});
  return result;
}

reader_pool::grant start(reader_pool& in, const requester& who, uint64_t flight,
                         query_length length = query_length::unknown) {
  auto x = in.choose(length, who);
  REQUIRE(x.where);
  in.started(x, flight, length, who);
  return x;
}

} // namespace

TEST_CASE("the long queries of all databases have a bound together, beyond which time is limited") {
  two_databases x{2};
  auto a = start(x.first, {1, "a"}, 1);
  CHECK(!a.is_limited);
  CHECK(!start(x.second, {2, "b"}, 2).is_limited);
  CHECK(start(x.second, {3, "c"}, 3).is_limited);
  CHECK(!x.second.choose(query_length::lengthy, {3, "c"}).where);
  CHECK(!x.everywhere.take_freed());
  x.first.finished(*a.where, 1);
  CHECK(x.everywhere.take_freed());
  CHECK(x.second.choose(query_length::lengthy, {3, "c"}).where);
}

TEST_CASE("one agent has half of the long queries of all databases") {
  two_databases x{4};
  CHECK(!start(x.first, {1, "a"}, 1).is_limited);
  CHECK(!start(x.second, {1, "a"}, 2).is_limited);
  CHECK(start(x.second, {1, "a"}, 3).is_limited);
  CHECK(!start(x.second, {1, "b"}, 4).is_limited);
}

TEST_CASE("one process leaves a quarter of the long queries of all databases to others, and at least one") {
  two_databases x{4};
  CHECK(!start(x.first, {1, "a"}, 1).is_limited);
  CHECK(!start(x.first, {1, "b"}, 2).is_limited);
  auto third = start(x.second, {1, "c"}, 3);
  CHECK(!third.is_limited);
  CHECK(start(x.second, {1, "d"}, 4).is_limited);
  CHECK(!x.everywhere.may_start(1));
  CHECK(!start(x.second, {2, "a"}, 5).is_limited);
  x.second.finished(*third.where, 3);
  CHECK(x.everywhere.take_freed());
  CHECK(x.everywhere.may_start(1, "d"));
}

TEST_CASE("of the readers that run long queries one process leaves one to others, and one agent of it another one") {
  auto x = with_readers(5, 5);
  CHECK(!start(x, {1, "a"}, 1).is_limited);
  CHECK(!start(x, {1, "a"}, 2).is_limited);
  CHECK(!x.may_run_unlimited(1, "a"));
  CHECK(x.may_run_unlimited(1, "b"));
  CHECK(!start(x, {1, "b"}, 3).is_limited);
  CHECK(!x.may_run_unlimited(1));
  CHECK(x.may_run_unlimited(2, "a"));
  CHECK(!x.choose(query_length::lengthy, {1, "c"}).where);
  CHECK(!start(x, {2, "a"}, 4).is_limited);
  CHECK(!x.may_run_unlimited(3));
}

TEST_CASE("an idle reader that ran something last is taken first") {
  auto x = with_readers(3, 3);
  auto a = start(x, {1, "a"}, 1, query_length::brief);
  auto b = start(x, {1, "a"}, 2, query_length::brief);
  CHECK(a.where != b.where);
  x.finished(*a.where, 1);
  CHECK(start(x, {1, "a"}, 3, query_length::brief).where == a.where);
  x.finished(*b.where, 2);
  CHECK(start(x, {1, "a"}, 4, query_length::brief).where == b.where);
}

TEST_CASE("the second reader beside an only one runs queries while the first runs one that is known to be long") {
  auto x = with_readers(1, 1);
  CHECK(!x.lacks_readers());
  auto brief = start(x, {1, "a"}, 1);
  // Its length is unknown.
  CHECK(brief.is_limited);
  CHECK(!x.lacks_readers());
  x.finished(*brief.where, 1);
  auto report = start(x, {1, "a"}, 2, query_length::lengthy);
  CHECK(!report.is_limited);
  CHECK(x.lacks_readers());
  x.add({});
  CHECK(!x.lacks_readers());
  CHECK(!x.choose(query_length::lengthy, {2, "b"}).where);
  brief = start(x, {2, "b"}, 3);
  CHECK(brief.is_limited);
  CHECK(brief.where != report.where);
  CHECK(!x.choose(query_length::brief, {2, "b"}).where);
  x.finished(*report.where, 2);
  CHECK(!x.has_idle());
  CHECK(!x.choose(query_length::brief, {2, "b"}).where);
  CHECK(!x.choose(query_length::lengthy, {2, "b"}).where);
  x.finished(*brief.where, 3);
  CHECK(x.choose(query_length::lengthy, {2, "b"}).where);
}

} // namespace sluice::test::reader_pool_test
