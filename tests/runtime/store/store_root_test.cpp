#include "runtime/store/store_root.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::test::store_root_test {

using Catch::Contains;
namespace fs = std::filesystem;

namespace {

store_root open_root(const fs::path& path) {
  auto result = store_root::open(path);
  REQUIRE(result);
  return std::move(*result);
}

errc code_of_opening(const fs::path& path) {
  auto result = store_root::open(path);
  return result ? errc{} : code_of(result.error());
}

// A root, and a file outside of it to which names could lead.
struct fixture {
  test::temp_dir dir;
  store_root root;

  fixture()
    : root((fs::create_directories(dir / "root/sub"), fs::create_directory(dir / "outside"), open_root(dir / "root"))) {
    REQUIRE(root.make_folder());
  }

  fs::path at(const std::string& name) const { return dir.path() / "root" / name; }

  void touch(const std::string& name) const { std::ofstream{at(name)} << "x"; }

  std::string resolved(const std::string& name) const {
    auto result = root.resolve(name);
    return result ? *result : "refused: " + describe(result.error()).message;
  }

  std::string refusal(const std::string& name) const {
    auto result = root.resolve(name);
    if (result)
      return "accepted as " + *result;
    CHECK(code_of(result.error()) == errc::invalid_request);
    auto text = describe(result.error()).message;
    // The message has no path that the caller did not give.
    if (!name.starts_with('/'))
      CHECK_THAT(text, !Contains(dir.path().string()));
    return text;
  }
};

mode_t mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

} // namespace

TEST_CASE("a root's folder is made on request, for its owner only") {
  test::temp_dir dir;
  auto root = open_root(dir.path());
  CHECK_FALSE(fs::exists(dir / ".sluice"));
  REQUIRE(root.make_folder());
  REQUIRE(root.make_folder());
  CHECK(mode_of(dir / ".sluice") == 0700);
  CHECK(root.audit_path() == fs::canonical(dir.path()) / ".sluice/audit.db");
  CHECK(root.logs_path().filename() == "logs.db");
  CHECK(root.lock_path().parent_path() == root.folder());
}

TEST_CASE("a folder that others may enter is closed to them") {
  test::temp_dir dir;
  fs::create_directory(dir / ".sluice");
  fs::permissions(dir / ".sluice", fs::perms::all);
  open_root(dir.path());
  CHECK(mode_of(dir / ".sluice") == 0700);
}

TEST_CASE("an invalid root is refused with the reason") {
  test::temp_dir dir;
  std::ofstream{dir / "file"} << "x";
  CHECK(code_of_opening(dir / "missing") == errc::unknown_database);
  CHECK(code_of_opening(dir / "file") == errc::invalid_request);
  CHECK(code_of_opening(dir / "file/below") == errc::invalid_request);
  fs::create_directories(dir / "linked");
  fs::create_directory(dir / "elsewhere");
  fs::permissions(dir / "elsewhere", fs::perms{0755});
  fs::create_directory_symlink("../elsewhere", dir / "linked/.sluice");
  CHECK(code_of_opening(dir / "linked") == errc::invalid_request);
  CHECK(mode_of(dir / "elsewhere") == 0755);
}

TEST_CASE("a root that may not be written is read-only") {
  test::temp_dir dir;
  fs::create_directory(dir / "root");
  fs::permissions(dir.path(), fs::perms{0755});
  fs::permissions(dir / "root", fs::perms{0555});
  // The superuser may write anywhere, so the test becomes another user for a moment.
  auto was_root = geteuid() == 0;
  if (was_root)
    REQUIRE(seteuid(65534) == 0);
  auto made = open_root(dir / "root").make_folder();
  auto code = made ? errc{} : code_of(made.error());
  if (was_root)
    REQUIRE(seteuid(0) == 0);
  CHECK(code == errc::read_only);
}

