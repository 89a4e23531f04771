// The rules of the house (docs/architecture.md): who may include what, and what may lie where.

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr size_t max_lines = 400;

struct layer {
  std::string_view folder;
  std::vector<std::string_view> forbidden;
};

const std::array layers{
  layer{"messages", {"actors", "runtime", "tests", "examples"}},
  layer{"actors", {"runtime", "tests", "examples"}},
  layer{"runtime", {"tests", "examples"}},
  layer{"examples", {"tests"}},
};

constexpr std::array actor_names{"writer", "reader", "cache", "audit", "buffer", "log", "supervisor"};

bool is_in(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

std::vector<std::string> includes_of(std::string_view text) {
  static const std::regex pattern{R"re(^\s*#\s*include\s*[<"]([^>"]+)[>"])re"};
  std::vector<std::string> result;
  std::istringstream lines{std::string{text}};
  std::smatch found;
  for (std::string line; std::getline(lines, line);)
    if (std::regex_search(line, found, pattern))
      result.push_back(found[1]);
  return result;
}

// The actor whose source or header `path` is; empty for anything else.
std::string actor_of(const fs::path& path) {
  auto is_it = [&](std::string_view name) { return path.parent_path() == "actors" && path.stem() == name; };
  auto found = std::find_if(actor_names.begin(), actor_names.end(), is_it);
  return found == actor_names.end() ? "" : *found;
}

bool may_include_sqlite(std::string_view path) { return is_in(path, "runtime/sqlite") || is_in(path, "tests"); }

std::string contents_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

bool is_source(const fs::path& path) {
  auto ending = path.extension();
  // The commands tests/run and examples/run have no ending.
  return ending == ".cpp" || ending == ".hpp" || ending == ".sh" || path.filename() == "run";
}

// Calls `visit(relative path, text)` for every source of the project.
template <class Visit> size_t for_each_source(Visit visit) {
  const fs::path root{SLUICE_SOURCE_DIR};
  size_t count = 0;
  for (const auto* folder : {"messages", "actors", "runtime", "tests", "examples"}) {
    for (const auto& entry : fs::recursive_directory_iterator{root / folder}) {
      if (!entry.is_regular_file() || !is_source(entry.path()))
        continue;
      visit(fs::relative(entry.path(), root).generic_string(), contents_of(entry.path()));
      ++count;
    }
  }
  return count;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string result;
  for (const auto& line : lines)
    result += line + "\n";
  return result;
}

std::vector<std::string> include_violations(const std::string& path, std::string_view text) {
  std::vector<std::string> result;
  auto complain = [&](const std::string& included, std::string_view why) {
    result.push_back(path + " includes " + included + ": " + std::string{why});
  };
  auto actor = actor_of(path);
  for (const auto& included : includes_of(text)) {
    if (fs::path{included}.filename() == "sqlite3.h" && !may_include_sqlite(path))
      complain(included, "only runtime/sqlite/ may");
    if (included.starts_with("../") || included.find("/../") != std::string::npos)
      complain(included, "write the path from the root of the project");
    for (const auto& [folder, forbidden] : layers)
      for (auto other : forbidden)
        if (is_in(path, folder) && is_in(included, other))
          complain(included, std::string{folder} + " must not depend on " + std::string{other});
    if (auto other = actor_of(included); !actor.empty() && !other.empty() && other != actor)
      complain(included, "actors know each other by typed handles only");
  }
  return result;
}

std::vector<std::string> length_violations(const std::string& path, std::string_view text) {
  auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  if (lines <= max_lines)
    return {};
  return {path + " has " + std::to_string(lines) + " lines; at most " + std::to_string(max_lines) + " fit in a head"};
}

std::vector<std::string> root_violations(const fs::path& root) {
  static const std::set<std::string> folders{"messages", "actors", "runtime", "tests", "examples", "docs",
                                             ".ci",      ".git",   "build"};
  static const std::set<std::string> files{"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE"};
  std::vector<std::string> result;
  for (const auto& entry : fs::directory_iterator{root}) {
    auto name = entry.path().filename().string();
    if (entry.is_directory() ? !folders.contains(name) : !files.contains(name) && !name.starts_with('.'))
      result.push_back(name + " must not lie at the root");
  }
  return result;
}

TEST_CASE("no source includes what its layer must not know") {
  std::vector<std::string> violations;
  auto count = for_each_source([&](const std::string& path, const std::string& text) {
    auto found = include_violations(path, text);
    violations.insert(violations.end(), found.begin(), found.end());
  });
  CHECK(count > 50);
  INFO(joined(violations));
  CHECK(violations.empty());
}

TEST_CASE("no source is too long to be read at a sitting") {
  std::vector<std::string> violations;
  for_each_source([&](const std::string& path, const std::string& text) {
    auto found = length_violations(path, text);
    violations.insert(violations.end(), found.begin(), found.end());
  });
  INFO(joined(violations));
  CHECK(violations.empty());
}

TEST_CASE("nothing but the agreed folders and files lies at the root") {
  auto violations = root_violations(SLUICE_SOURCE_DIR);
  INFO(joined(violations));
  CHECK(violations.empty());
}

TEST_CASE("the rules find what they are there to find") {
  auto violates = [](const std::string& path, std::string_view text) { return !include_violations(path, text).empty(); };
  CHECK(violates("actors/writer.cpp", "#include <sqlite3.h>"));
  CHECK(violates("runtime/broker.cpp", "  #  include \"sqlite3.h\""));
  CHECK(violates("messages/write.hpp", "#include \"actors/store.hpp\""));
  CHECK(violates("actors/writer.cpp", "#include \"runtime/config.hpp\""));
  CHECK(violates("runtime/broker.cpp", "#include \"tests/support/fake_clock.hpp\""));
  CHECK(violates("runtime/broker.cpp", "#include \"examples/host.hpp\""));
  CHECK(violates("examples/host.cpp", "#include \"tests/support/fake_clock.hpp\""));
  CHECK(violates("actors/writer.cpp", "int x;\n#include \"actors/cache.hpp\"\n"));
  CHECK(violates("runtime/sqlite/store.cpp", "#include \"../../tests/support/fake_clock.hpp\""));
  CHECK_FALSE(length_violations("a.cpp", std::string(401, '\n')).empty());
}

TEST_CASE("the rules allow what is meant to be") {
  auto allows = [](const std::string& path, std::string_view text) { return include_violations(path, text).empty(); };
  CHECK(allows("runtime/sqlite/connection.cpp", "#include <sqlite3.h>"));
  CHECK(allows("tests/runtime/sqlite/connection_test.cpp", "#include <sqlite3.h>"));
  CHECK(allows("actors/writer.cpp", "#include \"actors/writer.hpp\"\n#include \"actors/store.hpp\""));
  CHECK(allows("runtime/children.cpp", "#include \"actors/writer.hpp\"\n#include \"actors/cache.hpp\""));
  CHECK(allows("tests/actors/writer_test.cpp", "#include \"actors/writer.hpp\"\n#include \"actors/cache.hpp\""));
  CHECK(length_violations("a.cpp", std::string(400, '\n')).empty());
}

} // namespace
