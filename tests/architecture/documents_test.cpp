// Checks documents against the repository: the functions that docs/internals/architecture.md names, links, and paths of
// files.

#include <catch2/catch.hpp>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace sluice::test::documents_test {

namespace {

namespace fs = std::filesystem;

const fs::path project{SLUICE_SOURCE_DIR};

std::string text_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> result;
  size_t begin = 0;
  for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    result.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  result.push_back(text.substr(begin));
  return result;
}

// The parts of `text` in backticks, in their order.
std::vector<std::string> quoted_in(const std::string& text) {
  static const std::regex pattern{"`([^`]+)`"};
  std::vector<std::string> result;
  for (std::sregex_iterator each{text.begin(), text.end(), pattern}, end; each != end; ++each)
    result.push_back((*each)[1]);
  return result;
}

// Whether `source` declares, defines or calls a function of this name.
bool has_function(const std::string& source, const std::string& name) {
  auto is_part_of_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (auto at = source.find(name + '('); at != std::string::npos; at = source.find(name + '(', at + 1))
    if (at == 0 || !is_part_of_name(source[at - 1]))
      return true;
  return false;
}

// The errors in the rows `| # | file | functions | data |` of a page.
std::vector<std::string> path_violations(const std::string& page, size_t& functions) {
  static const std::regex row{R"(\| \d+ \| `([^`]+)` \| ([^|]+) \| .*)"};
  std::vector<std::string> result;
  std::smatch found;
  for (const auto& line : lines_of(page)) {
    if (!std::regex_match(line, found, row))
      continue;
    auto file = found[1].str();
    auto source = text_of(project / file);
    if (source.empty())
      result.push_back("there is no " + file);
    for (const auto& name : quoted_in(found[2])) {
      ++functions;
      if (!has_function(source, name))
        result.push_back(file + " has no function " + name);
    }
  }
  return result;
}

std::vector<fs::path> documents() {
  std::vector<fs::path> result{project / "README.md"};
  for (const auto* folder : {"docs", "messages", "actors", "runtime", "examples", "tests"})
    for (const auto& entry : fs::recursive_directory_iterator{project / folder})
      if (entry.path().extension() == ".md")
        result.push_back(entry.path());
  return result;
}

// A page without its blocks of code, in which brackets and backticks mean something else.
std::string prose_of(const fs::path& page) {
  std::string result;
  auto is_code = false;
  for (const auto& line : lines_of(text_of(page))) {
    if (line.starts_with("```"))
      is_code = !is_code;
    else if (!is_code)
      result += line + '\n';
  }
  return result;
}

// The name under which a heading is linked, as GitHub makes it.
std::string anchor_of(const std::string& heading) {
  std::string result;
  for (auto c : heading)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-')
      result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (c == ' ')
      result += '-';
  return result;
}

std::set<std::string> anchors_of(const fs::path& page) {
  std::set<std::string> result;
  for (const auto& line : lines_of(prose_of(page)))
    if (line.starts_with('#'))
      result.insert(anchor_of(line.substr(line.find_first_not_of("# "))));
  return result;
}

std::vector<std::string> link_violations(const fs::path& page, const std::string& prose) {
  static const std::regex pattern{R"(\]\(([^)#\s]*)(?:#([^)\s]*))?\))"};
  std::vector<std::string> result;
  for (std::sregex_iterator each{prose.begin(), prose.end(), pattern}, end; each != end; ++each) {
    auto target = (*each)[1].str();
    if (target.find(':') != std::string::npos)
      continue;
    auto file = target.empty() ? page : page.parent_path() / target;
    if (!fs::exists(file))
      result.push_back(page.string() + " links to " + target + ", which does not exist");
    else if ((*each)[2].matched && !anchors_of(file).contains((*each)[2]))
      result.push_back(page.string() + " links to " + target + "#" + (*each)[2].str() + ", which is no heading there");
  }
  return result;
}

// The files and folders that `prose` names by their path from the root, and that do not exist.
std::vector<std::string> missing_paths(const std::string& prose) {
  static const std::regex path{R"((messages|actors|runtime|tests|examples|docs)/[A-Za-z0-9_./-]*)"};
  std::vector<std::string> result;
  for (const auto& name : quoted_in(prose))
    if (std::regex_match(name, path) && !fs::exists(project / name))
      result.push_back(name);
  return result;
}

