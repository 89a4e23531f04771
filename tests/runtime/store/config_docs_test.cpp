#include "runtime/store/config.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <fstream>
#include <sstream>

namespace sluice::test::config_docs_test {

TEST_CASE("docs/reference/configuration.md states every setting with its default, range and meaning", "[config]") {
  std::ifstream in{std::string{SLUICE_SOURCE_DIR} + "/docs/reference/configuration.md"};
  std::ostringstream page;
  page << in.rdbuf();
  for (const auto& setting : sluice::describe_settings()) {
    auto row = fmt::format("| `{}` | `{}` | {} | {} | {} |\n", setting.key, setting.environment, setting.default_value,
                           setting.range, setting.description);
    INFO(row);
    CHECK(page.str().find(row) != std::string::npos);
  }
}

} // namespace sluice::test::config_docs_test
