#include "runtime/validate/source_tree.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace sluice::test::source_tree_test {

namespace fs = std::filesystem;

constexpr const char* opens = "import sqlite3\nsqlite3.connect(p)\n";

class tree {
public:
  const fs::path& root() const { return folder_.path(); }

  void add(const fs::path& name, std::string_view text = opens) {
    fs::create_directories((root() / name).parent_path());
    std::ofstream{root() / name, std::ios::binary} << text;
  }

  // The paths that open SQLite.
  std::vector<std::string> look(const validate::tree_bounds& bounds = {}, std::vector<std::string> ignored = {}) {
    std::vector<std::string> result;
    seen_ = validate::look_at_tree(root(), ignored, bounds, [&](const std::string& path, auto, const auto& calls) {
      CHECK(calls.size() == 1);
      result.push_back(path);
    });
    return result;
  }

  // "PATH: REASON" of what the last look left out.
  std::vector<std::string> unread() const {
    std::vector<std::string> result;
    for (const auto& [path, reason] : seen_.unread)
      result.push_back(path + ": " + reason);
    return result;
  }

  const validate::tree_look& seen() const { return seen_; }

private:
  temp_dir folder_;
  validate::tree_look seen_;
};

using paths = std::vector<std::string>;

TEST_CASE("sources below a folder are read in order, and other files are not", "[validate]") {
  tree files;
  files.add("b.py");
  files.add("a/x.py");
  files.add("a/run", "#!/usr/bin/env python3\nimport sqlite3\nsqlite3.connect(p)\n");
  files.add("a/notes.txt");
  files.add("a/data", opens);
  files.add("a/empty.py", "");
  CHECK(files.look() == paths{"a/run", "a/x.py", "b.py"});
  CHECK(files.seen().sources == 4);
  CHECK(files.unread().empty());
}

TEST_CASE("folders of version control, builds and packages are not entered, nor those that are named", "[validate]") {
  tree files;
  for (const auto* folder : {".git", "build", "node_modules", "target", "venv", ".venv", "own", "src"})
    files.add(fs::path{folder} / "x.py");
  CHECK(files.look({}, {"own"}) == paths{"src/x.py"});
  CHECK(files.look() == paths{"own/x.py", "src/x.py"});
}

TEST_CASE("symbolic links are counted and not followed", "[validate]") {
  tree files;
  files.add("src/x.py");
  fs::create_directory_symlink(files.root(), files.root() / "src/loop");
  fs::create_symlink("x.py", files.root() / "src/y.py");
  fs::create_symlink("nowhere", files.root() / "src/z.py");
  CHECK(files.look() == paths{"src/x.py"});
  CHECK(files.seen().links == 3);
  CHECK(files.unread().empty());
}

TEST_CASE("pipes are no sources, and do not block the look", "[validate]") {
  tree files;
  REQUIRE(mkfifo((files.root() / "pipe.py").c_str(), 0600) == 0);
  CHECK(files.look().empty());
  CHECK(files.unread().empty());
}

TEST_CASE("what is too large, too deep, too many or no text is reported", "[validate]") {
  tree files;
  files.add("large.py", std::string(300, '#'));
  files.add("large.bin", std::string(300, '#'));
  files.add("nul.py", std::string{"a\0b", 3});
  files.add("program", std::string{"\x7f"
                                   "ELF\0\0",
                                   6});
  files.add("1/2/3/x.py");
  validate::tree_bounds bounds{.file_bytes = 200, .depth = 2};
  CHECK(files.look(bounds).empty());
  CHECK(files.unread()
        == paths{"1/2/3: more than 2 folders deep", "large.py: larger than 200 bytes",
                 "nul.py: it has NUL bytes, so it is no text"});
  files.look({.entries = 4});
  auto is_bound = [](const std::string& each) { return each.starts_with(".: more than 4 files and folders"); };
  auto unread = files.unread();
  CHECK(std::count_if(unread.begin(), unread.end(), is_bound) == 1);
}

TEST_CASE("files and folders that this user may not read are reported", "[validate]") {
  if (geteuid() == 0)
    return;
  tree files;
  files.add("secret.py");
  files.add("closed/x.py");
  fs::permissions(files.root() / "secret.py", fs::perms::none);
  fs::permissions(files.root() / "closed", fs::perms::none);
  CHECK(files.look().empty());
  CHECK(files.unread() == paths{"closed: Permission denied", "secret.py: Permission denied"});
  fs::permissions(files.root() / "closed", fs::perms::owner_all);
}

TEST_CASE("a single source may be looked at, also by a symbolic link", "[validate]") {
  tree files;
  files.add("x.py");
  fs::create_symlink("x.py", files.root() / "link.py");
  for (const auto* name : {"x.py", "link.py"}) {
    std::vector<std::string> seen;
    auto look = validate::look_at_tree(files.root() / name, {}, {},
                                       [&](const std::string& path, auto, const auto&) { seen.push_back(path); });
    CHECK(seen == paths{name});
    CHECK(look.unread.empty());
  }
}

} // namespace sluice::test::source_tree_test
