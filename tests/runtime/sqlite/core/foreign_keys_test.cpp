#include "runtime/sqlite/core/foreign_keys.hpp"
#include "tests/runtime/sqlite/writer/store_rig.hpp"

namespace sluice::test::foreign_keys_test {

namespace {

write_request unenforced(std::vector<statement> statements) {
  auto x = request_of(std::move(statements));
  x.enforce_foreign_keys = false;
  return x;
}

write_request unenforced(const char* sql) { return unenforced({{sql, {}}}); }

// What SQLite's documentation tells people to do who change a table.
std::vector<statement> rebuild() {
  return {{"CREATE TABLE p2(id INTEGER PRIMARY KEY, n TEXT NOT NULL DEFAULT '')", {}},
          {"INSERT INTO p2 SELECT * FROM parent", {}},
          {"DROP TABLE parent", {}},
          {"ALTER TABLE p2 RENAME TO parent", {}}};
}

struct family_rig : store_rig {
  explicit family_rig(const std::string& action = "ON DELETE CASCADE") {
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
    family_rig rig{action};
    for (const auto& request : {request_of(rebuild()), request_of("DROP TABLE parent")}) {
      auto why = rig.refuse(request);
      CHECK(why.code == errc::constraint);
      CHECK_THAT(why.message, Catch::Contains("DROP TABLE parent") && Catch::Contains("foreign_keys off"));
      CHECK(rig.survived);
    }
    CHECK((rig.count("parent") == 2 && rig.count("child") == 2));
    CHECK(rig.read_one("SELECT count(*) FROM child WHERE id = pid") == value{2});
  }
}

TEST_CASE("a DROP TABLE that would delete along a chain names each table of it") {
  family_rig rig;
  rig.write("CREATE TABLE grandchild(cid INT REFERENCES child ON DELETE CASCADE)");
  rig.write("INSERT INTO grandchild SELECT id FROM child");
  auto why = rig.refuse("DROP TABLE \"Parent\"");
  CHECK_THAT(why.message, Catch::Contains("child") && Catch::Contains("grandchild"));
}

TEST_CASE("a DROP TABLE whose rows nobody loses is done") {
  family_rig rig;
  rig.write("CREATE TABLE tree(id INTEGER PRIMARY KEY, up INT REFERENCES tree ON DELETE CASCADE)");
  rig.write("INSERT INTO tree VALUES (1, NULL), (2, 1)");
  rig.write("DROP TABLE tree");
  rig.write(request_of({{"DELETE FROM parent", {}}, {"DROP TABLE parent", {}}}));
  rig.write("DROP TABLE child");
  CHECK(rig.read_one("SELECT count(*) FROM sqlite_schema WHERE name IN ('tree', 'parent', 'child')") == value{0});
}

TEST_CASE("a DROP TABLE that violates a foreign key says how to rebuild the table") {
  family_rig rig{""};
  auto why = rig.refuse(request_of(rebuild()));
  CHECK(why.code == errc::constraint);
  CHECK_THAT(why.message,
             Catch::Contains("DROP TABLE parent deletes its rows first") && Catch::Contains("foreign_keys off"));
  CHECK(rig.survived);
}

TEST_CASE("with foreign keys off a table is rebuilt and its children stay") {
  for (const auto* action : {"ON DELETE CASCADE", "ON DELETE SET NULL", ""}) {
    INFO(action);
    family_rig rig{action};
    rig.write(unenforced(rebuild()));
    CHECK((rig.count("parent") == 2 && rig.count("child") == 2));
    CHECK(rig.read_one("SELECT count(*) FROM child WHERE id = pid") == value{2});
    CHECK_THAT(*rig.read_one("SELECT sql FROM sqlite_schema WHERE name = 'child'").text(),
               Catch::Contains("REFERENCES parent"));
  }
}

TEST_CASE("with foreign keys off a request that leaves an orphan is undone alone, and the row is named") {
  family_rig rig;
  rig.write("SELECT 1");
  auto begun = must(rig.store->begin());
  must(rig.store->execute(request_of("INSERT INTO parent VALUES (7, 'kept')"), no_deadline));
  auto why = failure_of(rig.store->execute(unenforced("DELETE FROM parent WHERE id = 1"), no_deadline));
  CHECK(why.code == errc::constraint);
  CHECK_THAT(why.message, Catch::Contains("row 1 of table child") && Catch::Contains("parent"));
  CHECK(rig.store->in_transaction());
  must(commit_of(*rig.store, begun, request_of("")));
  CHECK(rig.count("parent") == 3);
  CHECK(rig.count("child") == 2);
}

TEST_CASE("foreign keys are on again for the next request of the same transaction") {
  family_rig rig;
  auto begun = must(rig.store->begin());
  must(rig.store->execute(unenforced("INSERT INTO parent VALUES (3, 'c')"), no_deadline));
  CHECK(failure_of(rig.store->execute(request_of("INSERT INTO child(pid) VALUES (99)"), no_deadline)).code
        == errc::constraint);
  must(rig.store->execute(request_of("DELETE FROM parent WHERE id = 1"), no_deadline));
  must(commit_of(*rig.store, begun, request_of("")));
  CHECK((rig.count("parent") == 2 && rig.count("child") == 1));
}

TEST_CASE("with foreign keys off, violations that the file had before count for nothing") {
  family_rig rig;
  must(rig.foreigner().exec("PRAGMA foreign_keys = OFF; INSERT INTO child(pid) VALUES (99), (99)"));
  rig.write(unenforced(rebuild()));
  rig.write(unenforced("DELETE FROM child WHERE id = 3"));
  auto why = rig.refuse(unenforced("INSERT INTO child(id, pid) VALUES (9, 99)"));
  CHECK_THAT(why.message, Catch::Contains("row 9 of table child"));
}

TEST_CASE("with foreign keys off, a row WITHOUT ROWID that violates a key is told from one that did before") {
  family_rig rig;
  rig.write("CREATE TABLE pair(a TEXT, b INT, pid TEXT REFERENCES parent, again INT REFERENCES parent(id), "
            "PRIMARY KEY (b, a)) WITHOUT ROWID");
  must(rig.foreigner().exec("PRAGMA foreign_keys = OFF; INSERT INTO pair VALUES ('old', 1, '99', NULL)"));
  auto swap = unenforced({{"DELETE FROM pair", {}}, {"INSERT INTO pair VALUES ('new', 1, '99', NULL)", {}}});
  auto why = rig.refuse(swap);
  CHECK(why.code == errc::constraint);
  CHECK_THAT(why.message, Catch::Contains("the row with 'new', 1, '99' of table pair") && Catch::Contains("parent"));
  // Another parent, or the other key.
  rig.refuse(unenforced("UPDATE pair SET pid = '98'"));
  rig.refuse(unenforced("UPDATE pair SET pid = NULL, again = 99"));
  // The row that was there may stay, go and come back, and what refers to a parent may come.
  rig.write(unenforced({{"DELETE FROM pair", {}}, {"INSERT INTO pair VALUES ('old', 1, '99', NULL)", {}}}));
  rig.write(unenforced("INSERT INTO pair VALUES ('good', 2, '1', 2), ('none', 3, NULL, NULL)"));
  rig.write(
    unenforced({{"CREATE TABLE next(a TEXT, b INT, pid TEXT REFERENCES parent, again INT REFERENCES parent(id), "
                 "PRIMARY KEY (b, a)) WITHOUT ROWID",
                 {}},
                {"INSERT INTO next SELECT * FROM pair", {}},
                {"DROP TABLE pair", {}},
                {"ALTER TABLE next RENAME TO pair", {}}}));
  rig.write(unenforced("DELETE FROM pair WHERE a = 'old'"));
  rig.refuse(unenforced("INSERT INTO pair VALUES ('old', 1, '99', NULL)"));
}

TEST_CASE("the rows WITHOUT ROWID that violate a key are found as SQLite finds them") {
  store_rig rig;
  for (const auto* sql :
       {"CREATE TABLE \"p \"\"1\"(\"k \"\"1\" TEXT COLLATE NOCASE, n INT, PRIMARY KEY (\"k \"\"1\", n))",
        "CREATE TABLE \"c \"\"1\"(\"x \"\"1\" INT, y TEXT, z BLOB PRIMARY KEY, "
        "FOREIGN KEY (\"x \"\"1\", y) REFERENCES \"p \"\"1\", FOREIGN KEY (y) REFERENCES gone(a)) WITHOUT ROWID",
        "INSERT INTO \"p \"\"1\" VALUES ('5', 1), ('Abc', 2)"})
    rig.write(sql);
  // Right but for the parent that is gone, and wrong: the parent's column is TEXT, so 5 is '5', and 05 is not.
  must(rig.foreigner().exec("PRAGMA foreign_keys = OFF; INSERT INTO \"c \"\"1\" VALUES (5, '1', 1), ('aBC', '2', 2), "
                            "(6, '1', 3), ('05', '1', zeroblob(500))"));
  auto found = must(sqlite::foreign_key_violations::find(rig.foreigner()));
  CHECK(!found.first_new(found));
  must(rig.foreigner().exec("PRAGMA foreign_keys = OFF; DELETE FROM \"c \"\"1\" WHERE z = 3; "
                            "INSERT INTO \"c \"\"1\" VALUES (7, '1', 4)"));
  auto later = must(sqlite::foreign_key_violations::find(rig.foreigner()));
  REQUIRE(found.first_new(later));
  CHECK_THAT(*found.first_new(later), Catch::Contains("the row with 4, "));
}

TEST_CASE("with foreign keys off, a key that could not be checked before is no hindrance, and a new one is") {
  family_rig rig;
  rig.write("CREATE TABLE loose(a REFERENCES parent(n))");
  rig.write(unenforced("INSERT INTO parent VALUES (4, 'd')"));
  auto why = rig.refuse(unenforced("CREATE TABLE looser(a REFERENCES parent(n))"));
  CHECK(why.code == errc::constraint);
  CHECK_THAT(why.message, Catch::Contains("looser"));
}

TEST_CASE("the tables that a request with foreign keys off touched are known") {
  family_rig rig;
  rig.write(unenforced("UPDATE parent SET n = 'z'"));
  CHECK(sorted(rig.last_done.tables) == std::vector<std::string>{"parent"});
  rig.write("DELETE FROM parent WHERE id = 1");
  CHECK(sorted(rig.last_done.tables) == std::vector<std::string>{"child", "parent"});
}

TEST_CASE("the user version is set and read, and undone with its request") {
  store_rig rig;
  rig.write("CREATE TABLE t(a UNIQUE)");
  rig.write(request_of({{"INSERT INTO t VALUES (1)", {}}, {"PRAGMA user_version = 7", {}}}));
  CHECK(rig.read_one("PRAGMA user_version") == value{7});
  rig.refuse(request_of({{"PRAGMA user_version = 8", {}}, {"INSERT INTO t VALUES (1)", {}}}));
  CHECK(rig.write("PRAGMA user_version").results.at(0).rows.at(0, 0) == value{7});
  rig.write("PRAGMA main.user_version(9)");
  CHECK(rig.read_one("PRAGMA user_version") == value{9});
  CHECK(failure_of(rig.try_read("PRAGMA user_version = 1")).code == errc::invalid_request);
  CHECK(rig.read_one("PRAGMA user_version") == value{9});
  CHECK(!rig.read("PRAGMA user_version").reads->deterministic);
}

TEST_CASE(
  "a user version that SQLite would store as another number is refused, and nothing of its request is applied") {
  store_rig rig;
  rig.write("CREATE TABLE t(a)");
  rig.write("PRAGMA user_version = 7");
  for (const auto* number : {"99999999999", "2147483648", "-2147483649", "abc", "1.5", "'1x'", "''", "'+-1'", "1e3",
                             "0x80000000", "'-0x1'", "'0x'", "ON"}) {
    INFO(number);
    auto sql = "PRAGMA user_version = " + std::string{number};
    auto why = rig.refuse(request_of({{"INSERT INTO t VALUES (1)", {}}, {sql.c_str(), {}}}));
    CHECK(why.code == errc::invalid_request);
    CHECK_THAT(why.message, Catch::Contains("from -2147483648 to 2147483647"));
  }
  CHECK(rig.read_one("PRAGMA user_version") == value{7});
  for (auto [sql, number] :
       std::vector<std::pair<const char*, int64_t>>{{"PRAGMA user_version = 2147483647", 2147483647},
                                                    {"PRAGMA user_version = -2147483648", -2147483648},
                                                    {"PRAGMA user_version = +5", 5},
                                                    {"PRAGMA user_version = '6'", 6},
                                                    {"PRAGMA user_version = 0X1F", 31},
                                                    {"PRAGMA user_version = 007", 7}}) {
    INFO(sql);
    rig.write(sql);
    CHECK(rig.read_one("PRAGMA user_version") == value{number});
  }
}

TEST_CASE("deferring foreign keys is not switched off by an empty text") {
  store_rig rig;
  rig.write("CREATE TABLE t(a)");
  CHECK(rig.refuse("PRAGMA defer_foreign_keys = ''").code == errc::invalid_request);
}

TEST_CASE("foreign keys are deferred to the end of the request that asks for it, each time, and no further") {
  family_rig rig{""};
  for (int i = 10; i < 12; ++i) {
    auto number = std::to_string(i);
    auto child = "INSERT INTO child(pid) VALUES (" + number + ")";
    auto parent = "INSERT INTO parent VALUES (" + number + ", 'late')";
    auto begun = must(rig.store->begin());
    must(rig.store->execute(
      request_of({{"PRAGMA defer_foreign_keys = ON", {}}, {child.c_str(), {}}, {parent.c_str(), {}}}), no_deadline));
    // The next request of the transaction is as strict as ever.
    CHECK(failure_of(rig.store->execute(request_of({{"INSERT INTO child(pid) VALUES (77)", {}},
                                                    {"INSERT INTO parent VALUES (77, 'late')", {}}}),
                                        no_deadline))
            .code
          == errc::constraint);
    must(commit_of(*rig.store, begun, request_of("")));
  }
  CHECK(rig.count("child") == 4);
  auto why =
    rig.refuse(request_of({{"PRAGMA defer_foreign_keys = ON", {}}, {"INSERT INTO child(pid) VALUES (55)", {}}}));
  CHECK(why.code == errc::constraint);
}

TEST_CASE("a key is of its foreign_keys, too") {
  family_rig rig;
  auto request = request_of({{"INSERT INTO parent VALUES (5, 'e')", {}}}, "key-1");
  rig.write(request);
  auto begun = must(rig.store->begin());
  CHECK(must(rig.store->recall(request)).has_value());
  request.enforce_foreign_keys = false;
  CHECK(failure_of(rig.store->recall(request)).code == errc::payload_mismatch);
  rig.store->rollback();
  CHECK(begun.next_seq > 1);
}

} // namespace sluice::test::foreign_keys_test
