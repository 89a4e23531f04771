#include "runtime/capsule/capsule.hpp"

#include "actors/base/name_rules.hpp"
#include "messages/error.hpp"
#include "runtime/json/base64.hpp"
#include "runtime/policy/name_pattern.hpp"
#include "runtime/policy/policy_rules.hpp"
#include "runtime/sqlite/ledger/cbor_reader.hpp"
#include "runtime/sqlite/ledger/cbor_writer.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice {

namespace {

constexpr std::string_view capsule_prefix = "sluice1.";
// The key also signs anchors and proofs: no message of one kind is one of another.
constexpr std::string_view capsule_purpose{"sluice capsule 1\0", 17};
constexpr uint64_t capsule_fields = 9;
constexpr size_t id_bytes = 16;
constexpr size_t policy_hash_bytes = 32;
constexpr size_t signature_bytes = std::tuple_size_v<signing_key::signature>;

template <class Bytes> std::string_view chars_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string encode_capsule(const capsule& content) {
  std::string out;
  sqlite::cbor_writer to{out};
  to.array(capsule_fields);
  to.bytes(content.id);
  to.array(content.ancestors.size());
  for (const auto& each : content.ancestors)
    to.bytes(each);
  to.text(content.agent);
  to.integer(static_cast<int64_t>(content.tier));
  to.array(content.scopes.size());
  for (const auto& each : content.scopes)
    to.text(each);
  to.integer(content.issued_us);
  to.integer(content.expires_us);
  to.bytes(content.policy);
  to.bytes(content.store);
  return out;
}

bool is_in_bounds(const capsule& content) {
  auto is_id = [](const std::string& id) { return id.size() == id_bytes; };
  return is_id(content.id) && content.ancestors.size() <= max_capsule_ancestors
         && std::all_of(content.ancestors.begin(), content.ancestors.end(), is_id) && !content.agent.empty()
         && !agent_name_error(content.agent) && content.tier <= tier::core && !content.scopes.empty()
         && content.scopes.size() <= max_capsule_scopes
         && std::none_of(content.scopes.begin(), content.scopes.end(), scope_error) && content.issued_us > 0
         && content.expires_us > content.issued_us && content.expires_us - content.issued_us <= max_capsule_lifetime_us
         && content.policy.size() == policy_hash_bytes && content.store.size() == id_bytes;
}

// Nothing if `bytes` are not a capsule in the only form in which `encode_capsule` writes it.
std::optional<capsule> decode_capsule(std::string_view bytes) {
  sqlite::cbor_reader from{bytes};
  capsule result;
  if (from.array() != capsule_fields)
    return std::nullopt;
  result.id = from.bytes();
  auto ancestors = from.array();
  if (ancestors > max_capsule_ancestors)
    return std::nullopt;
  while (ancestors-- > 0)
    result.ancestors.emplace_back(from.bytes());
  result.agent = from.text();
  auto level = from.integer();
  if (level < 0 || level > static_cast<int64_t>(tier::core))
    return std::nullopt;
  result.tier = static_cast<tier>(level);
  auto scopes = from.array();
  if (scopes > max_capsule_scopes)
    return std::nullopt;
  while (scopes-- > 0)
    result.scopes.emplace_back(from.text());
  result.issued_us = from.integer();
  result.expires_us = from.integer();
  result.policy = from.bytes();
  result.store = from.bytes();
  if (from.has_failed() || !from.at_end() || !is_in_bounds(result) || encode_capsule(result) != bytes)
    return std::nullopt;
  return result;
}

struct scope_parts {
  std::string_view db;
  std::string_view operation;
};

scope_parts parts_of(std::string_view scope) {
  auto colon = scope.rfind(':');
  return {scope.substr(0, colon), scope.substr(colon + 1)};
}

bool covers(std::string_view scope, const capsule_use& use) {
  auto [db, operation] = parts_of(scope);
  return matches(db, use.db) && matches_operation(operation, use.operation);
}

bool covers(std::string_view wide, std::string_view narrow) {
  auto [wide_db, wide_operation] = parts_of(wide);
  auto [db, operation] = parts_of(narrow);
  return matches(wide_db, db) && matches_operation(wide_operation, operation);
}

} // namespace

