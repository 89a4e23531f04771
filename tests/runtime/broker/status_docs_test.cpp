#include "runtime/broker/store_status.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace sluice::test::status_docs_test {

namespace {

using nlohmann::json;

std::string protocol_page() {
  std::ifstream in{std::string{SLUICE_SOURCE_DIR} + "/docs/reference/protocol.md"};
  std::string page{std::istreambuf_iterator<char>{in}, {}};
  auto begin = page.find("\n### status\n");
  return begin == std::string::npos ? "" : page.substr(begin, page.find("\n### ", begin + 1) - begin);
}

// The row of the table that describes `member`; empty if there is none.
std::string row_of(const std::string& page, const std::string& member) {
  auto begin = page.find("\n| `" + member + "` |");
  return begin == std::string::npos ? "" : page.substr(begin, page.find('\n', begin + 1) - begin);
}

json whole_status() {
  store_status status;
  status.broker.databases.emplace_back().name = "app.db";
  status.broker.buffer.tables.emplace_back();
  status.broker.running.emplace_back().operation = "cursor";
  status.broker.slow.emplace_back();
  return as_json(status);
}

// Collects each name in `document`, at any depth.
void collect_names(const json& document, std::vector<std::string>& to) {
  if (document.is_array() && !document.empty())
    return collect_names(document.front(), to);
  if (!document.is_object())
    return;
  for (const auto& [name, content] : document.items()) {
    to.push_back(name);
    // The row `retry` describes these names.
    if (name != "retry")
      collect_names(content, to);
  }
}

} // namespace

TEST_CASE("docs/reference/protocol.md names every member of the status", "[status]") {
  auto page = protocol_page();
  auto status = whole_status();
  for (const auto& [member, content] : status.items()) {
    auto row = row_of(page, member);
    INFO(member << " is described as: " << row);
    CHECK_FALSE(row.empty());
    // `host_retry` has the members of `retry`.
    if (member == "host_retry")
      continue;
    std::vector<std::string> names;
    collect_names(content, names);
    for (const auto& name : names) {
      INFO(name);
      CHECK(std::regex_search(row, std::regex{"`" + name + "[`:]"}));
    }
  }
}

} // namespace sluice::test::status_docs_test
