#include "runtime/capsule/capsule_authority.hpp"

#include "actors/base/name_rules.hpp"
#include "messages/error.hpp"
#include "runtime/sqlite/audit/audit_anchor.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>

namespace sluice {

namespace {

constexpr size_t random_id_bytes = 16;
constexpr size_t max_known_capsules = 1'024;
constexpr int64_t second_us = 1'000'000;
constexpr int64_t keep_time_every_us = 60 * second_us;
// Proofs of older commits cannot show the capsules.
constexpr int64_t keep_texts_us = int64_t{366} * 24 * 3'600 * second_us;

template <class Bytes> std::string_view bytes_view(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string random_id() {
  std::string result(random_id_bytes, '\0');
  randombytes_buf(result.data(), result.size());
  return result;
}

std::string store_id(const signing_key& key, std::string_view lineage, uint64_t inode) {
  sqlite::chain_hash hash;
  auto digest = hash.add("sluice store").add(bytes_view(key.verifying_key())).add(lineage).add(inode).finish();
  return std::string{sqlite::bytes_of(digest).substr(0, random_id_bytes)};
}

caf::error foreign_store() { return capsule_refusal("store", "it was issued by another store, or by an earlier key"); }

} // namespace

capsule_authority::capsule_authority(const store_root& root, const clock& time)
  : key_path_(sqlite::anchor_key_path(root.audit_path())), inode_(root.identity().inode), time_(time),
    file_(root.folder() / "capsules.db") {}

caf::error capsule_authority::check(const capsule_wish& wish) {
  if (wish.agent.empty())
    return make_error(invalid_field("holder", "is empty; name the agent, or a pattern with *"));
  if (auto reason = agent_name_error(wish.agent))
    return make_error(invalid_field("holder", *reason));
  if (wish.scopes.empty())
    return make_error(invalid_field("scopes", "is empty; write DB:OPERATION"));
  if (wish.scopes.size() > max_capsule_scopes)
    return make_error(invalid_field("scopes", fmt::format("has more than {} entries", max_capsule_scopes)));
  for (const auto& scope : wish.scopes)
    if (auto error = scope_error(scope))
      return error;
  auto lifetime_us = wish.lifetime.count() * 1'000;
  if (lifetime_us <= 0 || lifetime_us > max_capsule_lifetime_us)
    return make_error(invalid_field("expires_ms", "must be from 1 to 2592000000, which are 30 days"));
  return {};
}

capsule_authority::memory& capsule_authority::begin(signing_key key, const capsule_file::content& kept) {
  auto store = store_id(key, kept.lineage, inode_);
  auto issuer = std::make_shared<const capsule_issuer>(capsule_issuer{key, std::move(store)});
  memory_.emplace(memory{std::move(issuer), capsule_clock{time_, kept.clock}, {}});
  memory_->revoked.insert(kept.revoked.begin(), kept.revoked.end());
  return *memory_;
}

caf::expected<capsule_authority::memory*> capsule_authority::load() {
  if (memory_)
    return &*memory_;
  auto kept = file_.load();
  if (!kept)
    return std::move(kept.error());
  auto key = signing_key::open(key_path_);
  if (!key)
    return std::move(key.error());
  return *kept && *key ? &begin(**key, **kept) : static_cast<memory*>(nullptr);
}

caf::expected<capsule_authority::memory*> capsule_authority::load_or_make() {
  if (memory_)
    return &*memory_;
  auto key = signing_key::open_or_make(key_path_);
  if (!key)
    return std::move(key.error());
  auto kept = file_.load_or_make(capsule_clock{time_}.kept());
  if (!kept)
    return std::move(kept.error());
  return &begin(*key, *kept);
}

caf::expected<std::shared_ptr<const verified_capsule>> capsule_authority::look_up(memory& in, std::string_view text) {
  // Longer texts are refused, and need no copy.
  std::string name{text.substr(0, max_capsule_bytes + 1)};
  if (auto found = in.known.find(name); found != in.known.end())
    return found->second;
  auto parsed = parse_capsule(text);
  if (!parsed)
    return std::move(parsed.error());
  if (parsed->content.store != in.issuer->store)
    return foreign_store();
  if (!is_signed_by(*parsed, bytes_view(in.issuer->key.verifying_key())))
    return capsule_refusal("signature", "it was changed, or the store has not issued it");
  auto result =
    std::make_shared<const verified_capsule>(verified_capsule{std::move(parsed->content), capsule_hash(text)});
  if (in.known.size() >= max_known_capsules)
    in.known.clear();
  in.known.emplace(std::move(name), result);
  return result;
}

bool capsule_authority::is_revoked(const memory& in, const capsule& content) {
  return !in.revoked.empty()
         && (in.revoked.contains(content.id)
             || std::any_of(content.ancestors.begin(), content.ancestors.end(),
                            [&](const std::string& id) { return in.revoked.contains(id); }));
}

caf::expected<std::shared_ptr<const verified_capsule>> capsule_authority::check(memory& in, std::string_view text,
                                                                                std::string_view policy) {
  auto found = look_up(in, text);
  if (!found)
    return found;
  const auto& content = (*found)->content;
  auto now = in.clock.now_us();
  if (now >= content.expires_us)
    return capsule_refusal("expired", fmt::format("its time ended {} s ago", (now - content.expires_us) / second_us));
  if (is_revoked(in, content))
    return capsule_refusal("revoked", "it, or the capsule that it is derived from, was revoked");
  if (content.policy != policy)
    return capsule_refusal("policy", "it was issued under another policy than the one in force");
  return found;
}

caf::expected<issued_capsule> capsule_authority::issue(const capsule_wish& wish, const std::string& policy) {
  if (auto error = check(wish))
    return error;
  std::lock_guard one_change{changes_};
  capsule content;
  std::shared_ptr<const capsule_issuer> issuer;
  capsule_clock::state time;
  {
    std::lock_guard held{mutex_};
    auto in = load_or_make();
    if (!in)
      return std::move(in.error());
    content = {random_id(), {}, wish.agent, wish.tier, wish.scopes, 0, 0, policy, (*in)->issuer->store};
    content.issued_us = (*in)->clock.now_us();
    content.expires_us = content.issued_us + wish.lifetime.count() * 1'000;
    if (!wish.parent.empty()) {
      auto parent = check(**in, wish.parent, policy);
      if (!parent)
        return std::move(parent.error());
      if (auto wider = check_narrower((*parent)->content, content))
        return wider;
      content.ancestors = (*parent)->content.ancestors;
      content.ancestors.push_back((*parent)->content.id);
    }
    issuer = (*in)->issuer;
    time = (*in)->clock.kept();
  }
  if (content.ancestors.size() > max_capsule_ancestors)
    return capsule_refusal("parent",
                           fmt::format("at most {} capsules may be derived one from the other", max_capsule_ancestors));
  issued_capsule result{content.id, {}, seal(content, issuer->key), content.expires_us};
  if (result.text.size() > max_capsule_bytes)
    return make_error(errc::too_large, "the capsule would have more than 8 KiB; name fewer scopes, or use patterns");
  result.hash = capsule_hash(result.text);
  if (auto kept = file_.add_issued(result, time, content.issued_us - keep_texts_us); !kept)
    return std::move(kept.error());
  return result;
}

caf::expected<std::shared_ptr<const verified_capsule>> capsule_authority::verify(std::string_view text,
                                                                                 std::string_view policy) {
  std::lock_guard held{mutex_};
  auto in = load();
  if (!in)
    return std::move(in.error());
  if (*in)
    return check(**in, text, policy);
  if (auto parsed = parse_capsule(text); !parsed)
    return std::move(parsed.error());
  return foreign_store();
}

caf::expected<std::shared_ptr<const verified_capsule>> capsule_authority::revoke(std::string_view text) {
  std::lock_guard one_change{changes_};
  std::shared_ptr<const verified_capsule> found;
  capsule_clock::state time;
  {
    std::lock_guard held{mutex_};
    auto in = load();
    if (!in)
      return std::move(in.error());
    if (!*in)
      return parse_capsule(text) ? foreign_store() : std::move(parse_capsule(text).error());
    auto known = look_up(**in, text);
    if (!known)
      return known;
    found = *known;
    time = (*in)->clock.kept();
  }
  if (auto kept = file_.add_revoked(found->content.id, time); !kept)
    return std::move(kept.error());
  std::lock_guard held{mutex_};
  memory_->revoked.insert(found->content.id);
  return found;
}

caf::expected<bool> capsule_authority::is_revoked(const capsule& content) {
  std::lock_guard held{mutex_};
  auto in = load();
  if (!in)
    return std::move(in.error());
  return *in && is_revoked(**in, content);
}

caf::expected<int64_t> capsule_authority::now_us() {
  std::lock_guard held{mutex_};
  auto in = load();
  if (!in)
    return std::move(in.error());
  return *in ? (*in)->clock.now_us() : wall_us(time_);
}

bool capsule_authority::should_keep_time() {
  std::lock_guard held{mutex_};
  if (!memory_ || memory_->clock.now_us() - memory_->kept_us < keep_time_every_us)
    return false;
  memory_->kept_us = memory_->clock.now_us();
  return true;
}

void capsule_authority::keep_time() {
  std::lock_guard one_change{changes_};
  capsule_clock::state time;
  {
    std::lock_guard held{mutex_};
    if (!memory_)
      return;
    time = memory_->clock.kept();
  }
  // Without it the clock stands a little further back after the next boot of the machine.
  static_cast<void>(file_.keep_time(time));
}

caf::expected<std::shared_ptr<const capsule_issuer>> capsule_authority::issuer() {
  std::lock_guard one_change{changes_};
  std::lock_guard held{mutex_};
  auto in = load_or_make();
  if (!in)
    return std::move(in.error());
  return (*in)->issuer;
}

} // namespace sluice
