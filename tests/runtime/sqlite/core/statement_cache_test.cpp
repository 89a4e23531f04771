#include "runtime/sqlite/core/statement_cache.hpp"

#include "tests/runtime/sqlite/writer/store_fixture.hpp"

namespace sluice::test::statement_cache_test {

namespace {

struct fixture {
  temp_dir folder;
  sqlite::connection db = [this] {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    return std::move(*sqlite::connection::open(folder / "app.db", options));
  }();
  sqlite::statement_analyzer analyzer{db};
  sqlite::statement_cache cache{analyzer, 8};

  void use(const std::string& text) {
    REQUIRE(cache.find_or_prepare(sql_text{text}));
    cache.drop_if_large();
  }
};

std::string padded(int number, size_t bytes) {
  return "SELECT " + std::to_string(number) + " /*" + std::string(bytes, 'x') + "*/";
}

} // namespace

TEST_CASE("prepared statements are bounded in number and memory, and the latest ones stay") {
  fixture r;
  for (auto i = 0; i < 20; ++i)
    r.use(padded(i, 10));
  CHECK(r.cache.size() == 8);
  CHECK(r.cache.find(sql_text{padded(19, 10)}));
  for (auto i = 0; i < 20; ++i)
    r.use(padded(i, 300'000));
  CHECK(r.cache.bytes() <= sqlite::statement_cache::max_bytes);
  CHECK(r.cache.size() >= 4);
  CHECK(r.cache.find(sql_text{padded(19, 300'000)}));
  r.cache.clear();
  CHECK(r.cache.bytes() == 0);
}

TEST_CASE("a large statement is dropped after its use, and others stay") {
  fixture r;
  r.use(padded(1, 10));
  auto large = sql_text{padded(2, 2'000'000)};
  REQUIRE(r.cache.find_or_prepare(large));
  CHECK(r.cache.find(large));
  r.cache.drop_if_large();
  CHECK(!r.cache.find(large));
  CHECK(r.cache.find(sql_text{padded(1, 10)}));
  REQUIRE(r.cache.find_or_prepare(large));
  r.use(padded(3, 10));
  CHECK(!r.cache.find(large));
}

} // namespace sluice::test::statement_cache_test
