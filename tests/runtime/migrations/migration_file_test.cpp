#include "runtime/migrations/migration_file.hpp"

#include "messages/error.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace sluice::test::migration_file_test {

using Catch::Matchers::Contains;

namespace {

failure refused(std::string_view text, std::string_view name = "3_a.sql") {
  write_request request;
  auto error = prepare_migration(name, text, request);
  REQUIRE(error);
  CHECK_FALSE(request.migration);
  return describe(error);
}

write_request read(std::string_view text) {
  write_request request;
  auto error = prepare_migration("0003_a.sql", text, request);
  INFO(describe(error).message);
  REQUIRE_FALSE(error);
  return request;
}

} // namespace

TEST_CASE("a migration has the number at the beginning of its name", "[migrations]") {
  CHECK(migration_number("0001_add_notes.sql") == 1);
  CHECK(migration_number("2-more.sql") == 2);
  CHECK(migration_number("3.sql") == 3);
  CHECK(migration_number("99999999999999_a.sql") == max_migration_number);
  CHECK(migration_number("20261130153000_by_date.sql") == 20261130153000);
  for (const auto* name :
       {"", "a.sql", "_1.sql", "-1_a.sql", "+1_a.sql", "1a.sql", "1_a", "1_a.SQL", "0_a.sql", "000.sql", "1 a.sql",
        "1sql", "99999999999999999999_a.sql", "1000000000000000000_a.sql", "100000000000000_a.sql"})
    CHECK_FALSE(migration_number(name));
}

TEST_CASE("a migration is split into its statements, each with its line", "[migrations]") {
  auto request = read("-- Notes\n\nCREATE TABLE n(a);\n/* two\nlines */ INSERT INTO n VALUES (';\n');\n"
                      "CREATE TRIGGER x AFTER INSERT ON n BEGIN\n  SELECT 1;\nEND; SELECT 2\n");
  std::vector<std::string> statements;
  for (const auto& each : request.statements)
    statements.push_back(each.sql.str());
  CHECK(statements
        == std::vector<std::string>{"CREATE TABLE n(a);", "INSERT INTO n VALUES (';\n');",
                                    "CREATE TRIGGER x AFTER INSERT ON n BEGIN\n  SELECT 1;\nEND;", "SELECT 2\n"});
  REQUIRE(request.migration);
  CHECK(request.migration->number == 3);
  CHECK(request.migration->name == "0003_a.sql");
  CHECK(request.migration->lines == std::vector<uint32_t>{3, 5, 7, 9});
  CHECK(request.enforce_foreign_keys);
}

