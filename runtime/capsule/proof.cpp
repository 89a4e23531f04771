#include "runtime/capsule/proof.hpp"

#include "runtime/json/hex.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"
#include "runtime/sqlite/ledger/ledger_codec.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace sluice {

namespace {

using nlohmann::json;

constexpr std::string_view proof_format = "sluice proof 1";
constexpr std::string_view proof_purpose{"sluice proof 1\0", 15};

// Another text than `to_hex` writes shows when the whole is compared.
std::string bytes_from(const json& hex) { return from_hex(hex.get_ref<const std::string&>()).value_or(""); }

json commit_json(const proved_commit& commit) {
  return {{"commit_seq", commit.seq},
          {"ts_us", commit.ts_us},
          {"previous", to_hex(commit.previous)},
          {"hash", to_hex(commit.hash)},
          {"requests", to_base64(commit.requests)}};
}

proved_commit commit_from_json(const json& source) {
  return {source.at("commit_seq").get<uint64_t>(), source.at("ts_us").get<int64_t>(), bytes_from(source.at("previous")),
          bytes_from(source.at("hash")), from_base64(source.at("requests").get<std::string>()).value_or("")};
}

// Members of JSON objects are in alphabetical order.
json proof_json(const proof& content) {
  auto commits = json::array();
  for (const auto& each : content.commits)
    commits.push_back(commit_json(each));
  return {{"format", proof_format}, {"store", to_hex(content.store)}, {"key", to_hex(content.key)},
          {"db", content.db},       {"epoch", content.epoch},         {"policy", to_hex(content.policy)},
          {"commits", commits},     {"capsules", content.capsules}};
}

struct signed_proof {
  proof content;
  std::string signature;
};

std::string signed_text(json document, std::string_view signature) {
  document["signature"] = to_hex(signature);
  return dump(document) + "\n";
}

// The text must be the one that the content has: then no byte of it can be changed without a trace.
caf::expected<signed_proof> parse_signed_proof(std::string_view text) {
  auto refuse = [](std::string_view reason) { return proof_refusal(errc::invalid_request, "form", reason); };
  if (text.size() > max_proof_bytes)
    return refuse("it has more than 8 MiB");
  auto document = json::parse(text, nullptr, false);
  if (!document.is_object() || document.value("format", json{}) != proof_format)
    return refuse("it is not a proof of this version");
  try {
    signed_proof result;
    auto& content = result.content;
    content.store = bytes_from(document.at("store"));
    content.key = bytes_from(document.at("key"));
    content.db = document.at("db").get<std::string>();
    content.epoch = document.at("epoch").get<std::string>();
    content.policy = bytes_from(document.at("policy"));
    for (const auto& each : document.at("commits"))
      content.commits.push_back(commit_from_json(each));
    content.capsules = document.at("capsules").get<std::vector<std::string>>();
    result.signature = bytes_from(document.at("signature"));
    if (signed_text(proof_json(content), result.signature) != text)
      return refuse("it was changed, or written by another program");
    if (content.commits.empty() || content.commits.size() > max_proof_commits)
      return refuse(fmt::format("it must have 1 to {} commits", max_proof_commits));
    return result;
  } catch (const json::exception&) {
    return refuse("a field is missing or has another type");
  }
}

caf::error check_chain(const proof& content) {
  sqlite::chain_hash hash;
  const proved_commit* before = nullptr;
  for (const auto& each : content.commits) {
    auto refuse = [&](std::string_view reason) {
      return proof_refusal(errc::corrupt, "chain", fmt::format("commit {} {}", each.seq, reason));
    };
    auto wanted = sqlite::commit_hash(hash, each.previous, each.seq, each.ts_us, each.requests);
    if (each.hash != sqlite::bytes_of(wanted))
      return refuse("does not match its hash");
    if (before && (each.seq != before->seq + 1 || each.previous != before->hash))
      return refuse("does not follow from the one before it");
    before = &each;
  }
  return {};
}

class capsule_check {
public:
  explicit capsule_check(const proof& content) : content_(content) {}

  caf::error run() {
    for (const auto& text : content_.capsules)
      if (auto error = take(text))
        return error;
    for (const auto& commit : content_.commits) {
      auto requests = sqlite::decode_requests(commit.requests);
      if (!requests)
        return proof_refusal(errc::corrupt, "chain", fmt::format("commit {} cannot be read", commit.seq));
      for (const auto& each : *requests)
        if (auto error = check(commit.seq, each))
          return error;
    }
    return unused_.empty() ? caf::error{}
                           : proof_refusal(errc::capsule_invalid, "capsule", "it has a capsule that no request used");
  }

private:
  caf::error take(const std::string& text) {
    auto parsed = parse_capsule(text);
    if (!parsed)
      return std::move(parsed.error());
    if (parsed->content.store != content_.store || !is_signed_by(*parsed, content_.key))
      return proof_refusal(errc::capsule_invalid, "capsule", "it has a capsule of another store");
    auto hash = capsule_hash(text);
    unused_.insert(hash);
    if (!known_.emplace(std::move(hash), std::move(parsed->content)).second)
      return proof_refusal(errc::invalid_request, "form", "it has a capsule twice");
    return {};
  }

  caf::error check(uint64_t seq, const sqlite::ledger_request& request) {
    auto refuse = [&](std::string_view check, std::string_view reason) {
      return proof_refusal(errc::capsule_invalid, check,
                           fmt::format("request '{}' of commit {} {}", request.request_id, seq, reason));
    };
    if (request.capsule_hash.empty())
      return {};
    auto found = known_.find(request.capsule_hash);
    if (found == known_.end())
      return refuse("capsule", "was made with a capsule that is not in the proof");
    unused_.erase(request.capsule_hash);
    const auto& grant = found->second;
    if (!may_use(grant, request.agent))
      return refuse("agent", "was made by an agent that its capsule is not for");
    if (!covers_database(grant, content_.db))
      return refuse("database", "was made in a database that its capsule is not for");
    if (request.verified_us < grant.issued_us || request.verified_us >= grant.expires_us)
      return refuse("expired", "was made when its capsule was not valid");
    if (request.policy_hash != grant.policy)
      return refuse("policy", "was made under another policy than its capsule");
    return {};
  }

  const proof& content_;
  std::map<std::string, capsule> known_;
  std::set<std::string> unused_;
};

} // namespace

caf::error proof_refusal(errc code, std::string_view check, std::string_view reason) {
  return make_error(code, fmt::format("proof refused ({}): {}", check, reason));
}

std::string seal(const proof& content, const signing_key& key) {
  auto document = proof_json(content);
  auto signature = key.sign(std::string{proof_purpose} + dump(document));
  return signed_text(std::move(document), {reinterpret_cast<const char*>(signature.data()), signature.size()});
}

caf::expected<proof> open_proof(std::string_view text) {
  auto parsed = parse_signed_proof(text);
  if (!parsed)
    return std::move(parsed.error());
  auto& content = parsed->content;
  if (!is_signed_by(content.key, std::string{proof_purpose} + dump(proof_json(content)), parsed->signature))
    return proof_refusal(errc::corrupt, "signature", "it was changed, or the store that it names has not signed it");
  if (auto error = check_chain(content))
    return error;
  if (auto error = capsule_check{content}.run())
    return error;
  return std::move(content);
}

std::string proof_hash(std::string_view text) { return capsule_hash(text); }

} // namespace sluice
