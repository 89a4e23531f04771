#include "runtime/store/change_file.hpp"

#include "tests/support/file_size_limit.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace sluice::test::change_file_test {

namespace {

using lines = std::vector<std::string>;

struct fixture {
  temp_dir folder;
  std::filesystem::path path = folder / "changes";
  change_file aut{path};

  lines content() const { return change_file{path}.read(); }
};

} // namespace

TEST_CASE("changes are appended behind the snapshot, by the next process as well") {
  fixture f;
  CHECK(f.aut.read().empty());
  CHECK(!f.aut.append("a\n"));
  f.aut.replace("snapshot\n");
  CHECK(f.aut.append("a\n"));
  CHECK(f.aut.append("b\nc\n"));
  change_file next{f.path};
  CHECK(next.read() == lines{"snapshot", "a", "b", "c"});
  CHECK(next.append("d\n"));
  CHECK(f.content() == lines{"snapshot", "a", "b", "c", "d"});
}

TEST_CASE("nothing is appended to a file that another program has changed, replaced, removed or linked") {
  fixture f;
  f.aut.replace("snapshot\n");
  REQUIRE(f.aut.append("a\n"));
  SECTION("longer") { std::ofstream{f.path, std::ios::app} << "theirs\n"; }
  SECTION("shorter") { std::filesystem::resize_file(f.path, 9); }
  SECTION("removed") { std::filesystem::remove(f.path); }
  SECTION("replaced by one of the same size") {
    std::filesystem::copy(f.path, f.folder / "copy");
    std::filesystem::rename(f.folder / "copy", f.path);
  }
  SECTION("a link in its place") {
    std::filesystem::rename(f.path, f.folder / "target");
    std::filesystem::create_symlink(f.folder / "target", f.path);
  }
  SECTION("a second name, as a copy of the folder made of hard links has") {
    std::filesystem::create_hard_link(f.path, f.folder / "second");
  }
  auto before = f.content();
  CHECK(!f.aut.append("b\n"));
  CHECK(f.content() == before);
  f.aut.replace("whole\n");
  CHECK(f.aut.append("c\n"));
  CHECK(f.content() == lines{"whole", "c"});
}

TEST_CASE("nothing is appended to a line without an end, or to lines that were rejected") {
  fixture f;
  std::ofstream{f.path} << "snapshot\npart of a li";
  CHECK(f.aut.read() == lines{"snapshot", "part of a li"});
  CHECK(!f.aut.append("a\n"));
  std::ofstream{f.path} << "snapshot\nbroken\n";
  CHECK(f.aut.read() == lines{"snapshot", "broken"});
  f.aut.reject();
  CHECK(!f.aut.append("a\n"));
}

TEST_CASE("a change that did not fit is followed by a snapshot, and a snapshot that does not fit changes nothing") {
  fixture f;
  f.aut.replace("snapshot\n");
  {
    file_size_limit full{16};
    CHECK(!f.aut.append("a change that is longer\n"));
    f.aut.replace("a snapshot that is longer\n");
    CHECK(f.content() == lines{"snapshot", "a chang"});
    CHECK(!f.aut.append("b\n"));
  }
  CHECK(!f.aut.append("b\n"));
  f.aut.replace("whole\n");
  CHECK(f.content() == lines{"whole"});
  CHECK(!std::filesystem::exists(f.path.string() + ".new"));
}

} // namespace sluice::test::change_file_test