TEST_CASE("the hash of a migration is the SHA-256 of all its bytes", "[migrations]") {
  CHECK(migration_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(read("SELECT 1").migration->hash == migration_hash("SELECT 1"));
  CHECK(read("\xef\xbb\xbfSELECT 1").migration->hash == migration_hash("\xef\xbb\xbfSELECT 1"));
}

TEST_CASE("a byte-order mark and CRLF are accepted", "[migrations]") {
  auto request = read("\xef\xbb\xbf-- foreign_keys off\r\nSELECT 1;\r\nSELECT 2;\r\n");
  CHECK(request.statements.size() == 2);
  CHECK_FALSE(request.enforce_foreign_keys);
  CHECK(request.migration->lines == std::vector<uint32_t>{2, 3});
}

TEST_CASE("foreign keys are off where the head of the file says so", "[migrations]") {
  for (const auto* head :
       {"-- foreign_keys off\n", "--foreign_keys: off\n", "/* x */ -- Note\n--  foreign_keys:off  \n"})
    CHECK_FALSE(read(std::string{head} + "SELECT 1").enforce_foreign_keys);
  for (const auto* text : {"-- foreign_keys on\nSELECT 1", "-- The foreign_keys off\nSELECT 1",
                           "SELECT '\n-- foreign_keys off\n'", "/* Not with\n-- foreign_keys off\n*/ SELECT 1"})
    CHECK(read(text).enforce_foreign_keys);
}

TEST_CASE("a foreign_keys line that would be ignored is refused with its line", "[migrations]") {
  for (const auto& [text, place] : std::vector<std::pair<std::string, std::string>>{
         {"-- Note\n-- foreign_key: off\nSELECT 1", "3_a.sql:2: there is no annotation 'foreign_key:'"},
         {"-- Foreign_Keys off\nSELECT 1", "3_a.sql:1: there is no annotation 'Foreign_Keys'"},
         {"-- foreign_keys=off\nSELECT 1", "3_a.sql:1: there is no annotation 'foreign_keys=off', did you mean '-- "
                                           "foreign_keys off'?"},
         {"-- foreign keys off\nSELECT 1", "3_a.sql:1: there is no annotation 'foreign keys'"},
         {"-- foreignkey off\nSELECT 1", "3_a.sql:1: there is no annotation 'foreignkey'"},
         {"--- foreign_keys off\nSELECT 1", "3_a.sql:1: there is no annotation '--- foreign_keys'"},
         {"\n/* foreign_keys off */\nSELECT 1", "3_a.sql:2: there is no annotation '/* foreign_keys'"},
         {"-- foreign_keys\xc2\xa0off\nSELECT 1", "3_a.sql:1: there is no annotation 'foreign_keys"},
         {"-- foreign_keys of\nSELECT 1", "3_a.sql:1: foreign_keys cannot be 'of'"},
         {"-- foreign_keys\nSELECT 1", "3_a.sql:1: foreign_keys cannot be ''"},
         {"-- foreign_keys off\n-- foreign_keys on\nSELECT 1", "3_a.sql:2: foreign_keys stands twice"},
         {"SELECT 1;\n\n-- foreign_keys off\nSELECT 2", "3_a.sql:3: foreign_keys must stand before"}}) {
    auto error = refused(text);
    CHECK(error.code == errc::invalid_request);
    CHECK_THAT(error.message, Contains(place));
  }
}

TEST_CASE("what a migration may not hold is refused with its line", "[migrations]") {
  for (const auto* word : {"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT s", "RELEASE s", "ATTACH 'x' AS y",
                           "DETACH y", "VACUUM", "begin immediate"}) {
    auto error = refused("SELECT 1;\n" + std::string{word} + ";\n");
    CHECK(error.code == errc::invalid_request);
    CHECK_THAT(error.message, Contains("3_a.sql:2: ") && Contains("cannot be part of a migration"));
  }
  for (const auto& [text, place] : std::vector<std::pair<std::string, std::string>>{
         {"", "3_a.sql:1: the migration has no statement"},
         {"-- only a comment\n;;\n", "3_a.sql:1: the migration has no statement"},
         {"SELECT 1;\nSELEC 2", "3_a.sql:2: no SQL statement begins with SELEC"},
         {"SELECT 1;\n/* SELECT 2", "3_a.sql:2: this comment does not end"},
         {"SELECT 1;\nSELECT '\xff'", "3_a.sql:2: this line is not UTF-8"},
         {std::string("SELECT 1;\n\n\0", 12), "3_a.sql:3: this line holds a NUL byte"},
         {"SELECT 1;\nPRAGMA foreign_keys = OFF", "3_a.sql:2: this PRAGMA cannot be part of a migration"},
         {"CREATE TEMP TABLE x(a)", "3_a.sql:1: a migration cannot create temporary objects"},
         {"SELECT 1;\nINSERT INTO n VALUES (?)", "3_a.sql:2: a migration has no parameters, and nobody gives ? a"},
         {"INSERT INTO n VALUES (:x)", "3_a.sql:1: a migration has no parameters, and nobody gives x a"},
         {"DELETE FROM main._sluice_keys", "3_a.sql:1: _sluice_keys belongs to the broker"},
         {"CREATE TABLE IF NOT EXISTS \"_Sluice_x\"(a)", "3_a.sql:1: \"_Sluice_x\" belongs to the broker"},
         {"SELECT 1;\nSELECT 'a", "3_a.sql:2: the text or name behind this ' does not end"},
         {"SELECT 1;\nCREATE TABLE x(a;\nSELECT 1", "3_a.sql:2: this statement is incomplete"},
         {"CREATE TRIGGER x AFTER INSERT ON n BEGIN SELECT 1;", "3_a.sql:1: the body of this trigger"}}) {
    auto error = refused(text);
    CHECK(error.code == errc::invalid_request);
    CHECK_THAT(error.message, Contains(place));
  }
}

TEST_CASE("what a migration may hold is accepted", "[migrations]") {
  for (const auto* text :
       {"PRAGMA user_version = 3", "pragma main.defer_foreign_keys = ON",
        "INSERT INTO n SELECT hash FROM _sluice_commits", "CREATE TABLE n(a CHECK (a <> '('))",
        "DELETE FROM n WHERE a IN (SELECT number FROM _sluice_migrations)", "INSERT INTO n VALUES ('?', ':x')"})
    CHECK(read(text).statements.size() == 1);
}

TEST_CASE("a migration beyond the bounds of a request is too large", "[migrations]") {
  CHECK(refused(std::string(max_migration_bytes + 1, ' ')).code == errc::too_large);
  std::string many;
  for (size_t i = 0; i < max_migration_statements; ++i)
    many += "SELECT 1;";
  CHECK(read(many).statements.size() == max_migration_statements);
  auto error = refused(many + "\nSELECT 2");
  CHECK(error.code == errc::too_large);
  CHECK_THAT(error.message, Contains("3_a.sql:2: "));
}

TEST_CASE("a name that is no file of a migration is refused", "[migrations]") {
  for (const auto* name : {"", "notes.sql", "../1_a.sql", "1_a/b.sql", "1_\x1b.sql", "1_\xff.sql"})
    CHECK(refused("SELECT 1", name).code == errc::invalid_request);
  CHECK(refused("SELECT 1", "1_" + std::string(256, 'x') + ".sql").code == errc::invalid_request);
}

} // namespace sluice::test::migration_file_test
