#include "tests/simulation/disk_content.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>
#include <vector>

namespace sluice::test::disk_content_test {

namespace {

using simulation::disk_content;
using bytes = std::vector<uint8_t>;

constexpr auto sector = disk_content::sector;

bytes content_of(const disk_content& content) { return {content.seen().begin(), content.seen().end()}; }

bytes filled(uint64_t size, uint8_t with) { return bytes(size, with); }

} // namespace

TEST_CASE("written bytes are visible at once, by sector or not, and gaps are zeros") {
  disk_content file;
  file.write(3, filled(2, 7));
  CHECK(content_of(file) == bytes{0, 0, 0, 7, 7});
  bytes to(4, 9);
  CHECK(file.read(4, to) == 1);
  CHECK(to == bytes{7, 9, 9, 9});
  CHECK(file.read(5, to) == 0);
  file.resize(4);
  CHECK(content_of(file) == bytes{0, 0, 0, 7});
}

TEST_CASE("a power cut loses no synced write") {
  std::mt19937_64 random{1};
  for (int i = 0; i < 100; ++i) {
    disk_content file;
    file.write(0, filled(3000, 1));
    file.resize(2000);
    file.write(1000, filled(100, 2));
    file.sync();
    auto synced = content_of(file);
    file.crash(random);
    CHECK(content_of(file) == synced);
  }
}

TEST_CASE("a power cut keeps any of the unsynced writes, whole or by sectors, and no part of a sector") {
  std::mt19937_64 random{1};
  std::set<bytes> seen;
  int torn = 0;
  int turned_round = 0;
  for (int i = 0; i < 500; ++i) {
    disk_content file;
    file.write(0, filled(8 * sector, 1));
    file.sync();
    file.write(0, filled(4 * sector, 2));
    file.write(4 * sector, filled(4 * sector, 3));
    file.crash(random);
    REQUIRE(file.size() == 8 * sector);
    auto after = content_of(file);
    bytes sectors;
    for (uint64_t at = 0; at < after.size(); at += sector) {
      auto from = after.begin() + static_cast<std::ptrdiff_t>(at);
      auto old_or_new = *from == 1 || *from == (at < 4 * sector ? 2 : 3);
      REQUIRE(old_or_new);
      REQUIRE(std::all_of(from, from + sector, [&](uint8_t x) { return x == *from; }));
      sectors.push_back(*from);
    }
    auto first = std::count(sectors.begin(), sectors.end(), 2);
    torn += first > 0 && first < 4 ? 1 : 0;
    turned_round += first == 0 && std::count(sectors.begin(), sectors.end(), 3) == 4 ? 1 : 0;
    seen.insert(sectors);
  }
  CHECK(seen.contains(bytes(8, 1)));
  CHECK(seen.contains(bytes{2, 2, 2, 2, 3, 3, 3, 3}));
  CHECK(seen.size() > 50);
  CHECK(torn > 50);
  CHECK(turned_round > 10);
}

TEST_CASE("a torn write does not harm bytes that it did not touch, not even in its own sectors") {
  std::mt19937_64 random{1};
  for (int i = 0; i < 200; ++i) {
    disk_content file;
    file.write(0, filled(4 * sector, 1));
    file.sync();
    file.write(700, filled(1000, 2));
    file.crash(random);
    auto after = content_of(file);
    CHECK(std::all_of(after.begin(), after.begin() + 700, [](uint8_t x) { return x == 1; }));
    CHECK(std::all_of(after.begin() + 1700, after.end(), [](uint8_t x) { return x == 1; }));
  }
}

TEST_CASE("a file whose length changed without a sync may have either length, with zeros where nothing was written") {
  std::mt19937_64 random{1};
  std::set<uint64_t> sizes;
  std::set<uint8_t> tails;
  for (int i = 0; i < 200; ++i) {
    disk_content file;
    file.write(0, filled(2 * sector, 1));
    file.sync();
    file.resize(sector);
    file.write(3 * sector, filled(sector, 4));
    file.crash(random);
    sizes.insert(file.size());
    auto after = content_of(file);
    if (after.size() == 4 * sector)
      tails.insert(after.back());
    if (after.size() > 2 * sector)
      CHECK(std::all_of(after.begin() + 2 * sector, after.begin() + 3 * sector, [](uint8_t x) { return x == 0; }));
  }
  CHECK(sizes == std::set<uint64_t>{sector, 2 * sector, 4 * sector});
  CHECK(tails == std::set<uint8_t>{0, 4});
}

TEST_CASE("after a power cut, the remaining bytes are durable: another cut removes nothing") {
  std::mt19937_64 random{1};
  disk_content file;
  file.write(0, filled(4 * sector, 1));
  file.crash(random);
  auto after = content_of(file);
  for (int i = 0; i < 20; ++i)
    file.crash(random);
  CHECK(content_of(file) == after);
}

} // namespace sluice::test::disk_content_test