// Documents that the text of a source names, as `docs/reference/protocol.md` is.
std::vector<std::string> missing_documents(const std::string& source) {
  static const std::regex path{R"(\bdocs/[A-Za-z0-9_./-]*\.(md|json)\b)"};
  std::vector<std::string> result;
  for (std::sregex_iterator each{source.begin(), source.end(), path}, end; each != end; ++each)
    if (!fs::exists(project / each->str()))
      result.push_back(each->str());
  return result;
}

bool is_source(const fs::path& file) {
  static const std::set<std::string> endings{".hpp", ".cpp", ".py", ".sh", ".txt", ".yaml"};
  return endings.contains(file.extension().string()) || file.filename() == "run";
}

std::vector<fs::path> folders_with_sources(const char* top) {
  std::vector<fs::path> result;
  for (const auto& entry : fs::directory_iterator{project / top})
    if (entry.is_directory())
      result.push_back(entry.path());
  return result;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string result;
  for (const auto& line : lines)
    result += line + '\n';
  return result;
}

} // namespace

TEST_CASE("each function on the paths of docs/internals/architecture.md is in the named file", "[architecture]") {
  size_t functions = 0;
  auto violations = path_violations(text_of(project / "docs/internals/architecture.md"), functions);
  INFO(joined(violations));
  CHECK(violations.empty());
  CHECK(functions > 90);
}

TEST_CASE("a path with a function that its file does not have is found", "[architecture]") {
  size_t functions = 0;
  auto violations = [&](const std::string& row) { return path_violations(row, functions).size(); };
  CHECK(violations("| 1 | `actors/writer/writer.cpp` | `finish_group`, `apply` | text |") == 0);
  CHECK(violations("| 1 | `actors/writer/writer.cpp` | `finish_group`, `inish_group` | text |") == 1);
  CHECK(violations("| 1 | `actors/writer/nowhere.cpp` | `settle` | text |") == 2);
  CHECK(functions == 5);
}

TEST_CASE("links in documents lead to files and headings that exist", "[architecture]") {
  std::vector<std::string> violations;
  for (const auto& page : documents()) {
    auto found = link_violations(page, prose_of(page));
    violations.insert(violations.end(), found.begin(), found.end());
  }
  INFO(joined(violations));
  CHECK(violations.empty());
  CHECK(link_violations(project / "README.md", "[a](docs/nowhere.md) [b](docs/reference/files.md#nothing) [c](LICENSE)")
          .size()
        == 2);
}

TEST_CASE("documents name files and folders that exist", "[architecture]") {
  std::vector<std::string> violations;
  for (const auto& page : documents()) {
    // Entries of older versions name files of those versions.
    if (page.filename() == "changelog.md")
      continue;
    for (const auto& name : missing_paths(prose_of(page)))
      violations.push_back(page.string() + " names " + name);
  }
  INFO(joined(violations));
  CHECK(violations.empty());
  CHECK(missing_paths("`runtime/nowhere.cpp`, `runtime/client/client.hpp` and `tests/cli/`").size() == 1);
}

TEST_CASE("sources name documents that exist", "[architecture]") {
  std::vector<std::string> violations;
  for (const auto* folder : {"messages", "actors", "runtime", "examples", "tests"})
    for (const auto& entry : fs::recursive_directory_iterator{project / folder})
      // This file names documents that are not there on purpose.
      if (entry.is_regular_file() && is_source(entry.path()) && entry.path().filename() != "documents_test.cpp")
        for (const auto& name : missing_documents(text_of(entry.path())))
          violations.push_back(entry.path().string() + " names " + name);
  INFO(joined(violations));
  CHECK(violations.empty());
  CHECK(missing_documents("// see docs/nowhere.md and docs/changelog.md").size() == 1);
}

TEST_CASE("each folder of actors and of runtime has a README", "[architecture]") {
  std::vector<std::string> missing;
  for (const auto* top : {"actors", "runtime"})
    for (const auto& folder : folders_with_sources(top))
      if (!fs::exists(folder / "README.md"))
        missing.push_back(folder.string() + " has no README.md");
  INFO(joined(missing));
  CHECK(missing.empty());
}

} // namespace sluice::test::documents_test
