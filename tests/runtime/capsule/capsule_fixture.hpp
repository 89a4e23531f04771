#pragma once

#include "runtime/capsule/capsule.hpp"
#include "runtime/store/signing_key.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace sluice::test {

inline signing_key must_open_key(const std::filesystem::path& path) {
  auto result = signing_key::open_or_make(path);
  REQUIRE(result);
  return *result;
}

/// Two keys, and an example of a capsule.
struct key_fixture {
  temp_dir folder;
  signing_key key = must_open_key(folder / "a.key");
  signing_key other_key = must_open_key(folder / "b.key");

  static capsule example() {
    return {std::string(16, 'i'),
            {},
            "planner-*",
            tier::basic,
            {"app.db:add_note", "app.db:find_*"},
            1'700'000'000'000'000,
            1'700'000'060'000'000,
            std::string(32, 'p'),
            std::string(16, 's')};
  }
};

} // namespace sluice::test
