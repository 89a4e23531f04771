#include "runtime/validate/validation.hpp"

#include "messages/error.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace sluice::test::validation_test {

namespace fs = std::filesystem;

void write(const fs::path& file, std::string_view text) {
  fs::create_directories(file.parent_path());
  std::ofstream{file, std::ios::binary} << text;
}

constexpr std::string_view opens = "import sqlite3\nsqlite3.connect(p)\nsqlite3.connect(q)\n";

TEST_CASE("sources of this project open SQLite only where an exception has a reason", "[validate]") {
  auto found = validate::validate_tree({.path = SLUICE_SOURCE_DIR});
  REQUIRE(found);
  INFO(validate::as_json(*found).dump(1));
  CHECK(found->findings() == 0);
  CHECK(found->tree.unread.empty());
  CHECK(found->tree.sources > 500);
  CHECK(found->excepted > 20);
}

TEST_CASE("exceptions allow what they match, and a stale one is a finding", "[validate]") {
  temp_dir folder;
  write(folder.path() / "own/a.py", opens);
  write(folder.path() / "b.py", opens);
  write(folder.path() / ".sluice-validate", "path own  ours\npath c.py  was removed\nprocess x*  may not run\n");
  auto found = validate::validate_tree({.path = folder.path()});
  REQUIRE(found);
  CHECK(found->sources.size() == 2);
  CHECK(found->excepted == 2);
  REQUIRE(found->stale.size() == 1);
  CHECK(found->stale[0].line == 2);
  CHECK(found->findings() == 3);
  CHECK(found->is_whole());
  auto json = validate::as_json(*found);
  CHECK(json["findings"][0]
        == nlohmann::json{{"kind", "source"},
                          {"file", "b.py"},
                          {"line", 2},
                          {"column", 1},
                          {"language", "Python"},
                          {"rule", "python-module"},
                          {"text", "sqlite3.connect"}});
  CHECK(json["findings"][2] == nlohmann::json{{"kind", "stale_exception"}, {"pattern", "c.py"}, {"line", 2}});
  CHECK(json["whole"] == true);
  CHECK(json["store"] == false);
}

TEST_CASE("an exception is not called stale while something was not read, or for a single file", "[validate]") {
  temp_dir folder;
  write(folder.path() / "a.py", std::string{"\0", 1});
  write(folder.path() / "b.py", "");
  write(folder.path() / ".sluice-validate", "path own  ours\n");
  auto found = validate::validate_tree({.path = folder.path()});
  REQUIRE(found);
  CHECK(found->findings() == 0);
  CHECK_FALSE(found->is_whole());
  found = validate::validate_tree({.path = folder.path() / "b.py", .exceptions = folder.path() / ".sluice-validate"});
  REQUIRE(found);
  CHECK(found->findings() == 0);
}

TEST_CASE("a look with hidden processes is not whole", "[validate]") {
  validate::validation found;
  CHECK(found.is_whole());
  found.hidden_processes = 1;
  CHECK_FALSE(found.is_whole());
}

TEST_CASE("folders and files that cannot be used are refused", "[validate]") {
  temp_dir folder;
  auto refusal = [](const validate::validation_options& options) {
    auto found = validate::validate_tree(options);
    return found ? "none" : describe(found.error()).message;
  };
  CHECK(refusal({.path = folder.path() / "none"}).find("there is no folder and no file") == 0);
  CHECK(refusal({.path = folder.path(), .exceptions = folder.path() / "none"}).find("none is not a file of exceptions")
        == 0);
  CHECK(refusal({.path = folder.path(), .store = folder.path()}).find("holds no store") != std::string::npos);
  write(folder.path() / ".sluice-validate", "wrong\n");
  CHECK(refusal({.path = folder.path()}).find(".sluice-validate:1: ") == 0);
}

} // namespace sluice::test::validation_test
