#include "tests/runtime/sqlite/writer/store_fixture.hpp"

namespace sluice::test::terms_binding_test {

namespace {

statement with_terms(const char* sql, std::vector<returned_value> returned, std::vector<std::string> columns = {},
                     parameters params = {}) {
  statement result{sql, std::move(params)};
  result.terms = std::make_shared<const statement_terms>(statement_terms{std::move(returned), std::move(columns)});
  return result;
}

} // namespace

TEST_CASE("a value that a statement returns is bound in later ones, beside the values of the request") {
  table_fixture fixture;
  auto& store = *fixture.store;
  must(store.begin());
  auto done = must(store.execute(
    request_of({{"INSERT INTO t(id, a) VALUES (7, 'x') RETURNING id AS new, a"},
                {"UPDATE t SET a = 'y' WHERE id = 7"},
                with_terms("INSERT INTO t(id, a) SELECT :id + 1, :suffix || a FROM t WHERE id = :id RETURNING id",
                           {{"id", 2, "new"}}, {"id"}, std::vector<named_value>{{"suffix", "z"}}),
                with_terms("SELECT :a || :b AS both", {{"a", 3, "a"}, {"b", 1, "id"}})}),
    no_deadline));
  CHECK(done.results.at(2).rows.at(0, 0) == value{8});
  CHECK(done.results.at(3).rows.at(0, 0) == value{"x8"});
  must(store.execute(request_of("SELECT 1"), no_deadline));
}

TEST_CASE("bound texts and blobs last until the statement has run") {
  table_fixture fixture;
  auto& store = *fixture.store;
  must(store.begin());
  const std::string text(1'000, 'x');
  auto done = must(store.execute(
    request_of(
      {{"SELECT :text AS text, :bytes AS bytes", std::vector<named_value>{{"text", text}, {"bytes", blob{text}}}},
       with_terms("SELECT :text || :own, :bytes", {{"text", 1, "text"}, {"bytes", 1, "bytes"}}, {},
                  std::vector<named_value>{{"own", "short"}}),
       with_terms("SELECT :own AS own", {}, {"own"}, std::vector<named_value>{{"own", "short"}})}),
    no_deadline));
  CHECK(done.results.at(1).rows.at(0, 0) == value{text + "short"});
  CHECK(done.results.at(1).rows.at(0, 1) == value{blob{text}});
  CHECK(done.results.at(2).rows.at(0, 0) == value{"short"});
}

TEST_CASE("a statement that returns no row or several for a parameter undoes its request alone") {
  table_fixture fixture;
  fixture.write("INSERT INTO t(id, a) VALUES (1, 'x'), (2, 'y')");
  auto& store = *fixture.store;
  must(store.begin());
  auto error_of = [&](const char* first, const char* column = "id") {
    auto error = failure_of(store.execute(
      request_of({{first}, with_terms("INSERT INTO t(a) VALUES (:id)", {{"id", 1, column}})}), no_deadline));
    CHECK(store.in_transaction());
    CHECK(must(store.execute(request_of("SELECT group_concat(a) FROM t"), no_deadline)).results.at(0).rows.at(0, 0)
          == value{"x,y"});
    return error;
  };
  auto none = error_of("DELETE FROM t WHERE id = 9 RETURNING id");
  CHECK(none.code == errc::conflict);
  CHECK(none.message
        == "statement 2: its parameter 'id' needs exactly one row of the earlier statement that returns it, which "
           "returned none; nothing of the request is applied");
  auto both = error_of("UPDATE t SET a = a || 'z' RETURNING id");
  CHECK(both.code == errc::conflict);
  CHECK(both.message.find("which returned 2 rows") != std::string::npos);
  CHECK(error_of("UPDATE t SET a = 'z' WHERE id = 1 RETURNING id", "nr").code == errc::sql_error);
  CHECK(error_of("UPDATE t SET a = 'z' WHERE id = 1").code == errc::sql_error);
}

TEST_CASE("a statement with other columns than declared undoes its request") {
  table_fixture fixture;
  auto& store = *fixture.store;
  must(store.begin());
  auto error =
    failure_of(store.execute(request_of({{"INSERT INTO t(id) VALUES (5)"},
                                         with_terms("INSERT INTO t(a) VALUES ('x') RETURNING id", {}, {"nr"})}),
                             no_deadline));
  CHECK(error.code == errc::sql_error);
  CHECK(error.message
        == "statement 2: it gives id, and nr is declared; correct one of them. Nothing of the request is applied");
  CHECK(must(store.execute(request_of("SELECT count(*) FROM t"), no_deadline)).results.at(0).rows.at(0, 0) == value{0});
}

} // namespace sluice::test::terms_binding_test
