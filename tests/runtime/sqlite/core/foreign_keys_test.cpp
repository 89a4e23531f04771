#include "runtime/sqlite/core/foreign_keys.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"

namespace sluice::test::foreign_keys_test {

namespace {

write_request unenforced(std::vector<statement> statements) {
  auto result = request_of(std::move(statements));
  result.enforce_foreign_keys = false;
  return result;
}

write_request unenforced(const char* sql) { return unenforced({{sql, {}}}); }

// The procedure that SQLite's documentation gives for changing a table.
std::vector<statement> rebuild() {
  return {{"CREATE TABLE p2(id INTEGER PRIMARY KEY, n TEXT NOT NULL DEFAULT '')", {}},
          {"INSERT INTO p2 SELECT * FROM parent", {}},
          {"DROP TABLE parent", {}},
          {"ALTER TABLE p2 RENAME TO parent", {}}};
}

struct family_fixture : store_fixture {
  explicit family_fixture(const std::string& action = "ON DELETE CASCADE") {
    write("CREATE TABLE parent(id INTEGER PRIMARY KEY, n TEXT)");
    write(("CREATE TABLE child(id INTEGER PRIMARY KEY, pid INT DEFAULT 2 REFERENCES parent " + action + ")").c_str());
    write("INSERT INTO parent VALUES (1, 'a'), (2, 'b')");
    write("INSERT INTO child(pid) VALUES (1), (2)");
  }