bool matches_operation(std::string_view pattern, std::string_view operation) noexcept {
  return matches(pattern, operation)
         && (!operation.starts_with(reserved_operations) || pattern.starts_with(reserved_operations));
}

caf::error capsule_refusal(std::string_view check, std::string_view reason) {
  return make_error(errc::capsule_invalid, fmt::format("capsule refused ({}): {}", check, reason));
}

caf::error scope_error(std::string_view scope) {
  if (scope.size() <= max_scope_bytes && read_scope(scope))
    return {};
  return make_error(errc::invalid_request, fmt::format("scopes has '{}', which is no scope; write DB:OPERATION",
                                                       usable_agent(std::string{scope})));
}

std::string seal(const capsule& content, const signing_key& key) {
  auto message = std::string{capsule_purpose} + encode_capsule(content);
  auto signature = key.sign(message);
  auto bytes = message.substr(capsule_purpose.size());
  bytes += chars_of(signature);
  return std::string{capsule_prefix} + to_base64url(bytes);
}

caf::expected<signed_capsule> parse_capsule(std::string_view text) {
  auto refuse = [](std::string_view reason) { return capsule_refusal("form", reason); };
  if (text.size() > max_capsule_bytes)
    return refuse("it has more than 8 KiB");
  if (!text.starts_with(capsule_prefix))
    return refuse("it does not begin with 'sluice1.'");
  auto bytes = from_base64url(text.substr(capsule_prefix.size()));
  if (!bytes || bytes->size() <= signature_bytes)
    return refuse("it is damaged or cut");
  signed_capsule result;
  result.signature = bytes->substr(bytes->size() - signature_bytes);
  bytes->resize(bytes->size() - signature_bytes);
  auto content = decode_capsule(*bytes);
  if (!content)
    return refuse("it is damaged or cut");
  result.content = std::move(*content);
  result.message = std::string{capsule_purpose} + *bytes;
  return result;
}

bool is_signed_by(const signed_capsule& capsule, std::string_view key) {
  return is_signed_by(key, capsule.message, capsule.signature);
}

std::string capsule_hash(std::string_view text) {
  sqlite::chain_hash hash;
  auto digest = hash.add(text).finish();
  return std::string{sqlite::bytes_of(digest)};
}

bool may_use(const capsule& grant, std::string_view agent) noexcept { return matches(grant.agent, agent); }

bool covers_database(const capsule& grant, std::string_view db) noexcept {
  return std::any_of(grant.scopes.begin(), grant.scopes.end(),
                     [&](const std::string& scope) { return matches(parts_of(scope).db, db); });
}

caf::error check_use(const capsule& grant, const capsule_use& use) {
  if (!may_use(grant, use.agent))
    return capsule_refusal("agent", fmt::format("it is for '{}', not for '{}'", grant.agent, use.agent));
  if (!covers_database(grant, use.db))
    return capsule_refusal("database", fmt::format("no scope of it covers the database '{}'", use.db));
  auto has_all = [&](const std::string& scope) { return covers(scope, use); };
  if (std::none_of(grant.scopes.begin(), grant.scopes.end(), has_all))
    return capsule_refusal("operation", fmt::format("no scope of it covers '{}:{}'", use.db, use.operation));
  if (grant.tier < use.tier)
    return capsule_refusal("tier", fmt::format("it has the tier {}, and '{}' needs {}", to_string(grant.tier),
                                               use.operation, to_string(use.tier)));
  return {};
}

caf::error check_narrower(const capsule& parent, const capsule& derived) {
  auto refuse = [](std::string_view part) {
    return capsule_refusal("parent", fmt::format("a derived capsule may not have {} than its parent", part));
  };
  if (!matches(parent.agent, derived.agent))
    return refuse("other agents");
  if (derived.tier > parent.tier)
    return refuse("a higher tier");
  for (const auto& scope : derived.scopes)
    if (std::none_of(parent.scopes.begin(), parent.scopes.end(),
                     [&](const std::string& wide) { return covers(wide, scope); }))
      return refuse("wider scopes");
  if (derived.expires_us > parent.expires_us)
    return refuse("a later expiry");
  return {};
}

} // namespace sluice
