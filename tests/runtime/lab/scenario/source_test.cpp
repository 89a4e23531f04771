#include "runtime/lab/scenario/references.hpp"
#include "runtime/lab/scenario/source.hpp"
#include "runtime/lab/scenario/suggestions.hpp"

#include <catch2/catch.hpp>

#include <array>

namespace sluice::test::scenario_source_test {

namespace {

using namespace sluice::scenario;
using nlohmann::json;

json value_of(const std::string& text) { return to_json(read_yaml(text)); }

mistake refused(const std::string& text) {
  try {
    read_yaml(text);
  } catch (const mistake& mistake) {
    return mistake;
  }
  FAIL("was taken: " << text.substr(0, 100));
  return {{}, ""};
}

void is_refused(const std::string& text, int line, int column, const std::string& reason) {
  auto result = refused(text);
  INFO(text.substr(0, 200) << " -> " << result.what());
  CHECK(result.where().line == line);
  CHECK(result.where().column == column);
  CHECK(std::string{result.what()}.find(reason) != std::string::npos);
}

} // namespace

TEST_CASE("plain scalars of a scenario have the types of JSON", "[scenario]") {
  CHECK(value_of("[null, ~, true, false, 5, -5, 1.5, 1e3, 9223372036854775807]")
        == json::parse("[null, null, true, false, 5, -5, 1.5, 1000.0, 9223372036854775807]"));
  CHECK(value_of("[one, '5', \"true\", 007, +5, 0x10, yes, 1., .5, -, 1e]")
        == json::parse(R"(["one", "5", "true", "007", "+5", "0x10", "yes", "1.", ".5", "-", "1e"])"));
  CHECK(value_of("{1: a, b: , true: c}") == json::parse(R"({"1": "a", "b": null, "true": "c"})"));
}

TEST_CASE("each node of a scenario has its position", "[scenario]") {
  auto result = read_yaml("name: a\nsteps:\n  - write: {db: app.db}\n");
  const auto& db = result.find("steps")->items[0].members[0].content;
  CHECK(db.members[0].at.line == 3);
  CHECK(db.members[0].at.column == 13);
  CHECK(db.members[0].content.at.column == 17);
}

TEST_CASE("an invalid scenario file is refused with the position", "[scenario]") {
  is_refused("", 1, 1, "the file is empty");
  is_refused("# nothing\n", 1, 1, "the file is empty");
  is_refused("a: [1, 2\nb: 3\n", 2, 2, "no YAML");
  is_refused("a: 1\n\tb: 2\n", 2, 1, "no YAML");
  is_refused("a:\n  - b: 1\n   c: 2\n", 3, 4, "is this line indented as its neighbours are?");
  is_refused("a: {b: x (1, 'y')}\n", 1, 17, "needs quotes");
  is_refused("a: 1\na: 2\n", 2, 1, "a is given twice; the first is in line 1");
  is_refused("a: 1\n---\nb: 2\n", 3, 1, "one scenario");
  is_refused("a: 9223372036854775808", 1, 4, "64 bits");
  is_refused("a: 1e999", 1, 4, "beyond");
  is_refused("a: &x 1\nb: *x\n", 2, 4, "alias");
  is_refused("a: !!binary AAEC", 1, 4, "there are no tags");
  is_refused("[1, 2]: 3", 1, 1, "must be a text, and is a list");
  is_refused(std::string(2 << 20, 'a'), 1, 1, "may have 1048576");
}

TEST_CASE("nesting is bounded", "[scenario]") {
  for (auto open : {'[', '{', '-'}) {
    std::string text;
    for (int i = 0; i < 5'000; ++i)
      text += open == '-' ? "- " : std::string(1, open);
    INFO(open);
    CHECK_THROWS_AS(read_yaml(text), mistake);
  }
  CHECK(std::string{refused("a: " + std::string(100, '[')).what()}.find("64 levels") != std::string::npos);
}

TEST_CASE("aliases cannot make a small file large", "[scenario]") {
  std::string text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    text += c + std::string{": &"} + c + " [";
    for (int i = 0; i < 10; ++i)
      text += std::string{i ? ", *" : "*"} + static_cast<char>(c - 1);
    text += "]\n";
  }
  is_refused(text, 2, 8, "alias");
}

TEST_CASE("a damaged scenario file is refused and causes no other failure", "[scenario]") {
  const std::string good = "name: a\ndatabases: {app.db: [\"CREATE\"]}\nsteps:\n  - write: {db: app.db, params: [1, "
                           "{$blob: AAEC}]}\n    expect: {rows: [[1, 'x']]}\n  - |\n    text\n  - >-\n    more\n";
  const std::string_view letters = "{}[]:,-?&*!|>'\"%@`#\t\n \\a0\x01\xff";
  for (size_t at = 0; at < good.size(); ++at)
    for (auto letter : letters) {
      auto text = good;
      text[at] = letter;
      try {
        read_yaml(text);
      } catch (const mistake&) {
        continue;
      }
    }
  for (size_t size = 0; size < good.size(); ++size)
    try {
      read_yaml(good.substr(0, size));
    } catch (const mistake&) {
      continue;
    }
  SUCCEED("nothing else was thrown");
}

TEST_CASE("a reference stands for a value, or for its text", "[scenario]") {
  json answer = json::parse(R"({"commit_seq": 5, "rows": [[1, "one"]]})");
  auto known = [&](std::string_view path) { return part_of(answer, path); };
  CHECK(resolve(read_yaml("[$(commit_seq), seq-$(commit_seq)-$(rows.0.1), $(rows.0), $5, $(open]"), known)
        == json::parse(R"([5, "seq-5-one", [1, "one"], "$5", "$(open"])"));
  for (const auto* unknown : {"$(other)", "$(rows.1)", "$(rows.x)", "$(commit_seq.x)"})
    CHECK_THROWS_AS(resolve(read_yaml(unknown), known), mistake);
}

TEST_CASE("for an unknown word the nearest known one is suggested", "[scenario]") {
  constexpr std::array<std::string_view, 3> known{"write", "read", "status"};
  CHECK(advice("wirte", known) == "; did you mean write?");
  CHECK(advice("nonsense", known) == "; there are write, read and status");
  CHECK(advice("x", {}).empty());
}

} // namespace sluice::test::scenario_source_test
