#include "runtime/capsule/capsule_authority.hpp"

#include "messages/error.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <sys/stat.h>

namespace sluice::test::capsule_authority_test {

using Catch::Contains;
using namespace std::chrono_literals;

namespace {

struct fixture {
  temp_dir folder;
  fake_clock time;
  std::string policy = std::string(32, 'p');
  std::unique_ptr<capsule_authority> aut = open();

  std::unique_ptr<capsule_authority> open() { return open(folder.path()); }

  std::unique_ptr<capsule_authority> open(const std::filesystem::path& at) {
    auto root = store_root::open(at);
    REQUIRE(root);
    REQUIRE(root->make_folder());
    return std::make_unique<capsule_authority>(*root, time);
  }

  static capsule_wish wish(std::string parent = {}) {
    return {"alice", tier::basic, {"app.db:add_*"}, 60s, std::move(parent)};
  }

  std::string issue(const capsule_wish& what = wish()) {
    auto issued = aut->issue(what, policy);
    REQUIRE(issued);
    return issued->text;
  }

  bool is_valid(const std::string& text) { return bool{aut->verify(text, policy)}; }

  std::string refusal(const std::string& text) {
    auto result = aut->verify(text, policy);
    REQUIRE(!result);
    CHECK(code_of(result.error()) == errc::capsule_invalid);
    return describe(result.error()).message;
  }

