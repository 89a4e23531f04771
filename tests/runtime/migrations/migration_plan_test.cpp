#include "runtime/migrations/migration_plan.hpp"

#include "messages/error.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace sluice::test::migration_plan_test {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;
using states = std::vector<migration_state>;

namespace {

struct migration_folder {
  temp_dir dir;
  fs::path folder = dir / "migrations";

  migration_folder() { fs::create_directory(folder); }

  void put(const std::string& name, const std::string& text = "SELECT 1;") const {
    std::ofstream{folder / name} << text;
  }

  failure complaint() const {
    auto result = read_migration_folder(folder);
    REQUIRE_FALSE(result);
    return describe(result.error());
  }
};

migration_file file(uint64_t number, const std::string& text = "SELECT 1;") {
  return {number, std::to_string(number) + "_a.sql", text};
}

applied_migration row(uint64_t number, const std::string& text = "SELECT 1;") {
  return {number, std::to_string(number) + "_a.sql", migration_hash(text), 1, "alice", number + 10};
}

states states_of(const std::vector<planned_migration>& plan) {
  states result;
  for (const auto& each : plan)
    result.push_back(each.state);
  return result;
}

failure refusal(const std::vector<planned_migration>& plan) {
  auto error = refusal_of(plan);
  REQUIRE(error);
  return describe(error);
}

} // namespace

TEST_CASE("the migrations of a folder are read in the order of their numbers", "[migrations]") {
  migration_folder f;
  f.put("10_c.sql");
  f.put("0009-b.sql");
  f.put("1.sql", "SELECT 2;");
  f.put("README.md");
  f.put(".#1_a.sql");
  fs::create_directory(f.folder / "5_old.sql");
  auto files = read_migration_folder(f.folder);
  REQUIRE(files);
  std::vector<std::string> names;
  for (const auto& each : *files)
    names.push_back(each.name);
  CHECK(names == std::vector<std::string>{"1.sql", "0009-b.sql", "10_c.sql"});
  CHECK(files->front().text == "SELECT 2;");
}

TEST_CASE("a folder with a file that cannot be a migration is refused, and the file is named", "[migrations]") {
  migration_folder f;
  auto expect = [&](const std::string& name, errc code, const std::string& reason) {
    auto error = f.complaint();
    CHECK(error.code == code);
    CHECK_THAT(error.message, Contains(name) && Contains(reason));
    CHECK_THAT(error.message, !Contains(f.dir.path().string()));
    fs::remove(f.folder / name);
  };
  f.put("1_a.sql");
  f.put("notes.sql");
  expect("notes.sql", errc::invalid_request, "no file of a migration");
  f.put("01_b.sql");
  expect("01_b.sql", errc::invalid_request, "the same number 1");
  fs::create_symlink(f.folder / "1_a.sql", f.folder / "2_link.sql");
  expect("2_link.sql", errc::invalid_request, "symbolic link");
  f.put("2_a.SQL");
  expect("2_a.SQL", errc::invalid_request, "must end in .sql, in small letters");
  f.put("100000000000000_a.sql");
  expect("100000000000000_a.sql", errc::invalid_request, "a number from 1 to 99999999999999");
  CHECK_THAT(describe(read_migration_folder(f.folder / "1_a.sql").error()).message, Contains("1_a.sql is no folder"));
  f.put("2_large.sql", std::string(max_migration_bytes + 1, ' '));
  expect("2_large.sql", errc::too_large, "split it");
  CHECK(read_migration_folder(f.folder));
  fs::remove_all(f.folder);
  CHECK(f.complaint().code == errc::invalid_request);
}

TEST_CASE("files are compared with the migrations that were applied", "[migrations]") {
  auto plan =
    plan_migrations({file(2), file(4, "SELECT 9;"), file(5), file(7), file(9)}, {row(2), row(3), row(4), row(7)});
  CHECK(states_of(plan)
        == states{migration_state::applied, migration_state::missing, migration_state::changed,
                  migration_state::skipped, migration_state::applied, migration_state::pending});
  CHECK(plan[1].name() == "3_a.sql");
  CHECK(plan[0].file_hash == plan[0].row.hash);
  CHECK(states_of(plan_migrations({}, {})).empty());
  // A file may be renamed.
  CHECK(states_of(plan_migrations({{2, "02_other.sql", "SELECT 1;"}}, {row(2)})) == states{migration_state::applied});
}

TEST_CASE("nothing is applied while a migration was changed, removed or put before one that was applied",
          "[migrations]") {
  CHECK_FALSE(refusal_of(plan_migrations({file(1), file(2)}, {row(1)})));
  for (const auto& [plan, reason] : std::vector<std::pair<std::vector<planned_migration>, std::string>>{
         {plan_migrations({file(2, "SELECT 9;"), file(3)}, {row(2)}),
          "2_a.sql: migration 2 was applied with another content"},
         {plan_migrations({file(3)}, {row(2)}), "2_a.sql: migration 2 was applied, and its file"},
         {plan_migrations({file(1), file(2), file(3)}, {row(1), row(3)}),
          "2_a.sql: migration 2 was not applied, but migration 3 was"}}) {
    CHECK(refusal(plan).code == errc::conflict);
    CHECK_THAT(refusal(plan).message, Contains(reason));
  }
}

TEST_CASE("every pending file is checked before the first is applied", "[migrations]") {
  auto error = refusal(plan_migrations({file(1), file(2), file(3, "SELECT 1;\nVACUUM;")}, {row(1)}));
  CHECK(error.code == errc::invalid_request);
  CHECK_THAT(error.message, Contains("3_a.sql:2: VACUUM"));
  // One that was applied is not.
  CHECK_FALSE(refusal_of(plan_migrations({file(1, "VACUUM")}, {row(1, "VACUUM")})));
}

} // namespace sluice::test::migration_plan_test
