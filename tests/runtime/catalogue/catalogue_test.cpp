#include "runtime/catalogue/catalogue.hpp"

#include "messages/error.hpp"
#include "runtime/catalogue/operation_file.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <sys/stat.h>

namespace sluice::test::catalogue_test {

using Catch::Contains;

namespace {

namespace fs = std::filesystem;

std::string file_of(const std::string& name, const std::string& kind = ":exec") {
  return "-- db: app.db\n-- name: " + name + " " + kind + "\nDELETE FROM " + name + ";\n";
}

// A store with an empty folder of operations.
struct store {
  test::temp_dir dir;
  fs::path folder = dir / "operations";

  store() { fs::create_directory(folder); }

  void put(const std::string& name, const std::string& text) const { std::ofstream{folder / name} << text; }

  std::shared_ptr<const catalogue> load() const {
    auto result = load_catalogue(folder);
    INFO((result ? std::string{} : describe(result.error()).message));
    REQUIRE(result);
    return *result;
  }

  failure complaint() const {
    auto result = load_catalogue(folder);
    REQUIRE_FALSE(result);
    return describe(result.error());
  }
};

std::vector<std::string> names_of(const catalogue& all) {
  std::vector<std::string> result;
  for (const auto& each : all.operations())
    result.push_back(each.name);
  return result;
}

} // namespace

TEST_CASE("the operations of all files are found by name, and listed in the order of their names", "[catalogue]") {
  store s;
  s.put("2.sql", file_of("b") + file_of("d").substr(14));
  s.put("1.sql", file_of("c"));
  s.put("3.sql", file_of("a"));
  auto all = s.load();
  CHECK(names_of(*all) == std::vector<std::string>{"a", "b", "c", "d"});
  REQUIRE(all->find("d"));
  CHECK(all->find("d")->file == "operations/2.sql");
  CHECK(all->find("d")->line == 4);
  CHECK_FALSE(all->find("e"));
  CHECK_FALSE(all->find(""));
}

TEST_CASE("a folder that does not exist has no operations, as an empty one", "[catalogue]") {
  test::temp_dir dir;
  auto all = load_catalogue(dir / "operations");
  REQUIRE(all);
  CHECK((*all)->operations().empty());
  CHECK((*all)->content_hash() == store{}.load()->content_hash());
  CHECK((*all)->content_hash() == catalogue{}.content_hash());
  CHECK((*all)->content_hash().size() == 64);
}

TEST_CASE("other files, hidden files and folders are left out", "[catalogue]") {
  store s;
  s.put("a.sql", file_of("a"));
  s.put("b.sql~", "nonsense");
  s.put(".#c.sql", "nonsense");
  s.put("notes.md", "nonsense");
  fs::create_directory(s.folder / "d.sql");
  fs::create_directory(s.folder / "more");
  std::ofstream{s.folder / "more" / "e.sql"} << file_of("e");
  REQUIRE(mkfifo((s.folder / "pipe.sql").c_str(), 0600) == 0);
  CHECK(names_of(*s.load()) == std::vector<std::string>{"a"});
}

TEST_CASE("symbolic links are refused, since they may lead out of the store", "[catalogue]") {
  store s;
  std::ofstream{s.dir / "outside.sql"} << file_of("a");
  fs::create_symlink(s.dir / "outside.sql", s.folder / "link.sql");
  CHECK(s.complaint().code == errc::invalid_request);
  CHECK_THAT(s.complaint().message, Contains("operations/link.sql is a symbolic link"));

  fs::create_symlink(s.folder, s.dir / "other");
  for (const auto& path : {s.dir / "other", s.dir / "other/"}) {
    auto result = load_catalogue(path);
    REQUIRE_FALSE(result);
    CHECK_THAT(describe(result.error()).message, Contains("other/ is a symbolic link"));
  }
}

TEST_CASE("a link of an editor that leads nowhere is not looked at", "[catalogue]") {
  store s;
  fs::create_symlink("user@host.1234", s.folder / ".#a.sql");
  CHECK(s.load()->operations().empty());
}

TEST_CASE("a mistake in a file is reported with its place, and without the path of the store", "[catalogue]") {
  store s;
  s.put("a.sql", file_of("a"));
  s.put("b.sql", "-- db: app.db\n-- cahe\n");
  auto failure = s.complaint();
  CHECK(failure.code == errc::invalid_request);
  CHECK_THAT(failure.message, Catch::StartsWith("operations/b.sql:2: "));
  CHECK_THAT(failure.message, !Contains(s.dir.path().string()));
}

TEST_CASE("a name that two files define is reported with both places", "[catalogue]") {
  store s;
  s.put("a.sql", file_of("x"));
  s.put("b.sql", "\n" + file_of("x"));
  CHECK(s.complaint().code == errc::invalid_request);
  CHECK_THAT(s.complaint().message,
             Catch::StartsWith("operations/b.sql:3: operation x is already defined at operations/a.sql:2"));
}

TEST_CASE("a file of more than 1 MiB, and what is no folder, are refused", "[catalogue]") {
  store s;
  s.put("a.sql", std::string(max_operation_file_bytes + 1, ' '));
  CHECK_THAT(s.complaint().message, Catch::StartsWith("operations/a.sql:1: the file has 1048577 bytes"));
  std::ofstream{s.dir / "file"} << "";
  auto result = load_catalogue(s.dir / "file");
  REQUIRE_FALSE(result);
  CHECK(code_of(result.error()) == errc::invalid_request);
  CHECK_THAT(describe(result.error()).message, Contains("file is no folder; give the one that holds the .sql files"));
}

TEST_CASE("the hash of the contents changes with a name and with a content, and only then", "[catalogue]") {
  store s;
  s.put("a.sql", file_of("a"));
  auto first = s.load()->content_hash();
  s.put("a.sql", file_of("a"));
  s.put("a.txt", "other");
  CHECK(s.load()->content_hash() == first);
  s.put("a.sql", file_of("a") + "\n");
  CHECK(s.load()->content_hash() != first);
  s.put("a.sql", file_of("a"));
  CHECK(s.load()->content_hash() == first);
  fs::rename(s.folder / "a.sql", s.folder / "b.sql");
  CHECK(s.load()->content_hash() != first);
}

TEST_CASE("ten thousand operations in a hundred files are all found", "[catalogue]") {
  store s;
  for (auto file = 0; file < 100; ++file) {
    std::string text = "-- db: app.db\n";
    for (auto i = 0; i < 100; ++i)
      text += "-- name: find_" + std::to_string(file * 100 + i)
              + " :many\n-- Finds the notes that hold a text.\n-- param text text (1..100)\n-- cache 60s\n"
                "SELECT id, text FROM notes WHERE text LIKE '%' || :text || '%' ORDER BY id LIMIT :limit;\n\n";
    s.put(std::to_string(file) + ".sql", text);
  }
  auto all = s.load();
  CHECK(all->operations().size() == 10'000);
  CHECK(all->find("find_9999")->name == "find_9999");
}

} // namespace sluice::test::catalogue_test
