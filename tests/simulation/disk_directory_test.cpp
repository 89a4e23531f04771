#include "tests/simulation/disk_directory.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <vector>

namespace sluice::test::disk_directory_test {

namespace {

using simulation::disk_directory;

struct folder_on_disk {
  temp_dir folder;
  disk_directory names;
  std::mt19937_64 random{1};

  std::string path(const std::string& name) const { return (folder / name).string(); }

  // Makes a file with one byte in it.
  void make(const std::string& name, uint8_t content) {
    names.make(path(name))->content.write(0, std::vector<uint8_t>{content});
  }

  void sync(const std::string& name) {
    auto result = names.find(path(name));
    result->content.sync();
    names.sync(path(name), result);
  }

  // The content of the file; 0 when it does not exist; then its placeholder does not exist either.
  int content(const std::string& name) {
    auto result = names.find(path(name));
    REQUIRE(std::filesystem::exists(path(name)) == (result != nullptr));
    return result && result->content.size() > 0 ? result->content.seen()[0] : 0;
  }
};

// The number of power cuts, each in a run of its own, after which `outcome` holds.
template <class Outcome> int times_in_100(Outcome outcome) {
  int result = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    folder_on_disk at;
    at.random.seed(seed);
    result += outcome(at) ? 1 : 0;
  }
  return result;
}

} // namespace

TEST_CASE("a file that was synced keeps its name through a power cut, and one that was not may lose it") {
  CHECK(times_in_100([](folder_on_disk& at) {
          at.make("a", 1);
          at.sync("a");
          at.names.crash(at.random);
          return at.content("a") == 1;
        })
        == 100);
  auto kept = times_in_100([](folder_on_disk& at) {
    at.make("a", 1);
    at.names.crash(at.random);
    return std::filesystem::exists(at.path("a"));
  });
  CHECK(kept > 20);
  CHECK(kept < 80);
}

TEST_CASE("a file that was removed may be back after a power cut, but not once its folder was synced") {
  auto back = [](bool syncs) {
    return times_in_100([syncs](folder_on_disk& at) {
      at.make("a", 1);
      at.sync("a");
      at.names.remove(at.path("a"));
      if (syncs)
        at.names.sync_folder(at.path("b"));
      at.names.crash(at.random);
      return at.content("a") == 1;
    });
  };
  CHECK(back(false) > 20);
  CHECK(back(false) < 80);
  CHECK(back(true) == 0);
}

TEST_CASE("after a power cut a replaced file is the old one or the new one") {
  int olds = times_in_100([](folder_on_disk& at) {
    at.make("a", 1);
    at.sync("a");
    at.names.remove(at.path("a"));
    at.make("a", 2);
    at.names.find(at.path("a"))->content.sync();
    at.names.crash(at.random);
    auto is = at.content("a");
    REQUIRE((is == 1 || is == 2));
    return is == 1;
  });
  CHECK(olds > 20);
  CHECK(olds < 80);
}

TEST_CASE("creating, renaming or removing a placeholder does the same to the simulated file") {
  folder_on_disk at;
  at.make("a", 1);
  std::filesystem::rename(at.path("a"), at.path("b"));
  CHECK(at.content("b") == 1);
  CHECK(at.content("a") == 0);
  std::filesystem::remove(at.path("b"));
  CHECK(at.content("b") == 0);
  at.make("c", 3);
  std::filesystem::rename(at.path("c"), at.path("b"));
  CHECK(at.content("b") == 3);
}

TEST_CASE("a disk that is destroyed removes its placeholders, and nothing else") {
  temp_dir folder;
  auto mine = (folder / "mine").string();
  auto index = (folder / "mine-shm").string();
  {
    disk_directory names;
    REQUIRE(names.make(mine));
    names.show_index(index);
    std::filesystem::create_directory(folder / "other");
    CHECK(std::filesystem::exists(index));
  }
  CHECK(!std::filesystem::exists(mine));
  CHECK(!std::filesystem::exists(index));
  CHECK(std::filesystem::exists(folder / "other"));
}

} // namespace sluice::test::disk_directory_test
