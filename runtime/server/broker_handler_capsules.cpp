#include "runtime/capsule/capsule_authority.hpp"
#include "runtime/capsule/proof_ledger.hpp"
#include "runtime/catalogue/operation_request.hpp"
#include "runtime/json/hex.hpp"
#include "runtime/os/machine_clock.hpp"
#include "runtime/policy/access_policy.hpp"
#include "runtime/server/broker_handler_call.hpp"
#include "runtime/server/capsule_json.hpp"
#include "runtime/server/rpc/capsule_params.hpp"

#include <fmt/format.h>

#include <utility>

namespace sluice {

using nlohmann::json;

namespace {

// Raw SQL as scopes name it; names of operations cannot begin so.
constexpr std::string_view raw_write = "sluice_write";

std::string hash_of(const access_policy& policy) { return from_hex(policy.hash()).value_or(""); }

// Checkpoint 1: nothing is minted that the policy does not allow.
caf::error check_grant(const access_policy& policy, const capsule_wish& wish) {
  std::vector<operation_scope> scopes;
  for (const auto& each : wish.scopes)
    if (auto scope = read_scope(each))
      scopes.push_back(std::move(*scope));
  auto reason = policy.permits_grant(wish.agent, wish.tier, scopes);
  return reason ? make_error(errc::not_authorized, *reason) : caf::error{};
}

// Capsules and proofs in the audit.
std::string short_text(const json& grant) {
  return fmt::format("capsule {} for {}", grant["id"].get_ref<const std::string&>(),
                     grant["holder"].get_ref<const std::string&>());
}

std::string commits_text(uint64_t first, uint64_t last) {
  return first == last ? fmt::format("commit {}", first) : fmt::format("commits {} to {}", first, last);
}

} // namespace

std::shared_ptr<const access_policy> broker_handler::policy_of(const call_ptr& call) {
  return call->owner.leader_.policy().current();
}

// Null without a policy: the records of such requests have always been without one.
std::shared_ptr<const request_grant> broker_handler::policy_grant(const call_ptr& call) {
  auto& owner = call->owner;
  if (auto policy = policy_of(call); owner.granting_policy_ != policy) {
    owner.policy_grant_ =
      policy->exists() ? std::make_shared<const request_grant>(request_grant{{}, {}, hash_of(*policy), 0}) : nullptr;
    owner.granting_policy_ = std::move(policy);
  }
  return owner.policy_grant_;
}

// What a request with a capsule wants.
struct broker_handler::capsule_demand {
  const request_grant& grant;
  const std::string& agent;
  const std::string& db;
  std::string_view operation;
  sluice::tier tier = sluice::tier::untrusted;
};

// Null if the capsule does not cover the request; the call has been answered then.
std::shared_ptr<const request_grant> broker_handler::check_capsule(const capsule_demand& demand, const call_ptr& call) {
  auto& owner = call->owner;
  auto& capsules = owner.leader_.capsules();
  auto refuse = [&](const caf::error& reason) {
    call->fail(reason);
    return nullptr;
  };
  auto policy = hash_of(*policy_of(call));
  auto found = capsules.verify(demand.grant.capsule, policy);
  if (capsules.should_keep_time())
    owner.in_background(
      owner.files_, [&capsules] { return capsules.keep_time(), true; }, [](bool) {});
  if (!found)
    return refuse(found.error());
  // Scopes are for databases, which may have other names.
  auto db = owner.leader_.resolve(demand.db);
  if (!db)
    return refuse(db.error());
  const auto& agent = demand.agent.empty() ? call->link->agent : demand.agent;
  if (auto reason = check_use((*found)->content, {agent, *db, demand.operation, demand.tier}))
    return refuse(reason);
  auto now = capsules.now_us();
  if (!now)
    return refuse(now.error());
  return std::make_shared<const request_grant>(request_grant{{}, (*found)->hash, std::move(policy), *now});
}

bool broker_handler::use_capsule(write_request& request, const call_ptr& call) {
  request.grant = check_capsule({*request.grant, request.agent, request.db, raw_write}, call);
  return request.grant != nullptr;
}

bool broker_handler::use_capsule(const operation& called, operation_call& request, const call_ptr& call) {
  request.grant = check_capsule({*request.grant, request.agent, called.database, called.name, called.tier}, call);
  return request.grant != nullptr;
}

// Runs `work`, which may block, in another thread, and `done` with its value; the call fails with its error.
template <class Work, class Done> void broker_handler::work_on_files(const call_ptr& call, Work work, Done done) {
  // Another store may be at the path by now.
  if (!call->owner.leader_.still_leads())
    return call->fail(make_error(errc::unavailable, "this broker does not lead the store any more"));
  call->owner.in_background(call->owner.files_, std::move(work), [call, done = std::move(done)](auto result) {
    if (!result)
      return call->fail(result.error());
    done(std::move(*result));
  });
}

void broker_handler::issue_capsule(const json& params, const call_ptr& call) {
  auto wish = rpc::capsule_wish_from_json(params);
  if (!wish)
    return call->fail(wish.error());
  if (!call->sign(call->names.agent))
    return;
  // Agents may derive capsules from their own.
  auto parent = parse_capsule(wish->parent);
  if (!(parent && may_use(parent->content, call->agent))
      && !call->admit(call->agent, {method_access::administration, "capsule.issue", {}, tier::untrusted, false}))
    return call->deny();
  auto& capsules = call->owner.leader_.capsules();
  auto policy = policy_of(call);
  if (auto refused = check_grant(*policy, *wish))
    return call->fail(refused);
  work_on_files(
    call, [&capsules, policy = hash_of(*policy), wish = std::move(*wish)] { return capsules.issue(wish, policy); },
    [call](const issued_capsule& issued) {
      auto answer = as_json(parse_capsule(issued.text)->content);
      answer["capsule"] = issued.text;
      call->names.reason = short_text(answer);
      call->succeed(std::move(answer));
    });
}

void broker_handler::verify_capsule(const json& params, const call_ptr& call) {
  auto text = rpc::capsule_from_json(params);
  if (!text)
    return call->fail(text.error());
  if (!call->sign(call->names.agent))
    return;
  auto found = call->owner.leader_.capsules().verify(*text, hash_of(*policy_of(call)));
  if (!found)
    return call->fail(found.error());
  call->succeed(as_json((*found)->content));
}

void broker_handler::revoke_capsule(const json& params, const call_ptr& call) {
  auto text = rpc::capsule_from_json(params);
  if (!text)
    return call->fail(text.error());
  if (!call->sign(call->names.agent))
    return;
  auto& capsules = call->owner.leader_.capsules();
  work_on_files(
    call, [&capsules, text = std::move(*text)] { return capsules.revoke(text); },
    [call](const std::shared_ptr<const verified_capsule>& revoked) {
      auto answer = as_json(revoked->content);
      answer["revoked"] = true;
      call->names.reason = short_text(answer);
      call->succeed(std::move(answer));
    });
}

void broker_handler::prove(const json& params, const call_ptr& call) {
  auto request = rpc::proof_request_from_json(params);
  if (!request)
    return call->fail(request.error());
  if (!call->sign(call->names.agent))
    return;
  auto& owner = call->owner;
  auto db = owner.leader_.resolve(request->db);
  if (!db)
    return call->fail(db.error());
  proof_range range{*db, owner.leader_.root().path_of(*db), request->first, request->last};
  auto& capsules = owner.leader_.capsules();
  work_on_files(
    call,
    [&capsules, range = std::move(range), policy = hash_of(*policy_of(call))] {
      return make_proof(capsules, range, policy);
    },
    [call, commits = commits_text(request->first, request->last)](std::string text) {
      call->names.reason = commits;
      call->succeed({{"proof", std::move(text)}});
    });
}

void broker_handler::promote(const json& params, const call_ptr& call) {
  auto text = rpc::proof_from_json(params);
  if (!text)
    return call->fail(text.error());
  if (!call->sign(call->names.agent))
    return;
  auto& leader = call->owner.leader_;
  auto work = [&leader, text = std::move(*text), agent = call->agent,
               policy = hash_of(*policy_of(call))]() -> caf::expected<std::pair<promotion, bool>> {
    auto find = [&](const std::string& db) -> caf::expected<std::filesystem::path> {
      auto canonical = leader.resolve(db);
      if (!canonical)
        return std::move(canonical.error());
      return leader.root().path_of(*canonical);
    };
    auto accepted = check_proof(leader.capsules(), text, policy, find);
    if (!accepted)
      return std::move(accepted.error());
    accepted->agent = agent;
    accepted->ts_us = wall_us(machine_time());
    auto is_new = leader.capsules().file().add_promotion(*accepted);
    if (!is_new)
      return std::move(is_new.error());
    return std::pair{std::move(*accepted), *is_new};
  };
  work_on_files(call, std::move(work), [call](const std::pair<promotion, bool>& accepted) {
    call->names.db = accepted.first.db;
    call->names.reason = commits_text(accepted.first.first_seq, accepted.first.last_seq);
    auto answer = as_json(accepted.first);
    answer.erase("id");
    answer["again"] = !accepted.second;
    call->succeed(std::move(answer));
  });
}

void broker_handler::list_promotions(const json& params, const call_ptr& call) {
  auto limit = rpc::promotion_limit_from_json(params);
  if (!limit)
    return call->fail(limit.error());
  if (!call->sign(call->names.agent))
    return;
  auto& capsules = call->owner.leader_.capsules();
  work_on_files(
    call, [&capsules, limit = *limit] { return capsules.file().promotions(limit); },
    [call](const std::vector<promotion>& all) {
      auto list = json::array();
      for (const auto& each : all)
        list.push_back(as_json(each));
      call->succeed({{"promotions", std::move(list)}});
    });
}

} // namespace sluice
