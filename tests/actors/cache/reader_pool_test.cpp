#include "actors/cache/reader_pool.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::reader_pool_test {

namespace {

struct two_databases {
  explicit two_databases(uint64_t max) : everywhere(max) {
    for (auto* each : {&first, &second})
      for (auto i = 0; i < 4; ++i)
        each->add({});
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
  auto result = in.choose(length, who);
  REQUIRE(result.where);
  in.started(result, flight, length, who);
  return result;
}

} // namespace

TEST_CASE("the long queries of all databases are bounded together, beyond which their time is limited") {
  two_databases f{2};
  auto a = start(f.first, {1, "a"}, 1);
  CHECK(!a.is_limited);
  CHECK(!start(f.second, {2, "b"}, 2).is_limited);
  CHECK(start(f.second, {3, "c"}, 3).is_limited);
  CHECK(!f.second.choose(query_length::lengthy, {3, "c"}).where);
  CHECK(!f.everywhere.take_freed());
  f.first.finished(*a.where, 1);
  CHECK(f.everywhere.take_freed());
  CHECK(f.second.choose(query_length::lengthy, {3, "c"}).where);
}

TEST_CASE("one agent has half of the long queries of all databases") {
  two_databases f{4};
  CHECK(!start(f.first, {1, "a"}, 1).is_limited);
  CHECK(!start(f.second, {1, "a"}, 2).is_limited);
  CHECK(start(f.second, {1, "a"}, 3).is_limited);
  CHECK(!start(f.second, {1, "b"}, 4).is_limited);
}

TEST_CASE("one process leaves a quarter of the long queries of all databases to others, and at least one") {
  two_databases f{4};
  CHECK(!start(f.first, {1, "a"}, 1).is_limited);
  CHECK(!start(f.first, {1, "b"}, 2).is_limited);
  auto third = start(f.second, {1, "c"}, 3);
  CHECK(!third.is_limited);
  CHECK(start(f.second, {1, "d"}, 4).is_limited);
  CHECK(!f.everywhere.may_start(1));
  CHECK(!start(f.second, {2, "a"}, 5).is_limited);
  f.second.finished(*third.where, 3);
  CHECK(f.everywhere.take_freed());
  CHECK(f.everywhere.may_start(1, "d"));
}

TEST_CASE("one process leaves one of the readers for long queries to others, and one agent another one") {
  auto result = with_readers(5, 5);
  CHECK(!start(result, {1, "a"}, 1).is_limited);
  CHECK(!start(result, {1, "a"}, 2).is_limited);
  CHECK(!result.may_run_unlimited(1, "a"));
  CHECK(result.may_run_unlimited(1, "b"));
  CHECK(!start(result, {1, "b"}, 3).is_limited);
  CHECK(!result.may_run_unlimited(1));
  CHECK(result.may_run_unlimited(2, "a"));
  CHECK(!result.choose(query_length::lengthy, {1, "c"}).where);
  CHECK(!start(result, {2, "a"}, 4).is_limited);
  CHECK(!result.may_run_unlimited(3));
}

TEST_CASE("an idle reader that ran something last is taken first") {
  auto result = with_readers(3, 3);
  auto a = start(result, {1, "a"}, 1, query_length::brief);
  auto b = start(result, {1, "a"}, 2, query_length::brief);
  CHECK(a.where != b.where);
  result.finished(*a.where, 1);
  CHECK(start(result, {1, "a"}, 3, query_length::brief).where == a.where);
  result.finished(*b.where, 2);
  CHECK(start(result, {1, "a"}, 4, query_length::brief).where == b.where);
}

TEST_CASE("the second reader beside an only one runs queries while the first runs one that is known to be long") {
  auto result = with_readers(1, 1);
  CHECK(!result.lacks_readers());
  auto brief = start(result, {1, "a"}, 1);
  // Its length is unknown.
  CHECK(brief.is_limited);
  CHECK(!result.lacks_readers());
  result.finished(*brief.where, 1);
  auto report = start(result, {1, "a"}, 2, query_length::lengthy);
  CHECK(!report.is_limited);
  CHECK(result.lacks_readers());
  result.add({});
  CHECK(!result.lacks_readers());
  CHECK(!result.choose(query_length::lengthy, {2, "b"}).where);
  brief = start(result, {2, "b"}, 3);
  CHECK(brief.is_limited);
  CHECK(brief.where != report.where);
  CHECK(!result.choose(query_length::brief, {2, "b"}).where);
  result.finished(*report.where, 2);
  CHECK(!result.has_idle());
  CHECK(!result.choose(query_length::brief, {2, "b"}).where);
  CHECK(!result.choose(query_length::lengthy, {2, "b"}).where);
  result.finished(*brief.where, 3);
  CHECK(result.choose(query_length::lengthy, {2, "b"}).where);
}

} // namespace sluice::test::reader_pool_test
