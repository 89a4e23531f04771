#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace {

namespace fs = std::filesystem;

const fs::path source_dir{SLUICE_SOURCE_DIR};

std::string content_of(const fs::path& file) {
  std::ifstream in{file};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// Checks each `<!-- quote FILE -->` against the fenced block behind it; returns how many there were.
int check_quotes(const fs::path& page) {
  constexpr std::string_view mark = "<!-- quote ";
  auto text = content_of(page);
  int count = 0;
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
    auto name = text.substr(at + mark.size(), text.find(" -->", at) - at - mark.size());
    auto begin = text.find('\n', text.find("```", at)) + 1;
    auto end = text.find("```", begin);
    INFO(page << " quotes " << name);
    CHECK(text.substr(begin, end - begin) == content_of(source_dir / name));
    ++count;
  }
  return count;
}

} // namespace

TEST_CASE("documents quote the examples as they are", "[architecture]") {
  auto count = check_quotes(source_dir / "README.md");
  for (const auto& page : fs::recursive_directory_iterator{source_dir / "docs"})
    if (page.is_regular_file())
      count += check_quotes(page.path());
  CHECK(count >= 3);
}