TEST_CASE("all spellings of a file give one name") {
  fixture r;
  r.touch("a.db");
  r.touch("sub/b.db");
  fs::create_symlink("a.db", r.at("link.db"));
  fs::create_directory_symlink("sub", r.at("folder"));
  fs::create_directory_symlink(r.dir / "root", r.dir / "alias");
  for (const auto* name :
       {"a.db", "./a.db", "sub/../a.db", ".//a.db", "link.db", "sub/../link.db", "../root/a.db", "missing/../a.db"})
    CHECK(r.resolved(name) == "a.db");
  CHECK(r.resolved(r.at("a.db")) == "a.db");
  CHECK(r.resolved(r.dir / "alias/a.db") == "a.db");
  for (const auto* name : {"sub/b.db", "folder/b.db", "./sub//b.db", "sub/./b.db"})
    CHECK(r.resolved(name) == "sub/b.db");
}

TEST_CASE("a file that does not exist yet has a name") {
  fixture r;
  CHECK(r.resolved("new.db") == "new.db");
  CHECK(r.resolved("./sub/../new.db") == "new.db");
  CHECK(r.resolved("..hidden.db") == "..hidden.db");
  CHECK(r.root.path_of("sub/new.db") == fs::canonical(r.dir / "root") / "sub/new.db");
  CHECK_FALSE(fs::exists(r.at("new.db")));
}

TEST_CASE("a name that leads out of the root is refused") {
  fixture r;
  std::ofstream{r.dir / "outside/x.db"} << "x";
  fs::create_symlink("../outside/x.db", r.at("link.db"));
  fs::create_directory_symlink(r.dir / "outside", r.at("door"));
  for (const auto* name : {"../x.db", "sub/../../outside/x.db", "/etc/passwd", "link.db", "door/x.db", "door/new.db",
                           "door/../x.db", "sub/../door/x.db", "..", "../rootling/x.db"})
    CHECK_THAT(r.refusal(name), Contains("leads out of the store root") || Contains("names a folder"));
  // A folder whose name begins with that of the root.
  fs::create_directory(r.dir / "root2");
  CHECK_THAT(r.refusal((r.dir / "root2/a.db").string()), Contains("leads out"));
}

TEST_CASE("a link to a missing file is refused, because opening it would create that file") {
  fixture r;
  fs::create_symlink(r.dir / "outside/new.db", r.at("dangling.db"));
  fs::create_symlink("nowhere", r.at("sub/gone"));
  CHECK_THAT(r.refusal("dangling.db"), Contains("leads nowhere"));
  CHECK_THAT(r.refusal("sub/gone/a.db"), Contains("leads nowhere"));
  fs::create_symlink("loop", r.at("loop"));
  CHECK_THAT(r.refusal("loop"), Contains("cannot be looked up") || Contains("leads nowhere"));
}

TEST_CASE("the broker's own files are refused, however they are reached") {
  fixture r;
  fs::create_directory_symlink(".sluice", r.at("mine"));
  for (const auto* name : {".sluice/audit.db", "./.sluice/new.db", "mine/audit.db", ".sluice", "sub/../.sluice/x",
                           "sub/.sluice/audit.db", "sluice.toml", "./sluice.toml", "sub/sluice.toml"})
    CHECK_THAT(r.refusal(name), Contains("belongs to the broker") || Contains("configuration"));
  fs::create_directory(r.at("operations"));
  fs::create_directory_symlink("operations", r.at("linked"));
  for (const auto* name : {"operations/evil.sql", "operations/a.db", "./operations/new/a.db", "linked/evil.sql",
                           "sub/../operations/a.sql", "operations", "sub/operations/evil.sql"})
    CHECK_THAT(r.refusal(name), Contains("lies in operations/"));
}

TEST_CASE("a file that is not a database is refused") {
  fixture r;
  REQUIRE(mkfifo(r.at("pipe").c_str(), 0600) == 0);
  r.touch("a.db");
  for (const auto* name : {"sub", "sub/", ".", "./", "a.db/", "a.db/.", "sub/..", ""})
    CHECK_THAT(r.refusal(name), Contains("folder") || Contains("empty"));
  CHECK_THAT(r.refusal("pipe"), Contains("not a regular file"));
  CHECK_THAT(r.refusal("a.db/b.db"), Contains("cannot be looked up"));
  for (const auto* name : {"a.db-wal", "a.db-shm", "a.db-journal"})
    CHECK_THAT(r.refusal(name), Contains("companion file"));
}

