// The rules for folders (docs/internals/architecture.md): allowed includes, and the places of files.

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

// The folders that every actor may include; each other folder of actors/ has one actor, or several that belong
// together.
constexpr std::array common_folders{"base", "shared"};

// The folders of runtime/, each of which may include those before it. Hosts link all before the lab.
constexpr std::array runtime_folders{"os",         "json",    "policy", "store",   "sqlite", "catalogue",
                                     "migrations", "capsule", "broker", "server",  "client", "doctor",
                                     "validate",   "lab",     "cli",    "launcher"};

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

// The folder of `layer` that `path` lies in; empty for anything else.
std::string folder_of(const fs::path& path, std::string_view layer) {
  auto parts = std::vector<std::string>{path.begin(), path.end()};
  return parts.size() >= 3 && parts[0] == layer ? parts[1] : "";
}

// The index of `folder` in `runtime_folders`; its size if `folder` is not in it.
size_t runtime_position(const std::string& folder) {
  return static_cast<size_t>(std::find(runtime_folders.begin(), runtime_folders.end(), folder)
                             - runtime_folders.begin());
}

bool is_common(const std::string& folder) {
  return std::find(common_folders.begin(), common_folders.end(), folder) != common_folders.end();
}

// The reason why a source in `folder` may not include a header in `other`; empty if it may.
std::string_view why_not(const std::string& folder, const std::string& other) {
  if (folder.empty() || other.empty() || folder == other || other == "base")
    return "";
  if (folder == "base")
    return "actors/base/ knows nothing of the other folders";
  if (folder == "shared")
    return "actors/shared/ knows no actor";
  return is_common(other) ? "" : "actors know each other by typed handles only";
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
  auto complain = [&](const std::string& included, std::string_view error) {
    result.push_back(path + " includes " + included + ": " + std::string{error});
  };
  auto folder = folder_of(path, "actors");
  auto runtime_folder = folder_of(path, "runtime");
  for (const auto& included : includes_of(text)) {
    if (fs::path{included}.filename() == "sqlite3.h" && !may_include_sqlite(path))
      complain(included, "only runtime/sqlite/ may");
    if (included.starts_with("../") || included.find("/../") != std::string::npos)
      complain(included, "write the path from the root of the project");
    for (const auto& [top, forbidden] : layers)
      for (auto other : forbidden)
        if (is_in(path, top) && is_in(included, other))
          complain(included, std::string{top} + " must not depend on " + std::string{other});
    if (auto reason = why_not(folder, folder_of(included, "actors")); !reason.empty())
      complain(included, reason);
    if (folder == "base" && (is_in(included, "messages") || is_in(included, "caf")))
      complain(included, "actors/base/ uses the standard library alone");
    auto injects_faults = is_in(path, "runtime/sqlite/faults") || is_in(path, "runtime/lab") || is_in(path, "tests");
    if (is_in(included, "runtime/sqlite/faults") && !injects_faults)
      complain(included, "hosts do not link fault injection");
    if (auto other = folder_of(included, "runtime");
        !runtime_folder.empty() && !other.empty() && runtime_position(other) > runtime_position(runtime_folder))
      complain(included, "runtime/" + runtime_folder + "/ is below runtime/" + other + "/");
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
  static const std::set<std::string> folders{"messages", "actors", "runtime", "tests", "examples",
                                             "docs",     ".ci",    ".git",    "build"};
  static const std::set<std::string> files{"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE"};
  std::vector<std::string> result;
  for (const auto& entry : fs::directory_iterator{root}) {
    auto name = entry.path().filename().string();
    if (entry.is_directory() ? !folders.contains(name) : !files.contains(name) && !name.starts_with('.'))
      result.push_back(name + " must not lie at the root");
  }
  return result;
}

TEST_CASE("no source includes a header that its layer may not use") {
  std::vector<std::string> violations;
  auto count = for_each_source([&](const std::string& path, const std::string& text) {
    auto found = include_violations(path, text);
    violations.insert(violations.end(), found.begin(), found.end());
  });
  CHECK(count > 50);
  INFO(joined(violations));
  CHECK(violations.empty());
}

TEST_CASE("no source has more than 400 lines") {
  std::vector<std::string> violations;
  for_each_source([&](const std::string& path, const std::string& text) {
    auto found = length_violations(path, text);
    violations.insert(violations.end(), found.begin(), found.end());
  });
  INFO(joined(violations));
  CHECK(violations.empty());
}

TEST_CASE("the root has only the agreed folders and files") {
  auto violations = root_violations(SLUICE_SOURCE_DIR);
  INFO(joined(violations));
  CHECK(violations.empty());
}

TEST_CASE("the rules find violations") {
  auto violates = [](const std::string& path, std::string_view text) {
    return !include_violations(path, text).empty();
  };
  CHECK(violates("actors/writer/writer.cpp", "#include <sqlite3.h>"));
  CHECK(violates("runtime/broker/broker.cpp", "  #  include \"sqlite3.h\""));
  CHECK(violates("messages/write.hpp", "#include \"actors/shared/reply.hpp\""));
  CHECK(violates("actors/writer/writer.cpp", "#include \"runtime/store/config.hpp\""));
  CHECK(violates("runtime/broker/broker.cpp", "#include \"tests/support/fake_clock.hpp\""));
  CHECK(violates("runtime/broker/broker.cpp", "#include \"examples/host.hpp\""));
  CHECK(violates("examples/host.cpp", "#include \"tests/support/fake_clock.hpp\""));
  CHECK(violates("actors/writer/writer.cpp", "int x;\n#include \"actors/cache/cache.hpp\"\n"));
  CHECK(violates("runtime/sqlite/store.cpp", "#include \"../../tests/support/fake_clock.hpp\""));
  CHECK(violates("actors/shared/actor_registry.hpp", "#include \"actors/cursors/cursors.hpp\""));
  CHECK(violates("actors/base/clock.hpp", "#include <caf/all.hpp>"));
  CHECK(violates("actors/base/clock.hpp", "#include \"actors/shared/reply.hpp\""));
  CHECK(violates("runtime/broker/broker.cpp", "#include \"runtime/sqlite/faults/fault_vfs.hpp\""));
  CHECK(violates("runtime/sqlite/core/connection.cpp", "#include \"runtime/broker/broker.hpp\""));
  CHECK_FALSE(length_violations("a.cpp", std::string(401, '\n')).empty());
}

TEST_CASE("the rules allow correct includes") {
  auto allows = [](const std::string& path, std::string_view text) { return include_violations(path, text).empty(); };
  CHECK(allows("runtime/sqlite/core/connection.cpp", "#include <sqlite3.h>"));
  CHECK(allows("tests/runtime/sqlite/core/connection_test.cpp", "#include <sqlite3.h>"));
  CHECK(
    allows("actors/writer/writer.cpp", "#include \"actors/writer/writer.hpp\"\n#include \"actors/shared/reply.hpp\""));
  CHECK(allows("runtime/broker/actor_factories.cpp",
               "#include \"actors/writer/writer.hpp\"\n#include \"actors/cache/cache.hpp\""));
  CHECK(allows("tests/actors/writer/writer_test.cpp",
               "#include \"actors/writer/writer.hpp\"\n#include \"actors/cache/cache.hpp\""));
  CHECK(allows("runtime/server/rpc/codec.cpp", "#include \"runtime/broker/broker.hpp\""));
  CHECK(length_violations("a.cpp", std::string(400, '\n')).empty());
}

} // namespace
