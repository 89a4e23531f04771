#include "runtime/sqlite/files/database_files.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>

namespace sluice::test::database_files_test {

namespace fs = std::filesystem;

namespace {

void make(const fs::path& file, const std::string& content = "x") { std::ofstream{file} << content; }

struct files_rig {
  temp_dir folder;
  fs::path below = folder / "below";
  fs::path file = below / "app.db";
  fs::path log = below / "app.db-wal";
  fs::path index = below / "app.db-shm";
  std::unique_ptr<sqlite::database_files> files;

  files_rig() {
    fs::create_directory(below);
    for (const auto& x : {file, log, index})
      make(x);
    files = std::make_unique<sqlite::database_files>(file, size_t{0}, std::chrono::milliseconds{20});
  }

  /// False where the file system is not one that is known to tell changes.
  bool wait_for_quiet() {
    auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{1};
    while (!files->relies_on_folder() && std::chrono::steady_clock::now() < give_up)
      files->find();
    return files->relies_on_folder();
  }

  /// What is found must be what a first look finds.
  sqlite::found_files find() {
    auto found = files->find();
    CHECK(found == sqlite::database_files{file}.find());
    return found;
  }
};

} // namespace

TEST_CASE("the files of a database are found, and those that are missing are not") {
  files_rig rig;
  auto found = rig.find();
  CHECK(found.database == identity_of(rig.file));
  CHECK(found.log == identity_of(rig.log));
  CHECK(found.index == identity_of(rig.index));
  CHECK(found.size == 1);
  CHECK(rig.files->log_size() == 1);
  fs::remove(rig.log);
  CHECK(!rig.find().log);
  CHECK(rig.files->log_size() == 0);
}

TEST_CASE("every change to the files is found at once in a folder that was quiet") {
  files_rig rig;
  rig.wait_for_quiet();
  auto before = rig.find();
  SECTION("a log that is removed") {
    fs::remove(rig.log);
    CHECK(!rig.find().log);
  }
  SECTION("an index that is moved away") {
    fs::rename(rig.index, rig.folder / "elsewhere");
    CHECK(!rig.find().index);
  }
  SECTION("a log that another one takes the place of") {
    make(rig.folder / "another");
    fs::rename(rig.folder / "another", rig.log);
    CHECK(rig.find().log != before.log);
  }
  SECTION("a database that another one takes the place of") {
    make(rig.folder / "another");
    fs::rename(rig.folder / "another", rig.file);
    CHECK(rig.find().database != before.database);
  }
  SECTION("a database that is written") {
    make(rig.file, "longer");
    CHECK(rig.find().size == 6);
  }
  SECTION("a folder above that is moved") {
    fs::rename(rig.below, rig.folder / "moved");
    CHECK(rig.find() == sqlite::found_files{});
  }
  SECTION("one change after the other") {
    for (auto i = 0; i < 100; ++i) {
      fs::remove(rig.log);
      CHECK(!rig.find().log);
      make(rig.log);
      CHECK(rig.find().log);
    }
  }
}

TEST_CASE("a folder of hard links to the same files is told from the folder that it takes the place of") {
  files_rig rig;
  rig.wait_for_quiet();
  rig.find();
  auto copy = rig.folder / "copy";
  fs::create_directory(copy);
  for (const auto& x : {rig.file, rig.log, rig.index})
    fs::create_hard_link(x, copy / x.filename());
  fs::rename(rig.below, rig.folder / "moved");
  fs::rename(copy, rig.below);
  CHECK(rig.find().log);
  fs::remove(rig.log);
  CHECK(!rig.find().log);
}

TEST_CASE("a folder is relied on only while it is quiet, and let go of") {
  files_rig rig;
  CHECK(!rig.files->relies_on_folder());
  if (!rig.wait_for_quiet())
    return;
  make(rig.below / "another");
  rig.find();
  CHECK(!rig.files->relies_on_folder());
  REQUIRE(rig.wait_for_quiet());
  rig.files->forget();
  CHECK(!rig.files->relies_on_folder());
}

} // namespace sluice::test::database_files_test
