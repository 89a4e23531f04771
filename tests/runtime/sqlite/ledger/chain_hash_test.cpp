#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::chain_hash_test {

using namespace sluice::sqlite;

TEST_CASE("lists of fields with the same concatenation hash differently") {
  chain_hash hash;
  auto of = [&](auto... fields) { return (hash.add(fields), ...), hash.finish(); };
  auto text = [](const char* x) { return std::string_view{x}; };
  CHECK(of(text("ab"), text("c")) != of(text("a"), text("bc")));
  CHECK(of(text("")) != of(text(""), text("")));
  CHECK(of(uint64_t{1}) != of(std::string_view{"\x01\0\0\0\0\0\0\0", 8}));
  CHECK(of(text("a")) == of(text("a")));
  CHECK(to_hex("\x01\xff") == "01ff");
}

} // namespace sluice::test::chain_hash_test
