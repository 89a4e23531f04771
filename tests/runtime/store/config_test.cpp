#include "runtime/store/config.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace sluice::test::config_test {

using Catch::Contains;

namespace {

struct environment {
  environment(const char* key, const char* text) : name(key) { setenv(key, text, 1); }
  environment(const environment&) = delete;
  ~environment() { unsetenv(name); }
  const char* name;
};

struct store {
  test::temp_dir dir;

  explicit store(const std::string& toml) { std::ofstream{dir / "sluice.toml"} << toml; }

  broker_config config() const {
    auto result = load_config(dir.path());
    INFO((result ? std::string{} : describe(result.error()).message));
    REQUIRE(result);
    return *result;
  }

  std::string complaint() const {
    auto result = load_config(dir.path());
    REQUIRE_FALSE(result);
    CHECK(code_of(result.error()) == errc::invalid_request);
    return describe(result.error()).message;
  }
};

} // namespace

TEST_CASE("without a file and an environment the defaults hold") {
  test::temp_dir dir;
  auto result = load_config(dir.path());
  REQUIRE(result);
  CHECK(result->root == dir.path());
  CHECK(result->write_deadline == std::chrono::seconds{30});
  CHECK(result->cache);
  CHECK(result->synchronous == synchronous_mode::full);
}

TEST_CASE("the file sets the settings that it has, each kind by its own type") {
  auto result = store{R"(
    write_deadline_ms = 1_000
    key_retention_h = 48
    queue_max_requests = 7
    cache = false
    synchronous = "normal"
    retry_factor = 3
    retry_jitter = 0.5
  )"}
                  .config();
  CHECK(result.write_deadline == std::chrono::seconds{1});
  CHECK(result.key_retention == std::chrono::hours{48});
  CHECK(result.queue_max_requests == 7);
  CHECK_FALSE(result.cache);
  CHECK(result.synchronous == synchronous_mode::normal);
  CHECK(result.retry_factor == 3.0);
  CHECK(result.retry_jitter == 0.5);
  CHECK(result.readers == 4);
}

TEST_CASE("the environment wins over the file") {
  store s{"readers = 8\ncache = true"};
  environment readers{"SLUICE_READERS", "2"};
  environment retention{"SLUICE_KEY_RETENTION_H", "12"};
  environment jitter{"SLUICE_RETRY_JITTER", "0.125"};
  environment synchronous{"SLUICE_SYNCHRONOUS", "normal"};
  auto result = s.config();
  CHECK(result.readers == 2);
  CHECK(result.key_retention == std::chrono::hours{12});
  CHECK(result.retry_jitter == 0.125);
  CHECK(result.synchronous == synchronous_mode::normal);
}

TEST_CASE("the cache is switched by on, off, 1, 0, true and false") {
  store s{""};
  for (const auto* text : {"off", "0", "false"}) {
    environment cache{"SLUICE_CACHE", text};
    CHECK_FALSE(s.config().cache);
  }
  for (const auto* text : {"on", "1", "true", ""}) {
    environment cache{"SLUICE_CACHE", text};
    CHECK(s.config().cache);
  }
  environment cache{"SLUICE_CACHE", "no"};
  CHECK_THAT(s.complaint(), Contains("SLUICE_CACHE=no") && Contains("true or false"));
}

TEST_CASE("a value out of its range is refused with key, value, range and line") {
  CHECK_THAT(store{"\nreaders = 65"}.complaint(),
             Contains("line 2") && Contains("readers = 65") && Contains("1 to 64"));
  CHECK_THAT(store{"readers = 0"}.complaint(), Contains("readers = 0"));
  CHECK_THAT(store{"readers = -1"}.complaint(), Contains("readers = -1"));
  CHECK_THAT(store{"retry_jitter = 1.5"}.complaint(), Contains("retry_jitter = 1.5") && Contains("0 to 1"));
  CHECK_THAT(store{"retry_jitter = nan"}.complaint(), Contains("retry_jitter"));
  CHECK_THAT(store{"retry_factor = 0.5"}.complaint(), Contains("1 to 10"));
  CHECK_THAT(store{"cache_max_bytes = 10"}.complaint(), Contains("65536"));
  CHECK_THAT(store{"busy_timeout_ms = 501"}.complaint(), Contains("0 to 500"));
  CHECK_THAT(store{"synchronous = \"off\""}.complaint(), Contains("\"full\" or \"normal\""));
}

TEST_CASE("a value of the wrong type is refused") {
  CHECK_THAT(store{"readers = \"4\""}.complaint(), Contains("readers = ") && Contains("whole number"));
  CHECK_THAT(store{"readers = 4.0"}.complaint(), Contains("whole number"));
  CHECK_THAT(store{"readers = [1]"}.complaint(), Contains("readers"));
  CHECK_THAT(store{"cache = 1"}.complaint(), Contains("true or false"));
  CHECK_THAT(store{"synchronous = true"}.complaint(), Contains("\"full\""));
  CHECK_THAT(store{"cache_ttl_ms = 2024-01-01"}.complaint(), Contains("cache_ttl_ms"));
  store s{""};
  environment readers{"SLUICE_READERS", "four"};
  CHECK_THAT(s.complaint(), Contains("SLUICE_READERS=four"));
}