TEST_CASE("a file with two hard links is refused, because it could have two WALs") {
  fixture r;
  r.touch("a.db");
  fs::create_hard_link(r.at("a.db"), r.at("b.db"));
  CHECK_THAT(r.refusal("a.db"), Contains("hard link"));
  CHECK_THAT(r.refusal("b.db"), Contains("hard link"));
}

TEST_CASE("names that are too long or not plain text are refused") {
  fixture r;
  CHECK_THAT(r.refusal(std::string(1025, 'a')), Contains("1025 bytes"));
  CHECK_THAT(r.refusal(std::string(300, 'a')), Contains("cannot be looked up"));
  CHECK_THAT(r.refusal(std::string(248, 'a')), Contains("at most 247"));
  CHECK(r.resolved(std::string(247, 'a')) == std::string(247, 'a'));
  auto folder = std::string(200, 'a') + "/" + std::string(200, 'b') + "/";
  CHECK_THAT(r.refusal(folder + std::string(120, 'c')), Contains("path is too long"));
  using namespace std::string_literals;
  for (const auto& name : {"a\0b.db"s, "a\nb.db"s, "a\x1b[31m.db"s, "a\xff.db"s, "a\xc2\x9b.db"s,
                           "a\xe2\x80\xae"
                           "bd.db"s,
                           "sub/\xe2\x81\xa6.db"s})
    CHECK_THAT(r.refusal(name), Contains("control character"));
  CHECK(r.resolved("größe.db") == "größe.db");
}

TEST_CASE("a name in a folder that is a store of its own is refused, and says which folder that is") {
  fixture r;
  fs::create_directories(r.at("sub/deep/er"));
  fs::create_directory_symlink("sub", r.at("alias"));
  CHECK(r.resolved("sub/deep/a.db") == "sub/deep/a.db");
  fs::create_directory(r.at("sub/.sluice"));
  for (const auto* name : {"sub/a.db", "sub/deep/a.db", "sub/deep/er/a.db", "alias/a.db", "./sub/../sub/new.db"}) {
    auto result = r.root.resolve(name);
    REQUIRE_FALSE(result);
    CHECK(code_of(result.error()) == errc::wrong_store);
    CHECK_THAT(describe(result.error()).message, Contains("lies in sub/, a store of its own"));
  }
  CHECK(r.resolved("a.db") == "a.db");
  // A file of that name is not a store.
  fs::remove(r.at("sub/.sluice"));
  r.touch("sub/.sluice");
  CHECK(r.resolved("sub/a.db") == "sub/a.db");
}

TEST_CASE("a root is a folder, not a path: no name is resolved in a folder that replaced it") {
  fixture r;
  CHECK(r.root.is_in_place());
  fs::rename(r.dir / "root", r.dir / "moved");
  CHECK_FALSE(r.root.is_in_place());
  auto refused = [&] {
    auto result = r.root.resolve("a.db");
    return result ? errc{} : code_of(result.error());
  };
  CHECK(refused() == errc::wrong_store);
  fs::create_directory(r.dir / "root");
  CHECK(refused() == errc::wrong_store);
  fs::remove(r.dir / "root");
  fs::rename(r.dir / "moved", r.dir / "root");
  CHECK(r.resolved("a.db") == "a.db");
}

TEST_CASE("a copy of a root is another root, and a link to it the same one") {
  fixture r;
  fs::copy(r.dir / "root", r.dir / "copy", fs::copy_options::recursive);
  fs::create_directory_symlink(r.dir / "root", r.dir / "link");
  CHECK(open_root(r.dir / "copy").identity() != r.root.identity());
  CHECK(open_root(r.dir / "link").identity() == r.root.identity());
}

} // namespace sluice::test::store_root_test
