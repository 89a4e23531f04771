#include "tests/support/read_fixture.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>

namespace sluice::test::result_cache_test {

using namespace std::chrono_literals;

namespace {

struct fixture {
  explicit fixture(result_cache_settings settings = {}) : hits(settings) {}

  fake_clock time;
  database_context context{"app.db"};
  result_cache hits;

  dependencies on(const std::string& table) { return {&context.versions().changed_at(table)}; }

  void put(const read_request& request, value cell = 1, const std::string& table = "t") {
    read_result result;
    result.rows = one_cell(std::move(cell));
    result.as_of_seq = 5;
    hits.insert(context, request, request.limits, result, on(table), context.versions().now(), time.now());
  }

  std::optional<read_result> get(const read_request& request) {
    return hits.find(context, request, request.limits, time.now());
  }

  // Looks at every entry.
  size_t sweep() {
    hits.suspect_all();
    return hits.sweep(time.now(), SIZE_MAX);
  }

  cache_status status() const {
    cache_status result;
    hits.describe(result);
    return result;
  }
};

read_request with(parameters params) { return a_read("a", "SELECT ?", std::move(params)); }

} // namespace

TEST_CASE("a cached answer is returned with the source cache") {
  fixture f;
  f.put(a_read("a", "q"), 42);
  auto found = f.get(a_read("b", "q"));
  REQUIRE(found);
  CHECK(*found->rows->at(0, 0).integer() == 42);
  CHECK(found->source == read_source::cache);
  CHECK(found->as_of_seq == 5);
  CHECK(!f.get(a_read("b", "another")));
}

TEST_CASE("a stale hit is impossible before any message has removed the entry") {
  fixture f;
  f.put(a_read("a", "q"));
  SECTION("once the table has changed") {
    commit_to(f.context.versions(), {"T"});
    CHECK(!f.get(a_read("a", "q")));
  }
  SECTION("while a COMMIT that touches the table is in its window, and after") {
    std::vector<std::string> tables{"t"};
    commit_window window{f.context.versions(), tables, false};
    CHECK(!f.get(a_read("a", "q")));
    window.close();
    CHECK(!f.get(a_read("a", "q")));
  }
  SECTION("once the schema has changed") {
    commit_to(f.context.versions(), {}, 0, true);
    CHECK(!f.get(a_read("a", "q")));
  }
  SECTION("once an external process has committed") {
    f.context.versions().raise_everything();
    CHECK(!f.get(a_read("a", "q")));
  }
  SECTION("but a commit to another table leaves it alone") {
    commit_to(f.context.versions(), {"other"});
    CHECK(f.get(a_read("a", "q")));
  }
}

TEST_CASE("an answer is not cached when its table changed during the read") {
  fixture f;
  auto request = a_read("a", "q");
  auto began = f.context.versions().now();
  commit_to(f.context.versions(), {"t"});
  f.hits.insert(f.context, request, request.limits, {}, f.on("t"), began, f.time.now());
  CHECK(f.status().entries == 0);
}

TEST_CASE("an answer is cached until its TTL") {
  fixture f;
  f.put(a_read("a", "q"));
  f.time.advance(4'999ms);
  CHECK(f.get(a_read("a", "q")));
  f.time.advance(1ms);
  CHECK(!f.get(a_read("a", "q")));
}

TEST_CASE("a request may bound the age of a cached answer, up to the TTL") {
  fixture f{{.ttl = 10s}};
  auto bounded = [](std::chrono::milliseconds age) {
    auto request = a_read("a", "q");
    request.max_age = age;
    return request;
  };
  f.put(a_read("a", "q"));
  f.time.advance(3s);
  CHECK(f.get(bounded(3001ms)));
  CHECK_FALSE(f.get(bounded(3s)));
  CHECK(f.get(bounded(0ms)));
  f.time.advance(7s);
  CHECK_FALSE(f.get(bounded(1h)));
}

TEST_CASE("a disabled cache stores nothing") {
  result_cache_settings off;
  off.enabled = false;
  fixture f{off};
  f.put(a_read("a", "q"));
  CHECK(!f.get(a_read("a", "q")));
  CHECK(f.status().entries == 0);
  CHECK(!f.status().enabled);
}

TEST_CASE("parameters of different types have different entries") {
  fixture f;
  const std::vector<value> likes{1, 1.0, "1", blob{"1"}, nullptr, 0};
  for (size_t i = 0; i < likes.size(); ++i)
    f.put(with({likes[i]}), static_cast<int64_t>(i));
  for (size_t i = 0; i < likes.size(); ++i) {
    auto found = f.get(with({likes[i]}));
    REQUIRE(found);
    CHECK(*found->rows->at(0, 0).integer() == static_cast<int64_t>(i));
  }
  f.put(with(parameters{std::vector<named_value>{{"a", 1}}}), 100);
  CHECK(*f.get(with({1}))->rows->at(0, 0).integer() == 0);
  CHECK(!f.get(with(parameters{std::vector<named_value>{{"b", 1}}})));
  CHECK(!f.get(with({1, 1})));
}

TEST_CASE("limits that cut an answer are part of the key, the time-out is not") {
  fixture f;
  f.put(a_read("a", "q"));
  auto request = a_read("a", "q");
  request.limits.timeout = 1ms;
  CHECK(f.get(request));
  request.limits.max_rows = 1;
  CHECK(!f.get(request));
  request = a_read("a", "q");
  request.limits.max_bytes = 1;
  CHECK(!f.get(request));
}

TEST_CASE("answers of different databases are separate") {
  fixture f;
  f.put(a_read("a", "q"));
  database_context other{"app.db"};
  auto request = a_read("a", "q");
  CHECK(!f.hits.find(other, request, request.limits, f.time.now()));
}

TEST_CASE("an entry may have an eighth of the bytes, and a larger one is not stored") {
  result_cache_settings small;
  small.max_bytes = 8 * 4'096;
  fixture f{small};
  f.put(a_read("a", "q"), std::string(3'000, 'x'));
  CHECK(f.get(a_read("a", "q")));
  f.put(a_read("a", "large"), std::string(4'096, 'x'));
  CHECK(!f.get(a_read("a", "large")));
  CHECK(f.get(a_read("a", "q")));
}

TEST_CASE("bytes stay within their bound, and the most recently used entry stays") {
  result_cache_settings small;
  small.max_bytes = 64 << 10;
  fixture f{small};
  f.put(a_read("a", "favourite"));
  for (auto i = 0; i < 1'000; ++i) {
    f.put(a_read("a", "q" + std::to_string(i)), std::string(100, 'x'));
    REQUIRE(f.get(a_read("a", "favourite")));
    CHECK(f.status().bytes <= small.max_bytes);
  }
  CHECK(f.status().evicted > 800);
  CHECK(f.status().entries > 20);
  CHECK(f.status().entries + f.status().evicted == 1'001);
  CHECK(f.get(a_read("a", "q999")));
}

TEST_CASE("inserting an answer again replaces the older one") {
  fixture f;
  f.put(a_read("a", "q"), 1);
  auto bytes = f.status().bytes;
  f.put(a_read("a", "q"), 2);
  CHECK(f.status().entries == 1);
  CHECK(f.status().bytes == bytes);
  CHECK(*f.get(a_read("a", "q"))->rows->at(0, 0).integer() == 2);
}

TEST_CASE("a NaN parameter, which is not equal to itself, causes no error") {
  result_cache_settings small;
  small.max_bytes = 64 << 10;
  fixture f{small};
  for (auto i = 0; i < 200; ++i)
    f.put(with({std::nan(""), "x"}), std::string(1'000, 'x'));
  CHECK(f.status().bytes <= small.max_bytes);
  f.hits.clear();
  CHECK(f.status().entries == 0);
  CHECK(f.status().bytes == 0);
}

TEST_CASE("sweeping removes stale and expired entries, and only those") {
  fixture f;
  f.put(a_read("a", "old"));
  f.time.advance(3s);
  f.put(a_read("a", "stale"), 1, "changed");
  f.put(a_read("a", "good"));
  commit_to(f.context.versions(), {"changed"});
  f.time.advance(3s);
  CHECK(f.sweep() == 2);
  CHECK(f.status().entries == 1);
  CHECK(f.status().invalidated == 2);
  CHECK(f.get(a_read("a", "good")));
}

TEST_CASE("sweeps of a few entries each find every expired and every stale one, and then look at none") {
  fixture f;
  auto put_some = [&](const std::string& sql, const std::string& table) {
    for (auto i = 0; i < 50; ++i)
      f.put(a_read("a", sql + std::to_string(i)), i, table);
  };
  put_some("old", "t");
  f.time.advance(3s);
  put_some("stale", "changed");
  put_some("good", "t");
  commit_to(f.context.versions(), {"changed"});
  f.time.advance(3s);
  f.hits.suspect_all();
  size_t removed = 0;
  for (auto i = 0; i < 50; ++i) {
    auto found = f.hits.sweep(f.time.now(), 3);
    CHECK(found <= 3);
    removed += found;
    // What is inserted meanwhile is not stale, and must not hide what is.
    f.put(a_read("a", "new" + std::to_string(i)));
    f.put(a_read("a", "good" + std::to_string(i)));
  }
  while (f.hits.has_suspects())
    removed += f.hits.sweep(f.time.now(), 3);
  CHECK(removed == 100);
  CHECK(f.status().invalidated == 100);
  CHECK(f.status().entries == 100);
  commit_to(f.context.versions(), {"t"});
  CHECK(f.hits.sweep(f.time.now(), SIZE_MAX) == 0);
  CHECK(f.sweep() == 100);
}

TEST_CASE("suspicion that comes again during a sweep includes the entries that it has looked at") {
  fixture f;
  for (auto i = 0; i < 40; ++i)
    f.put(a_read("a", "q" + std::to_string(i)), i, i % 2 == 0 ? "even" : "odd");
  commit_to(f.context.versions(), {"even"});
  f.hits.suspect_all();
  size_t removed = 0;
  // Each begins with another part of the cache.
  for (auto i = 0; i < 16; ++i)
    removed += f.hits.sweep(f.time.now(), 1);
  commit_to(f.context.versions(), {"odd"});
  f.hits.suspect_all();
  auto inserted = 0;
  while (f.hits.has_suspects()) {
    for (auto i = 0; i < 10; ++i)
      f.put(a_read("a", "new" + std::to_string(inserted++)));
    removed += f.hits.sweep(f.time.now(), 20);
  }
  CHECK(removed == 40);
  CHECK(f.status().entries == static_cast<uint64_t>(inserted));
}

TEST_CASE("the hits of some entries at a time are reported, each once, also when their entry was removed") {
  fixture f;
  for (auto i = 0; i < 30; ++i) {
    f.put(a_read("x", "q" + std::to_string(i)), i, i % 3 == 0 ? "changed" : "t");
    CHECK(f.get(a_read("a", "q" + std::to_string(i))));
  }
  commit_to(f.context.versions(), {"changed"});
  CHECK(f.sweep() == 10);
  std::map<std::string, uint32_t> counts;
  for (auto expected : {12, 12, 6, 0}) {
    auto records = f.hits.take_hit_records(1, 12);
    CHECK(records.size() == static_cast<size_t>(expected));
    for (const auto& record : records)
      counts[record.key] += record.count;
  }
  CHECK(counts.size() == 30);
  for (const auto& [key, count] : counts)
    CHECK(count == 1);
}

TEST_CASE("hits are counted per agent and statement, also after their entry was removed, and reported once") {
  fixture f;
  f.put(a_read("x", "q"));
  f.put(a_read("x", "replaced"));
  f.put(a_read("x", "stale"), 1, "changed");
  CHECK(f.get(a_read("a", "q")));
  CHECK(f.get(a_read("a", "q")));
  for (auto* sql : {"q", "replaced", "stale"})
    f.get(a_read("b", sql));
  f.put(a_read("x", "replaced"));
  commit_to(f.context.versions(), {"changed"});
  f.sweep();
  auto records = f.hits.take_hit_records(77);
  std::map<std::pair<std::string, std::string>, uint32_t> counts;
  for (const auto& r : records) {
    CHECK(r.type == request_type::cache_hit);
    CHECK(r.ts_us == 77);
    CHECK(r.db == "app.db");
    CHECK(r.commit_seq == 5);
    counts[{r.agent, r.key}] += r.count;
  }
  auto key_of = [](const char* sql) { return read_fingerprint(a_read("", sql).query); };
  CHECK(counts.size() == 4);
  CHECK(counts[{"a", key_of("q")}] == 2);
  CHECK(counts[{"b", key_of("q")}] == 1);
  CHECK(counts[{"b", key_of("replaced")}] == 1);
  CHECK(counts[{"b", key_of("stale")}] == 1);
  CHECK(f.hits.take_hit_records(78).empty());
  CHECK(f.get(a_read("a", "q")));
  CHECK(f.status().hits == 6);
}

TEST_CASE("a commit to a table of a cached answer is reported as relevant to the cache") {
  fixture f;
  auto concerns_kept = [&f](const std::vector<std::string>& tables) {
    commit_window window{f.context.versions(), tables, false};
    window.close();
    return window.concerns_kept();
  };
  CHECK_FALSE(concerns_kept({"read"}));
  f.put(a_read("x", "q"), 1, "read");
  CHECK_FALSE(concerns_kept({"other"}));
  CHECK(concerns_kept({"other", "read"}));
  CHECK_FALSE(concerns_kept({"read"}));
}

} // namespace sluice::test::result_cache_test