TEST_CASE("a number with anything after it is refused in the environment") {
  store s{""};
  for (const auto* text : {"4x", " 4", "4 ", "99999999999999999999", "0x4"}) {
    environment readers{"SLUICE_READERS", text};
    CHECK_THAT(s.complaint(), Contains("SLUICE_READERS"));
  }
}

TEST_CASE("an unknown key is refused by name, and so is the root") {
  CHECK_THAT(store{"reader = 4"}.complaint(), Contains("'reader'") && Contains("readers"));
  CHECK_THAT(store{"root = \"/tmp\""}.complaint(), Contains("'root'"));
  CHECK_THAT(store{"[retry]\nbase_ms = 4"}.complaint(), Contains("'retry'"));
  CHECK_THAT(store{"write_deadline = 4"}.complaint(), Contains("'write_deadline'"));
}

TEST_CASE("a malformed file is refused with line and column") {
  CHECK_THAT(store{"readers = 4\ncache = = true"}.complaint(), Contains("sluice.toml, line 2, column"));
  CHECK_THAT(store{"readers = 4\nreaders = 5"}.complaint(), Contains("line 2"));
  CHECK_THAT(store{"synchronous = \"\xff\""}.complaint(), Contains("line 1"));
}

TEST_CASE("a file on which an assertion of the parser fails is refused like any other") {
  // Found by fuzzing: each met an assertion of the library, which ended the process.
  for (const auto* text : {"[=]", "[", "[\n", "[[ \x18x]]", "[.]", "a.b = {c = [}"})
    CHECK_THAT(store{text}.complaint(), Contains("sluice.toml, line 1, column"));
}

TEST_CASE("a folder in place of the file is refused") {
  test::temp_dir dir;
  std::filesystem::create_directory(dir / "sluice.toml");
  auto result = load_config(dir.path());
  REQUIRE_FALSE(result);
  CHECK(code_of(result.error()) == errc::invalid_request);
}

TEST_CASE("every documented default is accepted as it is documented, from the file and from the environment") {
  std::string toml;
  for (const auto& s : describe_settings())
    toml += s.key + " = " + s.default_value + "\n";
  store{toml}.config();
  for (const auto& s : describe_settings()) {
    auto text = s.default_value;
    std::erase(text, '"');
    environment variable{s.environment.c_str(), text.c_str()};
    store{""}.config();
  }
}

TEST_CASE("a database has the general settings except for its own, wherever they come from") {
  store s{R"(
    readers = 8
    [[database]]
    db = "./logs/../telemetry.db"
    synchronous = "normal"
    write_deadline_ms = 500
    [[database]]
    db = "app.db"
    readers = 1
  )"};
  environment rows{"SLUICE_READ_MAX_ROWS", "77"};
  environment readers{"SLUICE_READERS", "6"};
  auto result = s.config();
  const auto& telemetry = result.of("telemetry.db");
  CHECK(telemetry.synchronous == synchronous_mode::normal);
  CHECK(telemetry.write_deadline == std::chrono::milliseconds{500});
  CHECK(telemetry.readers == 6);
  CHECK(telemetry.read_max_rows == 77);
  CHECK(result.of("app.db").readers == 1);
  CHECK(result.of("app.db").synchronous == synchronous_mode::full);
  CHECK(result.of("other.db").readers == 6);
  CHECK(result.for_database("app.db").readers == 1);
  CHECK(result.for_database("app.db").root == result.root);
}

TEST_CASE("settings of a database are checked like all others") {
  CHECK_THAT(store{"[[database]]\nreaders = 2"}.complaint(), Contains("line 1") && Contains("lacks db"));
  CHECK_THAT(store{"[[database]]\ndb = \"a.db\"\nreaders = 0"}.complaint(),
             Contains("line 3") && Contains("readers = 0") && Contains("1 to 64"));
  CHECK_THAT(store{"[[database]]\ndb = \"a.db\"\nlinger_ms = 5"}.complaint(),
             Contains("line 3") && Contains("'linger_ms'") && Contains("synchronous"));
  CHECK_THAT(store{"[[database]]\ndb = \"a.db\"\nreader = 5"}.complaint(), Contains("'reader'"));
  CHECK_THAT(store{"[[database]]\ndb = \"../a.db\""}.complaint(), Contains("db = ") && Contains("store root"));
  CHECK_THAT(store{"[[database]]\ndb = 3"}.complaint(), Contains("database: db = 3"));
  CHECK_THAT(store{"[[database]]\ndb = \"a.db\"\n[[database]]\ndb = \"./a.db\""}.complaint(),
             Contains("line 3") && Contains("already"));
  CHECK_THAT(store{"[database]\ndb = \"a.db\""}.complaint(), Contains("[[database]]"));
}

TEST_CASE("every setting is documented once") {
  auto all = describe_settings();
  // One for each member of the struct but the root; a new member has to be added to the table.
  CHECK(all.size() == 61);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  CHECK(std::adjacent_find(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.key == b.key; })
        == all.end());
  for (const auto& s : all) {
    CHECK_FALSE(s.description.empty());
    CHECK_FALSE(s.range.empty());
    CHECK(s.environment.starts_with("SLUICE_"));
  }
}

} // namespace sluice::test::config_test
