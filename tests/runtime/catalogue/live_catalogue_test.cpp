#include "runtime/catalogue/live_catalogue.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>

namespace sluice::test::live_catalogue_test {

namespace {

namespace fs = std::filesystem;

struct operations_folder {
  temp_dir root;
  fs::path folder = root / "operations";
  live_catalogue aut{folder};

  // As editors do: a new file takes the place of the old one.
  void write(const std::string& name, const std::string& text) {
    fs::create_directories(folder);
    std::ofstream{folder / "new"} << text;
    fs::rename(folder / "new", folder / name);
  }

  std::string names() {
    aut.refresh();
    std::string result;
    for (const auto& each : aut.operations()->operations())
      result += (result.empty() ? "" : " ") + each.name;
    return result;
  }
};

constexpr const char* one = "-- db: app.db\n-- name: one :one\nSELECT 1;\n";
constexpr const char* two = "-- db: app.db\n-- name: two :one\nSELECT 2;\n";

} // namespace

TEST_CASE("operations are read again when a file is added, changed or removed") {
  operations_folder f;
  CHECK(f.names().empty());
  f.write("a.sql", one);
  CHECK(f.names() == "one");
  f.write("b.sql", two);
  CHECK(f.names() == "one two");
  f.write("b.sql", "-- db: app.db\n-- name: six :one\nSELECT 6;\n");
  CHECK(f.names() == "one six");
  fs::remove(f.folder / "a.sql");
  CHECK(f.names() == "six");
  fs::remove_all(f.folder);
  CHECK(f.names().empty());
  CHECK_FALSE(f.aut.mistake());
}

TEST_CASE("operations are the same object while no file changes") {
  operations_folder f;
  f.write("a.sql", one);
  f.aut.refresh();
  auto before = f.aut.operations();
  f.aut.refresh();
  CHECK(f.aut.operations() == before);
}

TEST_CASE("a mistake in a file leaves the earlier operations in force until it is corrected") {
  operations_folder f;
  f.write("a.sql", one);
  CHECK(f.names() == "one");
  f.write("b.sql", one);
  CHECK(f.names() == "one");
  REQUIRE(f.aut.mistake());
  CHECK(f.aut.mistake()->code == errc::invalid_request);
  CHECK(f.aut.mistake()->message.find("b.sql") != std::string::npos);
  f.write("b.sql", two);
  CHECK(f.names() == "one two");
  CHECK_FALSE(f.aut.mistake());
}

TEST_CASE("a link that is replaced by the folder that it led to is noticed, though no file has changed") {
  operations_folder f;
  f.write("a.sql", one);
  fs::rename(f.folder, f.root / "real");
  fs::create_symlink("real", f.folder);
  CHECK(f.names().empty());
  CHECK(f.aut.mistake());
  fs::remove(f.folder);
  fs::rename(f.root / "real", f.folder);
  CHECK(f.names() == "one");
  CHECK_FALSE(f.aut.mistake());
}

} // namespace sluice::test::live_catalogue_test
