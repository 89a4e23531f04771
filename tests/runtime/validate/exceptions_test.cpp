#include "runtime/validate/exceptions.hpp"

#include "messages/error.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <string_view>

namespace sluice::test::exceptions_test {

using validate::matches_command;
using validate::matches_path;
using validate::parse_exceptions;

std::string mistake(std::string_view text) {
  auto read = parse_exceptions(text, "allowed");
  return read ? "none" : describe(read.error()).message;
}

TEST_CASE("a file of exceptions has patterns, reasons and ignored folders", "[validate]") {
  auto read =
    parse_exceptions("# comment\n\n path  runtime/sqlite \t the broker's own module \r\nprocess litestream* backs up\n"
                     "ignore third_party not ours",
                     "allowed");
  REQUIRE(read);
  REQUIRE(read->all.size() == 2);
  CHECK(read->all[0].pattern == "runtime/sqlite");
  CHECK(read->all[0].reason == "the broker's own module");
  CHECK(read->all[0].line == 3);
  CHECK(read->all[1].kind == validate::exception_kind::process);
  CHECK(read->ignored_folders == std::vector<std::string>{"third_party"});
  CHECK(parse_exceptions("", "allowed")->all.empty());
}

TEST_CASE("a mistake in a file of exceptions names file, line and reason", "[validate]") {
  CHECK(mistake("\npath a/b\n") == "allowed:2: path needs a pattern and a reason: path PATTERN REASON");
  CHECK(mistake("path a/b   \n").find("needs a pattern and a reason") != std::string::npos);
  CHECK(mistake("process\n").find("allowed:1: process needs") == 0);
  CHECK(mistake("runtime/sqlite the broker's own").find("not with 'runtime/sqlite'") != std::string::npos);
  CHECK(mistake("path /abs/olute why").find("relative to the folder") != std::string::npos);
  CHECK(mistake("path ./a why").find("relative to the folder") != std::string::npos);
  CHECK(mistake("path a/ why").find("without '/' at its ends") != std::string::npos);
  CHECK(mistake("ignore a/b why").find("name of a folder") != std::string::npos);
  CHECK(mistake("ignore a").find("needs a pattern and a reason") != std::string::npos);
}

TEST_CASE("an exception holds for a file, or for everything in a folder", "[validate]") {
  auto matches = [](std::string pattern, const std::string& path) {
    return matches_path({.pattern = std::move(pattern), .reason = "r"}, path);
  };
  CHECK(matches("a/b.c", "a/b.c"));
  CHECK(matches("a", "a/b/c.c"));
  CHECK(matches("a/b", "a/b/c.c"));
  CHECK(matches("*/gen", "x/y/gen/c.c"));
  CHECK(matches("*.py", "x/y.py"));
  CHECK(matches("*_test.*", "x/a_test.go"));
  CHECK_FALSE(matches("a/b", "a/bc.c"));
  CHECK_FALSE(matches("b", "a/b"));
  CHECK_FALSE(matches("a/b.c", "x/a/b.c"));
  CHECK_FALSE(matches_path({.kind = validate::exception_kind::process, .pattern = "a", .reason = "r"}, "a"));
}

TEST_CASE("an exception for a process is compared with its command line", "[validate]") {
  auto matches = [](std::string pattern, const std::string& command) {
    return matches_command({.kind = validate::exception_kind::process, .pattern = std::move(pattern), .reason = "r"},
                           command);
  };
  CHECK(matches("python3?*backup.py*", "python3 /srv/backup.py --all"));
  CHECK_FALSE(matches("backup", "python3 backup"));
  CHECK_FALSE(matches_command({.pattern = "*", .reason = "r"}, "anything"));
}

} // namespace sluice::test::exceptions_test
