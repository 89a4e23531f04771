#include "runtime/catalogue/operation_failure.hpp"

#include "runtime/catalogue/catalogue.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::operation_failure_test {

namespace {

std::shared_ptr<const catalogue> known() {
  auto made = make_catalogue({{"operations/a.sql", R"(-- db: app.db
-- name: move :exec
UPDATE a SET n = n - 1;
UPDATE b SET n = n + 1;
-- name: load :batch
INSERT INTO t VALUES (:a);
INSERT INTO u VALUES (:a);
-- name: add :one
INSERT INTO t VALUES (:a) RETURNING id;
-- name: find :many
-- column id integer
-- column text text
SELECT id, text FROM t;
)"}});
  REQUIRE(made);
  return *made;
}

std::string message_of(const char* operation, errc code, std::string message) {
  auto operations = known();
  return failure_of_call(*operations->find(operation), make_failure(code, std::move(message))).message;
}

} // namespace

TEST_CASE("the failure of a call names the operation and its statement, and not a list that nobody has sent",
          "[catalogue]") {
  CHECK(message_of("move", errc::conflict, "statement 2: changed 0 rows")
        == "operation move, statement 2 (operations/a.sql:4): changed 0 rows");
  CHECK(message_of("load", errc::constraint, "statement 4: UNIQUE constraint failed")
        == "operation load, statement 2, params[1] (operations/a.sql:7): UNIQUE constraint failed");
  CHECK(message_of("add", errc::constraint, "UNIQUE constraint failed: t.a")
        == "operation add (operations/a.sql:9): UNIQUE constraint failed: t.a");
  CHECK(message_of("load", errc::invalid_request, "statements has more than 10000 entries")
        == "params make a call of operation load whose list of statements has more than 10000 entries; give fewer sets "
           "of arguments");
}

TEST_CASE("the failure of a call that is about another field is unchanged", "[catalogue]") {
  CHECK(message_of("add", errc::invalid_request, "agent is empty") == "agent is empty");
  CHECK(message_of("add", errc::busy, "app.db is locked") == "app.db is locked");
  CHECK(message_of("add", errc::unavailable, "statement x: y") == "statement x: y");
}

TEST_CASE("rows whose columns are not the declared ones are a failure", "[catalogue]") {
  auto operations = known();
  auto with = [](rowset::column_names columns) {
    read_result result;
    result.rows =
      std::make_shared<const rowset>(rowset{std::make_shared<const rowset::column_names>(std::move(columns))});
    return result;
  };
  const auto& find = *operations->find("find");
  CHECK_FALSE(unfit_rows(find, with({"id", "text"})));
  CHECK_FALSE(unfit_rows(*operations->find("add"), with({"x"})));
  auto unfit = unfit_rows(find, with({"id"}));
  REQUIRE(unfit);
  CHECK(unfit->code == errc::sql_error);
  CHECK(unfit->message == "it gives id, and id, text is declared; correct one of them");
  CHECK(unfit_rows(find, with({"text", "id"})));
}

} // namespace sluice::test::operation_failure_test
