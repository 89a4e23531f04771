#include "runtime/sqlite/files/database_files.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>

namespace sluice::test::database_files_test {

namespace fs = std::filesystem;

namespace {

void make(const fs::path& file, const std::string& content = "x") { std::ofstream{file} << content; }

struct files_fixture {
  temp_dir folder;
  fs::path below = folder / "below";
  fs::path file = below / "app.db";
  fs::path log = below / "app.db-wal";
  fs::path index = below / "app.db-shm";
  std::unique_ptr<sqlite::database_files> files;

  files_fixture() {
    fs::create_directory(below);
    for (const auto& each : {file, log, index})
      make(each);
    files = std::make_unique<sqlite::database_files>(file, size_t{0}, std::chrono::milliseconds{20});
  }

  /// False where the file system is not known to record changes.
  bool wait_for_quiet() {
    auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{1};
    while (!files->relies_on_folder() && std::chrono::steady_clock::now() < give_up)
      files->find();
    return files->relies_on_folder();
  }

  /// The result must be that of a first check.
  sqlite::found_files find() {
    auto found = files->find();
    CHECK(found == sqlite::database_files{file}.find());
    return found;
  }
};

} // namespace

TEST_CASE("the existing files of a database are found, and missing ones are not") {
  files_fixture fixture;
  auto found = fixture.find();
  CHECK(found.database == identity_of(fixture.file));
  CHECK(found.log == identity_of(fixture.log));
  CHECK(found.index == identity_of(fixture.index));
  CHECK(found.size == 1);
  CHECK(fixture.files->log_size() == 1);
  fs::remove(fixture.log);
  CHECK(!fixture.find().log);
  CHECK(fixture.files->log_size() == 0);
}

TEST_CASE("every change to the files is found at once in a folder that was quiet") {
  files_fixture fixture;
  fixture.wait_for_quiet();
  auto before = fixture.find();
  SECTION("a log that is removed") {
    fs::remove(fixture.log);
    CHECK(!fixture.find().log);
  }
  SECTION("an index that is moved away") {
    fs::rename(fixture.index, fixture.folder / "elsewhere");
    CHECK(!fixture.find().index);
  }
  SECTION("a log that another one takes the place of") {
    make(fixture.folder / "another");
    fs::rename(fixture.folder / "another", fixture.log);
    CHECK(fixture.find().log != before.log);
  }
  SECTION("a database that another one takes the place of") {
    make(fixture.folder / "another");
    fs::rename(fixture.folder / "another", fixture.file);
    CHECK(fixture.find().database != before.database);
  }
  SECTION("a database that is written") {
    make(fixture.file, "longer");
    CHECK(fixture.find().size == 6);
  }
  SECTION("a folder above that is moved") {
    fs::rename(fixture.below, fixture.folder / "moved");
    CHECK(fixture.find() == sqlite::found_files{});
  }
  SECTION("one change after the other") {
    for (auto i = 0; i < 100; ++i) {
      fs::remove(fixture.log);
      CHECK(!fixture.find().log);
      make(fixture.log);
      CHECK(fixture.find().log);
    }
  }
}

TEST_CASE("a folder of hard links to the same files is distinguished from the folder that it replaces") {
  files_fixture fixture;
  fixture.wait_for_quiet();
  fixture.find();
  auto copy = fixture.folder / "copy";
  fs::create_directory(copy);
  for (const auto& each : {fixture.file, fixture.log, fixture.index})
    fs::create_hard_link(each, copy / each.filename());
  fs::rename(fixture.below, fixture.folder / "moved");
  fs::rename(copy, fixture.below);
  CHECK(fixture.find().log);
  fs::remove(fixture.log);
  CHECK(!fixture.find().log);
}

TEST_CASE("a folder's cached state is used only while the folder is quiet") {
  files_fixture fixture;
  CHECK(!fixture.files->relies_on_folder());
  if (!fixture.wait_for_quiet())
    return;
  make(fixture.below / "another");
  fixture.find();
  CHECK(!fixture.files->relies_on_folder());
  REQUIRE(fixture.wait_for_quiet());
  fixture.files->forget();
  CHECK(!fixture.files->relies_on_folder());
}

} // namespace sluice::test::database_files_test
