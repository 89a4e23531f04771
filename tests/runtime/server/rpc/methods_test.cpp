#include "runtime/server/rpc/methods.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

namespace sluice::test::methods_test {

TEST_CASE("docs/reference/protocol.md has the table of methods as the broker has it", "[rpc]") {
  std::ifstream in{std::string{SLUICE_SOURCE_DIR} + "/docs/reference/protocol.md"};
  std::ostringstream page;
  page << in.rdbuf();
  auto table = rpc::methods_as_markdown();
  INFO(table);
  CHECK(page.str().find(table) != std::string::npos);
}

TEST_CASE("each method is there once, and the audit has a name for it", "[rpc]") {
  std::set<std::string_view> names;
  for (const auto& method : rpc::all_methods) {
    INFO(method.name);
    CHECK(names.insert(method.name).second);
    CHECK(rpc::find_method(method.name) == &method);
    CHECK(to_string(method.type) == method.name);
    CHECK_FALSE(method.summary.empty());
  }
  CHECK(rpc::find_method("") == nullptr);
  CHECK(rpc::find_method("writ") == nullptr);
}

TEST_CASE("a parameter of a method is recognized by its whole name", "[rpc]") {
  for (const auto* each : {"db", "statements", "foreign_keys", "as_operator", "wait_ms"})
    CHECK(rpc::is_parameter(each));
  for (const auto* item : {"", "d", "b", "db statements", "foreign"})
    CHECK_FALSE(rpc::is_parameter(item));
}

} // namespace sluice::test::methods_test
