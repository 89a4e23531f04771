#include "runtime/json/json_writer.hpp"

#include "runtime/json/json_text.hpp"
#include "runtime/json/json_values.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <bit>
#include <limits>
#include <random>

namespace sluice::test::json_writer_test {

namespace {

std::string written(const value& content, integer_form form) {
  std::string text;
  json_writer{text}.content(content, form);
  return text;
}

void check(const value& content) {
  for (auto form : {integer_form::number, integer_form::text, integer_form::tagged})
    CHECK(written(content, form) == dump(as_json(content, form)));
}

} // namespace

TEST_CASE("every kind of value is written as its document is") {
  check(value{});
  for (auto number : {std::numeric_limits<int64_t>::min(), -(int64_t{1} << 53) - 1, -(int64_t{1} << 53), int64_t{-1},
                      int64_t{0}, int64_t{1} << 53, (int64_t{1} << 53) + 1, std::numeric_limits<int64_t>::max()})
    check(value{number});
  constexpr auto infinite = std::numeric_limits<double>::infinity();
  for (auto number : {0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, infinite, -infinite, std::nan("")})
    check(value{number});
  check(value{blob{std::string{"\0\xff", 2}}});
  check(value{blob{}});
  check(value{std::string{}});
  check(value{std::string{"not UTF-8: \xff"}});
  check(value{std::string{"\xf0\x9f\x98\x80 é \x7f"}});
  for (auto c = 0; c < 128; ++c)
    check(value{std::string{"a"} + static_cast<char>(c) + "b"});
}

TEST_CASE("random reals and texts are written as their documents are") {
  std::mt19937_64 random{7};
  for (auto i = 0; i < 2'000; ++i) {
    auto number = std::bit_cast<double>(random());
    if (std::isfinite(number))
      check(value{number});
    std::string text(random() % 24, ' ');
    for (auto& c : text)
      c = static_cast<char>(random() % 4 == 0 ? random() % 256 : random() % 128);
    check(value{text});
  }
}

TEST_CASE("members and elements are separated by commas, and nested documents too") {
  std::string text;
  json_writer to{text};
  to.begin_object().key("a").begin_array().end_array().key("b").begin_object().end_object().key("c").begin_array();
  to.null().boolean(true).boolean(false).number(uint64_t{18'446'744'073'709'551'615ULL}).number(int64_t{-5}).raw("[1]");
  to.begin_array().text("x").end_array().text("y").end_array().key("d").number(0.5).end_object();
  CHECK(text == R"({"a":[],"b":{},"c":[null,true,false,18446744073709551615,-5,[1],["x"],"y"],"d":0.5})");
  CHECK(nlohmann::json::accept(text));
}

} // namespace sluice::test::json_writer_test
