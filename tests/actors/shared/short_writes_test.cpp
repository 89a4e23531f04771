#include "actors/shared/short_writes.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::short_writes_test {

using namespace std::chrono_literals;

namespace {

write_request a_write(const std::string& sql) {
  write_request request;
  request.statements.push_back({sql, {}});
  return request;
}

struct fixture {
  short_writes known;

  fixture() { known.note_commit(100us); }
};

} // namespace

TEST_CASE("a write is short when it was executed quickly, is bounded by its form, and commits are quick") {
  short_writes known;
  known.note(a_write("a"), 10us, true);
  CHECK_FALSE(known.contains(a_write("a")));
  known.note_commit(100us);
  CHECK(known.contains(a_write("a")));
  CHECK_FALSE(known.contains(a_write("b")));
  known.note(a_write("a"), 10us, false);
  CHECK_FALSE(known.contains(a_write("a")));
}

TEST_CASE("a write that took long once is not short until it was quick several times") {
  fixture f;
  f.known.note(a_write("a"), 250us, true);
  CHECK_FALSE(f.known.contains(a_write("a")));
  f.known.note(a_write("a"), 10us, true);
  CHECK_FALSE(f.known.contains(a_write("a")));
  f.known.note(a_write("a"), 10us, true);
  CHECK(f.known.contains(a_write("a")));
}

TEST_CASE("while commits take long no write is short") {
  fixture f;
  f.known.note(a_write("a"), 10us, true);
  f.known.note_commit(1s);
  CHECK_FALSE(f.known.contains(a_write("a")));
  for (auto i = 0; i < 100; ++i)
    f.known.note_commit(100us);
  CHECK(f.known.contains(a_write("a")));
}

TEST_CASE("a list of statements is distinguished from its single statements and from other orders") {
  fixture f;
  auto list = a_write("a");
  list.statements.push_back({"b", {}});
  f.known.note(list, 10us, true);
  CHECK(f.known.contains(list));
  CHECK_FALSE(f.known.contains(a_write("a")));
  std::swap(list.statements[0], list.statements[1]);
  CHECK_FALSE(f.known.contains(list));
}

TEST_CASE("closing the database forgets the known writes") {
  fixture f;
  f.known.note(a_write("a"), 10us, true);
  f.known.clear();
  CHECK_FALSE(f.known.contains(a_write("a")));
}

} // namespace sluice::test::short_writes_test
