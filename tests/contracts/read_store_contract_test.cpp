// Contract tests of read_store (actors/reader/read_store.hpp), run on the fake of the actors' tests and on the SQLite
// store.

#include "runtime/sqlite/reader/read_store.hpp"
#include "tests/runtime/sqlite/files/file_fixture.hpp"
#include "tests/support/fake_read_store.hpp"

namespace sluice::test::read_store_contract_test {

namespace {

class fake_reads {
public:
  std::unique_ptr<read_store> open() { return std::make_unique<fake_read_store>(view_); }

  // Reads the table `t`, whose one row has "t" in its column `x`.
  statement query() const { return {"t"}; }

  statement wrong_query() {
    view_.errors["wrong"] = errc::sql_error;
    return {"wrong"};
  }

  void commit_externally() { view_.external_commit = true; }

private:
  fake_view view_;
};

class sqlite_reads {
public:
  sqlite_reads() { other_program{file_}.run("CREATE TABLE t(x); INSERT INTO t VALUES ('t')"); }

  std::unique_ptr<read_store> open() { return sqlite::make_read_store(file_, {}); }

  statement query() const { return {"SELECT x FROM t"}; }
  statement wrong_query() const { return {"SELECT x FROM nothing"}; }
  void commit_externally() { other_program{file_}.run("CREATE TABLE u(x)"); }

private:
  temp_dir folder_;
  fs::path file_ = folder_ / "app.db";
};

read_request request_for(statement query) {
  read_request result;
  result.query = std::move(query);
  return result;
}

caf::expected<executed_read> run(read_store& aut, statement query) {
  return aut.run(request_for(std::move(query)), store_fixture::generous());
}

} // namespace

TEMPLATE_TEST_CASE("a read returns its rows and columns, and the tables that it has read", "[contract]", fake_reads,
                   sqlite_reads) {
  TestType subject;
  auto aut = subject.open();
  auto answer = must(run(*aut, subject.query()));
  REQUIRE(answer.result.rows);
  CHECK(answer.result.rows->columns() == std::vector<std::string>{"x"});
  REQUIRE(answer.result.rows->size() == 1);
  CHECK(answer.result.rows->at(0, 0) == value{"t"});
  CHECK_FALSE(answer.result.truncated);
  CHECK(answer.result.source == read_source::database);
  REQUIRE(answer.reads);
  CHECK(answer.reads->tables == std::vector<std::string>{"t"});
  CHECK(answer.reads->deterministic);
}

TEMPLATE_TEST_CASE("several statements are all answered, and one that fails fails the read", "[contract]", fake_reads,
                   sqlite_reads) {
  TestType subject;
  auto aut = subject.open();
  auto request = request_for(subject.query());
  request.more = {subject.query(), subject.query()};
  auto answer = must(aut->run(request, store_fixture::generous())).result;
  REQUIRE(answer.rows);
  REQUIRE(answer.more.size() == 2);
  for (const auto& rows : {answer.rows, answer.more[0].rows, answer.more[1].rows})
    CHECK((rows->size() == 1 && rows->at(0, 0) == value{"t"}));
  CHECK_FALSE(answer.truncated);
  request.more = {subject.query(), subject.wrong_query()};
  CHECK(failure_of(aut->run(request, store_fixture::generous())).code == errc::sql_error);
  CHECK(run(*aut, subject.query()));
}

TEMPLATE_TEST_CASE("one read reports that it may show an external commit, and the next one does not", "[contract]",
                   fake_reads, sqlite_reads) {
  TestType subject;
  auto aut = subject.open();
  must(run(*aut, subject.query()));
  CHECK_FALSE(must(run(*aut, subject.query())).external_commit);
  subject.commit_externally();
  CHECK(must(run(*aut, subject.query())).external_commit);
  CHECK_FALSE(must(run(*aut, subject.query())).external_commit);
}

TEMPLATE_TEST_CASE("a read that was cancelled is not begun", "[contract]", fake_reads, sqlite_reads) {
  TestType subject;
  auto aut = subject.open();
  auto request = request_for(subject.query());
  request.cancel = cancel_token::make();
  request.cancel.cancel();
  CHECK(failure_of(aut->run(request, store_fixture::generous())).code == errc::cancelled);
  CHECK(run(*aut, subject.query()));
}

TEMPLATE_TEST_CASE("after a query that fails the store can run the next one", "[contract]", fake_reads, sqlite_reads) {
  TestType subject;
  auto aut = subject.open();
  CHECK(failure_of(run(*aut, subject.wrong_query())).code == errc::sql_error);
  CHECK(run(*aut, subject.query()));
}

TEMPLATE_TEST_CASE("a store that was closed as idle reads again", "[contract]", fake_reads, sqlite_reads) {
  TestType subject;
  auto aut = subject.open();
  aut->close_idle();
  CHECK(run(*aut, subject.query()));
  aut->close_idle();
  aut->close_idle();
  CHECK(must(run(*aut, subject.query())).result.rows->size() == 1);
}

TEMPLATE_TEST_CASE("the plan of a query is a text", "[contract]", fake_reads, sqlite_reads) {
  TestType subject;
  auto aut = subject.open();
  must(run(*aut, subject.query()));
  CHECK_FALSE(must(aut->explain(subject.query())).empty());
}

} // namespace sluice::test::read_store_contract_test
