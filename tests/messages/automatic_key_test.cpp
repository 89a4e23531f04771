#include "messages/automatic_key.hpp"

#include <catch2/catch.hpp>

#include <random>

namespace sluice::test::automatic_key_test {

TEST_CASE("an automatic key is read back from its text") {
  std::mt19937_64 random{7};
  for (int i = 0; i < 1'000; ++i) {
    auto narrow = [&] { return random() >> (random() % 64); };
    automatic_key key{static_cast<uint32_t>(random() | 1U), narrow() >> 16U, narrow(), narrow()};
    auto text = to_string(key);
    INFO(text);
    REQUIRE(parse_automatic_key(text) == key);
    REQUIRE(to_string(*parse_automatic_key(text)) == text);
  }
}

TEST_CASE("only the text of an automatic key is recognized as one") {
  const std::string good = "auto-0000abcd-1f-00000000000000ff-1";
  REQUIRE(parse_automatic_key(good));
  for (const auto* text : {
         "",
         "auto-",
         "auto",
         "key-1",
         "auto-0000abcd",
         "auto-0000abcd-1f",
         "auto-0000abcd-1f-00000000000000ff",
         "auto-0000abcd-1f-00000000000000ff-",
         "auto-0000abcd-1f-00000000000000ff-1-", // Ends early or late.
         "auto-0000abcd-1f-00000000000000ff-1-2",
         "auto-0000abcd-1f-00000000000000ff-1 ",
         "AUTO-0000abcd-1f-00000000000000ff-1",
         "auto-0000ABCD-1f-00000000000000ff-1", // Letter case.
         "auto-abcd-1f-00000000000000ff-1",
         "auto-0000abcd-1f-ff-1", // Fixed widths.
         "auto-0000abcd-01f-00000000000000ff-1",
         "auto-0000abcd-1f-00000000000000ff-01", // Leading zeros.
         "auto-0000abcd--00000000000000ff-1",
         "auto-0000abcd-+f-00000000000000ff-1",
         "auto-0000abcd-0x1f-00000000000000ff-1",
         "auto-00000000-1f-00000000000000ff-1", // Numbers, boot 0.
         "auto-0000abcd-1000000000000-00000000000000ff-1",
         "auto-0000abcd-1f-00000000000000ff-10000000000000000",
         "auto-0198f2c3b8dd-9bdc5cf94dccd852-5061-1", // As clients up to version 0.1 generate them.
       }) {
    INFO(text);
    CHECK(!parse_automatic_key(text));
  }
}

TEST_CASE("boots of the machine have different tags, and an unknown boot has none") {
  CHECK(boot_tag_of("") == 0);
  CHECK(boot_tag_of("a") != 0);
  CHECK(boot_tag_of("a") == boot_tag_of("a"));
  CHECK(boot_tag_of("a") != boot_tag_of("b"));
}

} // namespace sluice::test::automatic_key_test
