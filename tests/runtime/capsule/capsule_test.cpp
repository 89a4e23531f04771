#include "runtime/capsule/capsule.hpp"

#include "messages/error.hpp"
#include "runtime/json/base64.hpp"
#include "tests/runtime/capsule/capsule_fixture.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <random>

namespace sluice::test::capsule_test {

using Catch::Contains;

namespace {

std::string refused_for(const caf::error& error) {
  REQUIRE(error);
  CHECK(code_of(error) == errc::capsule_invalid);
  return describe(error).message;
}

template <class T> std::string refused_for(const caf::expected<T>& result) {
  REQUIRE(!result);
  return refused_for(result.error());
}

std::string key_of(const signing_key& key) {
  const auto& bytes = key.verifying_key();
  return {bytes.begin(), bytes.end()};
}

// Whether the text is a capsule that this key has signed.
bool is_accepted(std::string_view text, const signing_key& key) {
  auto parsed = parse_capsule(text);
  return parsed && is_signed_by(*parsed, key_of(key));
}

} // namespace

TEST_CASE_METHOD(key_fixture, "the text of a capsule is read back as it was", "[capsule]") {
  auto grant = example();
  auto text = seal(grant, key);
  CHECK_THAT(text, Catch::StartsWith("sluice1."));
  CHECK(text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
        == std::string::npos);
  auto parsed = parse_capsule(text);
  REQUIRE(parsed);
  CHECK(parsed->content == grant);
  CHECK(is_signed_by(*parsed, key_of(key)));
  CHECK_FALSE(is_signed_by(*parsed, key_of(other_key)));
}

TEST_CASE_METHOD(key_fixture, "a capsule with any bit flipped is refused", "[capsule]") {
  auto text = seal(example(), key);
  REQUIRE(is_accepted(text, key));
  for (size_t i = 0; i < text.size(); ++i)
    for (auto bit = 0; bit < 8; ++bit) {
      auto changed = text;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      INFO("byte " << i << ", bit " << bit);
      CHECK_FALSE(is_accepted(changed, key));
    }
  // The same for what Base64 stands for.
  auto bytes = *from_base64url(text.substr(8));
  for (size_t i = 0; i < bytes.size(); ++i)
    for (auto bit = 0; bit < 8; ++bit) {
      auto changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      INFO("byte " << i << ", bit " << bit);
      CHECK_FALSE(is_accepted("sluice1." + to_base64url(changed), key));
    }
}

TEST_CASE_METHOD(key_fixture, "a capsule has one form: cut, longer and differently written ones are refused",
                 "[capsule]") {
  auto text = seal(example(), key);
  for (size_t size = 0; size < text.size(); ++size)
    CHECK_FALSE(parse_capsule(std::string_view{text}.substr(0, size)));
  for (const auto* more : {" ", "\n", "=", "==", "A", "AA", "AAAA", "."})
    CHECK_FALSE(parse_capsule(text + more));
  CHECK_FALSE(parse_capsule(" " + text));
  CHECK_FALSE(parse_capsule("sluice2." + text.substr(8)));
  CHECK_FALSE(parse_capsule("SLUICE1." + text.substr(8)));
  CHECK_FALSE(parse_capsule("sluice1." + to_base64(*from_base64url(text.substr(8)))));
  CHECK_THAT(refused_for(parse_capsule("sluice1." + std::string(max_capsule_bytes, 'A'))), Contains("form"));
}

TEST_CASE_METHOD(key_fixture, "a number in a longer encoding than necessary is refused", "[capsule]") {
  auto bytes = *from_base64url(seal(example(), key).substr(8));
  // The head of the array of nine fields, in two bytes.
  REQUIRE(static_cast<unsigned char>(bytes[0]) == 0x89);
  CHECK_FALSE(parse_capsule("sluice1." + to_base64url("\x98\x09" + bytes.substr(1))));
}

TEST_CASE_METHOD(key_fixture, "capsules out of bounds are refused even when they are signed", "[capsule]") {
  std::vector<std::function<void(capsule&)>> changes{
    [](capsule& x) { x.id.pop_back(); },
    [](capsule& x) { x.ancestors.assign(max_capsule_ancestors + 1, x.id); },
    [](capsule& x) { x.ancestors.assign(1, "short"); },
    [](capsule& x) { x.agent.clear(); },
    [](capsule& x) { x.agent = "sluice:writer"; },
    [](capsule& x) { x.agent = "a\nb"; },
    [](capsule& x) { x.tier = static_cast<tier>(4); },
    [](capsule& x) { x.scopes.clear(); },
    [](capsule& x) { x.scopes.assign(max_capsule_scopes + 1, "a.db:b"); },
    [](capsule& x) { x.scopes.assign(1, "no-colon"); },
    [](capsule& x) { x.expires_us = x.issued_us; },
    [](capsule& x) { x.issued_us = 0; },
    [](capsule& x) { x.expires_us = x.issued_us + max_capsule_lifetime_us + 1; },
    [](capsule& x) { x.policy.pop_back(); },
    [](capsule& x) { x.store.push_back('x'); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    auto grant = example();
    changes[i](grant);
    INFO("change " << i);
    CHECK_THAT(refused_for(parse_capsule(seal(grant, key))), Contains("form"));
  }
}

TEST_CASE_METHOD(key_fixture, "arbitrary bytes are no capsule", "[capsule]") {
  std::mt19937 random{1};
  for (auto round = 0; round < 2'000; ++round) {
    std::string bytes(random() % 400, '\0');
    for (auto& byte : bytes)
      byte = static_cast<char>(random());
    CHECK_FALSE(parse_capsule(bytes));
    CHECK_FALSE(parse_capsule("sluice1." + to_base64url(bytes)));
  }
}

TEST_CASE_METHOD(key_fixture, "a capsule is for its agents, databases, operations and tier", "[capsule]") {
  auto grant = example();
  CHECK_FALSE(check_use(grant, {"planner-1", "app.db", "add_note", tier::basic}));
  CHECK_FALSE(check_use(grant, {"planner-1", "app.db", "find_notes", tier::untrusted}));
  CHECK_THAT(refused_for(check_use(grant, {"other", "app.db", "add_note", tier::basic})), Contains("(agent)"));
  CHECK_THAT(refused_for(check_use(grant, {"planner-1", "b.db", "add_note", tier::basic})), Contains("(database)"));
  CHECK_THAT(refused_for(check_use(grant, {"planner-1", "app.db", "drop_all", tier::basic})), Contains("(operation)"));
  CHECK_THAT(refused_for(check_use(grant, {"planner-1", "app.db", "add_note", tier::verified})), Contains("(tier)"));
}

TEST_CASE_METHOD(key_fixture, "a star stands for operations, and not for raw SQL", "[capsule]") {
  auto grant = example();
  grant.scopes = {"app.db:*"};
  CHECK_FALSE(check_use(grant, {"planner-1", "app.db", "anything", tier::basic}));
  CHECK_THAT(refused_for(check_use(grant, {"planner-1", "app.db", "sluice_write", tier::basic})),
             Contains("(operation)"));
  auto raw = grant;
  raw.scopes = {"app.db:sluice_write"};
  CHECK_FALSE(check_use(raw, {"planner-1", "app.db", "sluice_write", tier::basic}));
  CHECK_THAT(refused_for(check_narrower(grant, raw)), Contains("wider scopes"));
}

TEST_CASE_METHOD(key_fixture, "a derived capsule may only be narrower", "[capsule]") {
  const auto parent = example();
  CHECK_FALSE(check_narrower(parent, parent));
  auto narrower = parent;
  narrower.agent = "planner-1";
  narrower.tier = tier::untrusted;
  narrower.scopes = {"app.db:find_a*", "app.db:add_note"};
  narrower.expires_us -= 1;
  CHECK_FALSE(check_narrower(parent, narrower));
  auto with = [&](auto change) {
    auto result = parent;
    change(result);
    return refused_for(check_narrower(parent, result));
  };
  CHECK_THAT(with([](capsule& x) { x.agent = "*"; }), Contains("(parent)") && Contains("other agents"));
  CHECK_THAT(with([](capsule& x) { x.agent = "planner*"; }), Contains("other agents"));
  CHECK_THAT(with([](capsule& x) { x.tier = tier::verified; }), Contains("a higher tier"));
  CHECK_THAT(with([](capsule& x) { x.scopes.emplace_back("app.db:find*"); }), Contains("wider scopes"));
  CHECK_THAT(with([](capsule& x) { x.scopes = {"*:add_note"}; }), Contains("wider scopes"));
  CHECK_THAT(with([](capsule& x) { ++x.expires_us; }), Contains("a later expiry"));
}

// Whatever a derived capsule allows, its parent allows.
TEST_CASE_METHOD(key_fixture, "no derived capsule that is accepted allows more than its parent", "[capsule]") {
  std::mt19937 random{7};
  auto text = [&] {
    std::string result;
    for (auto left = 1 + random() % 4; left > 0; --left)
      result += "ab*"[random() % 3];
    return result;
  };
  auto plain = [&] {
    auto result = text();
    std::replace(result.begin(), result.end(), '*', 'a');
    return result;
  };
  auto accepted = 0;
  for (auto round = 0; round < 20'000; ++round) {
    auto parent = example();
    parent.agent = text();
    parent.scopes = {text() + ":" + text(), text() + ":" + text()};
    auto derived = parent;
    derived.agent = text();
    derived.scopes = {text() + ":" + text()};
    if (check_narrower(parent, derived))
      continue;
    ++accepted;
    auto agent = plain();
    auto db = plain();
    auto operation = plain();
    capsule_use use{agent, db, operation, tier::basic};
    INFO(derived.agent << " " << derived.scopes[0] << " under " << parent.agent << " " << parent.scopes[0] << " "
                       << parent.scopes[1] << " for " << agent << " " << db << ":" << operation);
    if (!check_use(derived, use))
      CHECK_FALSE(check_use(parent, use));
  }
  CHECK(accepted > 200);
}

} // namespace sluice::test::capsule_test
