#include "runtime/store/config.hpp"
#include "runtime/store/settings.hpp"

#include <catch2/catch.hpp>

#include <limits>

namespace sluice::test::config_check_test {

using Catch::Contains;
using namespace std::chrono_literals;

namespace {

std::string complaint(const broker_config& config) {
  auto reason = check(config);
  REQUIRE(reason);
  CHECK(code_of(reason) == errc::invalid_request);
  return describe(reason).message;
}

template <class Change> std::string complaint_after(Change change) {
  broker_config config;
  change(config);
  return complaint(config);
}

// An invalid value of a setting; empty for a switch, which has none.
bool spoil(broker_config& config, const setting& s, bool too_large) {
  auto set = [&](auto member) {
    using type = std::decay_t<decltype(config.*member)>;
    if constexpr (std::is_same_v<type, bool>)
      return false;
    else if constexpr (std::is_same_v<type, synchronous_mode>)
      config.*member = static_cast<synchronous_mode>(7);
    else if constexpr (std::is_same_v<type, uint64_t>)
      // Without a sign nothing is below 0.
      config.*member = !too_large && s.min > 0 ? uint64_t{0} : std::numeric_limits<uint64_t>::max();
    else if constexpr (std::is_same_v<type, double>)
      config.*member = too_large ? s.max + 1 : std::numeric_limits<double>::quiet_NaN();
    else
      config.*member = too_large ? type::max() : type{-1};
    return true;
  };
  return std::visit(set, s.member);
}

} // namespace

TEST_CASE("the defaults and both ends of each range are accepted") {
  broker_config config;
  CHECK_FALSE(check(config));
  CHECK_FALSE(check_for_locked(config));
  for (const auto& s : all_settings())
    for (auto end : {s.min, s.max}) {
      broker_config bounded_config;
      if (assign(bounded_config, s, static_cast<int64_t>(end)))
        CHECK_FALSE(check(bounded_config));
    }
}

TEST_CASE("each invalid setting of a host is refused with its name") {
  for (const auto& s : all_settings())
    for (auto too_large : {false, true}) {
      INFO(s.key);
      broker_config config;
      if (!spoil(config, s, too_large))
        continue;
      CHECK_THAT(complaint(config), Catch::StartsWith(std::string{s.key} + " = ") && Contains(range_of(s)));
      CHECK((s.key == "lock_wait_ms") == !check_for_locked(config));
      if (!s.per_database)
        continue;
      broker_config one;
      one.databases["app.db"] = config;
      CHECK_THAT(complaint(one), Contains("app.db: " + std::string{s.key} + " = "));
    }
}

TEST_CASE("an empty root is refused, unless the store is already locked") {
  CHECK_THAT(complaint_after([](auto& x) { x.root.clear(); }), Contains("root is empty"));
  CHECK_THAT(complaint_after([](auto& x) { x.root = std::string{"/tmp\0/x", 7}; }), Contains("root"));
  broker_config config;
  config.root.clear();
  CHECK_FALSE(check_for_locked(config));
}

TEST_CASE("settings for databases and tables that can never be found are refused") {
  for (const auto* name : {"", ".", "../a.db", "/a.db", "folder/", "./a.db", "a//b.db"}) {
    INFO(name);
    CHECK_THAT(complaint_after([&](auto& x) { x.databases[name] = {}; }), Contains("databases: db '"));
  }
  CHECK_THAT(complaint_after([](auto& x) { x.databases["./a.db"] = {}; }), Contains("must be 'a.db'"));
  auto table = [](buffered_table one) { return complaint_after([&](auto& x) { x.buffer_tables = {one}; }); };
  CHECK_THAT(table({"", "t"}), Contains("buffer_tables: db ''"));
  CHECK_THAT(table({"a.db", ""}), Contains("has no name"));
  CHECK_THAT(table({"a.db", "t", 0ms}), Contains("interval_ms = 0"));
  CHECK_THAT(table({"a.db", "t", -1ms}), Contains("interval_ms = -1"));
  CHECK_THAT(table({"a.db", "t", 1s, 1001}), Contains("priority = 1001"));
  CHECK_THAT(complaint_after([](auto& each) {
               each.buffer_tables = {{"a.db", "t"}, {"./a.db", "T"}};
             }),
             Contains("is there already"));
}

} // namespace sluice::test::config_check_test