  std::string refusal(const capsule_wish& what) {
    auto result = aut->issue(what, policy);
    REQUIRE(!result);
    return describe(result.error()).message;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a capsule is valid until it expires, and in the next process", "[capsule]") {
  auto text = issue();
  auto found = aut->verify(text, policy);
  REQUIRE(found);
  CHECK((*found)->content.agent == "alice");
  CHECK((*found)->content.scopes == std::vector<std::string>{"app.db:add_*"});
  CHECK((*found)->hash == capsule_hash(text));
  time.advance(59s);
  aut = open();
  CHECK(is_valid(text));
  time.advance(1s);
  CHECK_THAT(refusal(text), Contains("(expired)"));
  aut = open();
  CHECK_THAT(refusal(text), Contains("(expired)"));
}

TEST_CASE_METHOD(fixture, "setting the wall clock back does not revive a capsule", "[capsule]") {
  auto text = issue();
  time.advance(61s);
  time.jump(-24h);
  CHECK_THAT(refusal(text), Contains("(expired)"));
  aut = open();
  CHECK_THAT(refusal(text), Contains("(expired)"));
  // After a boot only what was kept is known of the time that has passed.
  aut->verify(text, policy);
  CHECK(aut->should_keep_time());
  CHECK_FALSE(aut->should_keep_time());
  aut->keep_time();
  time.reboot();
  aut = open();
  CHECK_THAT(refusal(text), Contains("(expired)"));
}

TEST_CASE_METHOD(fixture, "setting the wall clock forward ends no capsule", "[capsule]") {
  auto text = issue();
  time.jump(24h);
  CHECK(is_valid(text));
  aut = open();
  CHECK(is_valid(text));
}

TEST_CASE_METHOD(fixture, "a revoked capsule and those derived from it stay revoked", "[capsule]") {
  auto first = issue();
  auto second = issue(wish(first));
  auto third = issue(wish(second));
  auto other = issue();
  REQUIRE(aut->revoke(second));
  for (auto process = 0; process < 2; ++process) {
    CHECK(is_valid(first));
    CHECK_THAT(refusal(second), Contains("(revoked)"));
    CHECK_THAT(refusal(third), Contains("(revoked)"));
    CHECK(is_valid(other));
    aut = open();
  }
  CHECK_THAT(refusal(wish(second)), Contains("(revoked)"));
  // Again has no effect, and one that has expired can be revoked, too.
  CHECK(aut->revoke(second));
  time.advance(2min);
  CHECK(aut->revoke(other));
}

TEST_CASE_METHOD(fixture, "a derived capsule may not be wider than its parent", "[capsule]") {
  auto parent = issue();
  auto with = [&](auto change) {
    auto result = wish(parent);
    change(result);
    return refusal(result);
  };
  CHECK_THAT(with([](auto& x) { x.agent = "bob"; }), Contains("(parent)"));
  CHECK_THAT(with([](auto& x) { x.tier = tier::core; }), Contains("(parent)"));
  CHECK_THAT(with([](auto& x) { x.scopes.emplace_back("app.db:drop_all"); }), Contains("(parent)"));
  CHECK_THAT(with([](auto& x) { x.lifetime = 61s; }), Contains("(parent)"));
  auto derived = parent;
  for (size_t i = 0; i < max_capsule_ancestors; ++i)
    derived = issue(wish(derived));
  CHECK(is_valid(derived));
  CHECK_THAT(refusal(wish(derived)), Contains("(parent)"));
  time.advance(60s);
  CHECK_THAT(refusal(wish(parent)), Contains("(expired)"));
}

TEST_CASE_METHOD(fixture, "a capsule of another policy is refused", "[capsule]") {
  auto text = issue();
  auto result = aut->verify(text, std::string(32, 'q'));
  REQUIRE(!result);
  CHECK_THAT(describe(result.error()).message, Contains("(policy)"));
  CHECK(is_valid(text));
}

TEST_CASE_METHOD(fixture, "a capsule of another store is refused, also of a copy", "[capsule]") {
  auto text = issue();
  temp_dir other;
  auto elsewhere = open(other.path());
  auto refused = [&] {
    auto result = elsewhere->verify(text, policy);
    REQUIRE(!result);
    return describe(result.error()).message;
  };
  CHECK_THAT(refused(), Contains("(store)"));
  REQUIRE(elsewhere->issue(wish(), policy));
  CHECK_THAT(refused(), Contains("(store)"));
  std::filesystem::remove_all(other / ".sluice");
  std::filesystem::copy(folder / ".sluice", other / ".sluice", std::filesystem::copy_options::recursive);
  elsewhere = open(other.path());
  CHECK_THAT(refused(), Contains("(store)"));
}

TEST_CASE_METHOD(fixture, "without the file of capsules no earlier capsule is valid", "[capsule]") {
  auto text = issue();
  REQUIRE(aut->revoke(text));
  std::filesystem::remove(folder / ".sluice/capsules.db");
  aut = open();
  CHECK_THAT(refusal(text), Contains("(store)"));
  issue();
  CHECK_THAT(refusal(text), Contains("(store)"));
}

TEST_CASE_METHOD(fixture, "with a damaged file of capsules every capsule is refused, and none is issued", "[capsule]") {
  auto text = issue();
  std::filesystem::resize_file(folder / ".sluice/capsules.db", 100);
  aut = open();
  CHECK_FALSE(is_valid(text));
  auto refused = aut->issue(wish(), policy);
  REQUIRE_FALSE(refused);
  CHECK_THAT(describe(refused.error()).message, Contains(".sluice/capsules.db"));
}

TEST_CASE_METHOD(fixture, "checking a capsule makes no file, and issuing one makes private ones", "[capsule]") {
  auto mode_of = [&](const char* name) {
    struct stat info {};
    return stat((folder / ".sluice" / name).c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
  };
  CHECK_THAT(refusal("sluice1.AAAA"), Contains("(form)"));
  CHECK(mode_of("capsules.db") == 0);
  CHECK(mode_of("audit.key") == 0);
  issue();
  CHECK(mode_of("capsules.db") == 0600);
  CHECK(mode_of("audit.key") == 0600);
}

TEST_CASE_METHOD(fixture, "a wish that no store can grant is refused by its field", "[capsule]") {
  auto with = [&](auto change) {
    auto result = wish();
    change(result);
    auto error = aut->issue(result, policy);
    REQUIRE(!error);
    CHECK(code_of(error.error()) == errc::invalid_request);
    return describe(error.error()).message;
  };
  CHECK_THAT(with([](auto& x) { x.agent.clear(); }), Contains("holder"));
  CHECK_THAT(with([](auto& x) { x.agent = "sluice:writer"; }), Contains("holder"));
  CHECK_THAT(with([](auto& x) { x.scopes.clear(); }), Contains("scopes"));
  CHECK_THAT(with([](auto& x) { x.scopes = {"app.db"}; }), Contains("scopes"));
  CHECK_THAT(with([](auto& x) { x.scopes = {":x"}; }), Contains("scopes"));
  CHECK_THAT(with([](auto& x) { x.scopes.assign(33, "a.db:b"); }), Contains("scopes"));
  CHECK_THAT(with([](auto& x) { x.lifetime = 0s; }), Contains("expires_ms"));
  CHECK_THAT(with([](auto& x) { x.lifetime = 721h; }), Contains("expires_ms"));
}

} // namespace sluice::test::capsule_authority_test