  int64_t count(const char* table) {
    return *read_one((std::string{"SELECT count(*) FROM "} + table).c_str()).integer();
  }
};

} // namespace

TEST_CASE("a DROP TABLE that would change rows of other tables is refused, and names them") {
  for (const auto* action : {"ON DELETE CASCADE", "ON DELETE SET NULL", "ON DELETE SET DEFAULT"}) {
    INFO(action);
    family_fixture fixture{action};
    for (const auto& request : {request_of(rebuild()), request_of("DROP TABLE parent")}) {
      auto error = fixture.refuse(request);
      CHECK(error.code == errc::constraint);
      CHECK_THAT(error.message, Catch::Contains("DROP TABLE parent") && Catch::Contains("foreign_keys off"));
      CHECK(fixture.survived);
    }
    CHECK((fixture.count("parent") == 2 && fixture.count("child") == 2));
    CHECK(fixture.read_one("SELECT count(*) FROM child WHERE id = pid") == value{2});
  }
}

TEST_CASE("a DROP TABLE that would delete along a chain names each table of it") {
  family_fixture fixture;
  fixture.write("CREATE TABLE grandchild(cid INT REFERENCES child ON DELETE CASCADE)");
  fixture.write("INSERT INTO grandchild SELECT id FROM child");
  auto error = fixture.refuse("DROP TABLE \"Parent\"");
  CHECK_THAT(error.message, Catch::Contains("child") && Catch::Contains("grandchild"));
}

TEST_CASE("a DROP TABLE without rows in other tables is executed") {
  family_fixture fixture;
  fixture.write("CREATE TABLE tree(id INTEGER PRIMARY KEY, up INT REFERENCES tree ON DELETE CASCADE)");
  fixture.write("INSERT INTO tree VALUES (1, NULL), (2, 1)");
  fixture.write("DROP TABLE tree");
  fixture.write(request_of({{"DELETE FROM parent", {}}, {"DROP TABLE parent", {}}}));
  fixture.write("DROP TABLE child");
  CHECK(fixture.read_one("SELECT count(*) FROM sqlite_schema WHERE name IN ('tree', 'parent', 'child')") == value{0});
}

TEST_CASE("a DROP TABLE that violates a foreign key suggests how to rebuild the table") {
  family_fixture fixture{""};
  auto error = fixture.refuse(request_of(rebuild()));
  CHECK(error.code == errc::constraint);
  CHECK_THAT(error.message,
             Catch::Contains("DROP TABLE parent deletes its rows first") && Catch::Contains("foreign_keys off"));
  CHECK(fixture.survived);
}

TEST_CASE("with foreign keys off a table is rebuilt and its children stay") {
  for (const auto* action : {"ON DELETE CASCADE", "ON DELETE SET NULL", ""}) {
    INFO(action);
    family_fixture fixture{action};
    fixture.write(unenforced(rebuild()));
    CHECK((fixture.count("parent") == 2 && fixture.count("child") == 2));
    CHECK(fixture.read_one("SELECT count(*) FROM child WHERE id = pid") == value{2});
    CHECK_THAT(*fixture.read_one("SELECT sql FROM sqlite_schema WHERE name = 'child'").text(),
               Catch::Contains("REFERENCES parent"));
  }
}

TEST_CASE("with foreign keys off a request that leaves an orphan is rolled back alone, and the row is named") {
  family_fixture fixture;
  fixture.write("SELECT 1");
  auto begun = must(fixture.store->begin());
  must(fixture.store->execute(request_of("INSERT INTO parent VALUES (7, 'kept')"), no_deadline));
  auto error = failure_of(fixture.store->execute(unenforced("DELETE FROM parent WHERE id = 1"), no_deadline));
  CHECK(error.code == errc::constraint);
  CHECK_THAT(error.message, Catch::Contains("row 1 of table child") && Catch::Contains("parent"));
  CHECK(fixture.store->in_transaction());
  must(commit_of(*fixture.store, begun, request_of("")));
  CHECK(fixture.count("parent") == 3);
  CHECK(fixture.count("child") == 2);
}

TEST_CASE("foreign keys are on again for the next request of the same transaction") {
  family_fixture fixture;
  auto begun = must(fixture.store->begin());
  must(fixture.store->execute(unenforced("INSERT INTO parent VALUES (3, 'c')"), no_deadline));
  CHECK(failure_of(fixture.store->execute(request_of("INSERT INTO child(pid) VALUES (99)"), no_deadline)).code
        == errc::constraint);
  must(fixture.store->execute(request_of("DELETE FROM parent WHERE id = 1"), no_deadline));
  must(commit_of(*fixture.store, begun, request_of("")));
  CHECK((fixture.count("parent") == 2 && fixture.count("child") == 1));
}

TEST_CASE("with foreign keys off, violations that the file had before are ignored") {
  family_fixture fixture;
  must(fixture.external_process().exec("PRAGMA foreign_keys = OFF; INSERT INTO child(pid) VALUES (99), (99)"));
  fixture.write(unenforced(rebuild()));
  fixture.write(unenforced("DELETE FROM child WHERE id = 3"));
  auto error = fixture.refuse(unenforced("INSERT INTO child(id, pid) VALUES (9, 99)"));
  CHECK_THAT(error.message, Catch::Contains("row 9 of table child"));
}

TEST_CASE("with foreign keys off, a new violation of a row WITHOUT ROWID is distinguished from an old one") {
  family_fixture fixture;
  fixture.write("CREATE TABLE pair(a TEXT, b INT, pid TEXT REFERENCES parent, again INT REFERENCES parent(id), "
                "PRIMARY KEY (b, a)) WITHOUT ROWID");
  must(fixture.external_process().exec("PRAGMA foreign_keys = OFF; INSERT INTO pair VALUES ('old', 1, '99', NULL)"));
  auto swap = unenforced({{"DELETE FROM pair", {}}, {"INSERT INTO pair VALUES ('new', 1, '99', NULL)", {}}});
  auto error = fixture.refuse(swap);
  CHECK(error.code == errc::constraint);
  CHECK_THAT(error.message, Catch::Contains("the row with 'new', 1, '99' of table pair") && Catch::Contains("parent"));
  // Another parent, or the other key.
  fixture.refuse(unenforced("UPDATE pair SET pid = '98'"));
  fixture.refuse(unenforced("UPDATE pair SET pid = NULL, again = 99"));
  // The old violating row may stay, be deleted and be inserted again; rows that refer to a parent may be inserted.
  fixture.write(unenforced({{"DELETE FROM pair", {}}, {"INSERT INTO pair VALUES ('old', 1, '99', NULL)", {}}}));
  fixture.write(unenforced("INSERT INTO pair VALUES ('good', 2, '1', 2), ('none', 3, NULL, NULL)"));
  fixture.write(
    unenforced({{"CREATE TABLE next(a TEXT, b INT, pid TEXT REFERENCES parent, again INT REFERENCES parent(id), "
                 "PRIMARY KEY (b, a)) WITHOUT ROWID",
                 {}},
                {"INSERT INTO next SELECT * FROM pair", {}},
                {"DROP TABLE pair", {}},
                {"ALTER TABLE next RENAME TO pair", {}}}));
  fixture.write(unenforced("DELETE FROM pair WHERE a = 'old'"));
  fixture.refuse(unenforced("INSERT INTO pair VALUES ('old', 1, '99', NULL)"));
}

TEST_CASE("the rows WITHOUT ROWID that violate a key are found as SQLite finds them") {
  store_fixture fixture;
  for (const auto* sql :
       {"CREATE TABLE \"p \"\"1\"(\"k \"\"1\" TEXT COLLATE NOCASE, n INT, PRIMARY KEY (\"k \"\"1\", n))",
        "CREATE TABLE \"c \"\"1\"(\"x \"\"1\" INT, y TEXT, z BLOB PRIMARY KEY, "
        "FOREIGN KEY (\"x \"\"1\", y) REFERENCES \"p \"\"1\", FOREIGN KEY (y) REFERENCES gone(a)) WITHOUT ROWID",
        "INSERT INTO \"p \"\"1\" VALUES ('5', 1), ('Abc', 2)"})
    fixture.write(sql);
  // Valid rows except for the missing parent, and invalid ones: the parent's column is TEXT, so 5 matches '5', and 05
  // does not.
  must(fixture.external_process().exec(
    "PRAGMA foreign_keys = OFF; INSERT INTO \"c \"\"1\" VALUES (5, '1', 1), ('aBC', '2', 2), "
    "(6, '1', 3), ('05', '1', zeroblob(500))"));
  auto found = must(sqlite::foreign_key_violations::find(fixture.external_process()));
  CHECK(!found.first_new(found));
  must(fixture.external_process().exec("PRAGMA foreign_keys = OFF; DELETE FROM \"c \"\"1\" WHERE z = 3; "
                                       "INSERT INTO \"c \"\"1\" VALUES (7, '1', 4)"));
  auto later = must(sqlite::foreign_key_violations::find(fixture.external_process()));
  REQUIRE(found.first_new(later));
  CHECK_THAT(*found.first_new(later), Catch::Contains("the row with 4, "));
}

TEST_CASE("with foreign keys off, a key that could not be checked before is ignored, and a new one is not") {
  family_fixture fixture;
  fixture.write("CREATE TABLE loose(a REFERENCES parent(n))");
  fixture.write(unenforced("INSERT INTO parent VALUES (4, 'd')"));
  auto error = fixture.refuse(unenforced("CREATE TABLE looser(a REFERENCES parent(n))"));
  CHECK(error.code == errc::constraint);
  CHECK_THAT(error.message, Catch::Contains("looser"));
}

TEST_CASE("the tables that a request with foreign keys off touched are known") {
  family_fixture fixture;
  fixture.write(unenforced("UPDATE parent SET n = 'z'"));
  CHECK(sorted(fixture.last_done.tables) == std::vector<std::string>{"parent"});
  fixture.write("DELETE FROM parent WHERE id = 1");
  CHECK(sorted(fixture.last_done.tables) == std::vector<std::string>{"child", "parent"});
}

TEST_CASE("the user version is set and read, and rolled back with its request") {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(a UNIQUE)");
  fixture.write(request_of({{"INSERT INTO t VALUES (1)", {}}, {"PRAGMA user_version = 7", {}}}));
  CHECK(fixture.read_one("PRAGMA user_version") == value{7});
  fixture.refuse(request_of({{"PRAGMA user_version = 8", {}}, {"INSERT INTO t VALUES (1)", {}}}));
  CHECK(fixture.write("PRAGMA user_version").results.at(0).rows.at(0, 0) == value{7});
  fixture.write("PRAGMA main.user_version(9)");
  CHECK(fixture.read_one("PRAGMA user_version") == value{9});
  CHECK(failure_of(fixture.try_read("PRAGMA user_version = 1")).code == errc::invalid_request);
  CHECK(fixture.read_one("PRAGMA user_version") == value{9});
  CHECK(!fixture.read("PRAGMA user_version").reads->deterministic);
}

TEST_CASE(
  "a user version that SQLite would store as another number is refused, and nothing of its request is applied") {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(a)");
  fixture.write("PRAGMA user_version = 7");
  for (const auto* number : {"99999999999", "2147483648", "-2147483649", "abc", "1.5", "'1x'", "''", "'+-1'", "1e3",
                             "0x80000000", "'-0x1'", "'0x'", "ON"}) {
    INFO(number);
    auto sql = "PRAGMA user_version = " + std::string{number};
    auto error = fixture.refuse(request_of({{"INSERT INTO t VALUES (1)", {}}, {sql.c_str(), {}}}));
    CHECK(error.code == errc::invalid_request);
    CHECK_THAT(error.message, Catch::Contains("from -2147483648 to 2147483647"));
  }
  CHECK(fixture.read_one("PRAGMA user_version") == value{7});
  for (auto [sql, number] :
       std::vector<std::pair<const char*, int64_t>>{{"PRAGMA user_version = 2147483647", 2147483647},
                                                    {"PRAGMA user_version = -2147483648", -2147483648},
                                                    {"PRAGMA user_version = +5", 5},
                                                    {"PRAGMA user_version = '6'", 6},
                                                    {"PRAGMA user_version = 0X1F", 31},
                                                    {"PRAGMA user_version = 007", 7}}) {
    INFO(sql);
    fixture.write(sql);
    CHECK(fixture.read_one("PRAGMA user_version") == value{number});
  }
}

TEST_CASE("deferring foreign keys is not switched off by an empty text") {
  store_fixture fixture;
  fixture.write("CREATE TABLE t(a)");
  CHECK(fixture.refuse("PRAGMA defer_foreign_keys = ''").code == errc::invalid_request);
}

TEST_CASE("foreign keys are deferred to the end of each request that asks for it") {
  family_fixture fixture{""};
  for (int i = 10; i < 12; ++i) {
    auto number = std::to_string(i);
    auto child = "INSERT INTO child(pid) VALUES (" + number + ")";
    auto parent = "INSERT INTO parent VALUES (" + number + ", 'late')";
    auto begun = must(fixture.store->begin());
    must(fixture.store->execute(
      request_of({{"PRAGMA defer_foreign_keys = ON", {}}, {child.c_str(), {}}, {parent.c_str(), {}}}), no_deadline));
    // The next request of the transaction enforces foreign keys again.
    CHECK(failure_of(fixture.store->execute(request_of({{"INSERT INTO child(pid) VALUES (77)", {}},
                                                        {"INSERT INTO parent VALUES (77, 'late')", {}}}),
                                            no_deadline))
            .code
          == errc::constraint);
    must(commit_of(*fixture.store, begun, request_of("")));
  }
  CHECK(fixture.count("child") == 4);
  auto error =
    fixture.refuse(request_of({{"PRAGMA defer_foreign_keys = ON", {}}, {"INSERT INTO child(pid) VALUES (55)", {}}}));
  CHECK(error.code == errc::constraint);
}

TEST_CASE("the foreign_keys of a request are part of its payload") {
  family_fixture fixture;
  auto request = request_of({{"INSERT INTO parent VALUES (5, 'e')", {}}}, "key-1");
  fixture.write(request);
  auto begun = must(fixture.store->begin());
  CHECK(must(fixture.store->recall(request)).has_value());
  request.enforce_foreign_keys = false;
  CHECK(failure_of(fixture.store->recall(request)).code == errc::payload_mismatch);
  fixture.store->rollback();
  CHECK(begun.next_seq > 1);
}

} // namespace sluice::test::foreign_keys_test
