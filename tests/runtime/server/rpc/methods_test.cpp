#include "runtime/server/rpc/methods.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>

namespace sluice::test::methods_test {

namespace {

std::string page(const char* name) {
  std::ifstream in{std::string{SLUICE_SOURCE_DIR} + "/docs/" + name};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// What each method needs, as docs/guides/policy.md says it.
std::string access_as_markdown() {
  constexpr std::array needs{"anyone", "operation", "raw_sql", "observation", "administration"};
  std::string result;
  for (const auto& each : rpc::all_methods)
    result += "| `" + std::string{each.name} + "` | " + needs[static_cast<size_t>(each.access)] + " | "
              + (each.data == rpc::method_data::changes ? "yes" : "no") + " |\n";
  return result;
}

} // namespace

TEST_CASE("docs/reference/protocol.md has the table of methods as the broker has it", "[rpc]") {
  auto table = rpc::methods_as_markdown();
  INFO(table);
  CHECK(page("reference/protocol.md").find(table) != std::string::npos);
}

TEST_CASE("docs/guides/policy.md says of each method what it needs, as the broker has it", "[rpc]") {
  auto table = access_as_markdown();
  INFO(table);
  CHECK(page("guides/policy.md").find(table) != std::string::npos);
}

TEST_CASE("each method but a few says who sends it, with caller where the agent selects records", "[rpc]") {
  auto sender = [](const char* name) { return rpc::sender_parameter(*rpc::find_method(name)); };
  for (const auto* name : {"write", "read", "call", "operations", "status", "shutdown", "log", "cursor.next",
                           "subscribe", "buffer.rejected"})
    CHECK(sender(name) == "agent");
  for (const auto* name : {"audit.list", "logs.recent"})
    CHECK(sender(name) == "caller");
  for (const auto* name : {"audit.refused", "unsubscribe", "hello", "ping"})
    CHECK(sender(name).empty());
}

TEST_CASE("every method that needs something says who sends it", "[rpc]") {
  for (const auto& method : rpc::all_methods) {
    INFO(method.name);
    CHECK((method.access == method_access::anyone || !rpc::sender_parameter(method).empty()));
  }
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
