#include "runtime/capsule/capsule.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/json/json.hpp"
#include "runtime/json/time_argument.hpp"
#include "runtime/server/capsule_json.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace sluice::cli {

namespace {

using nlohmann::json;

struct capsule_options {
  std::string root = ".";
  std::string holder;
  std::vector<std::string> scopes;
  std::string tier;
  std::string expires;
  std::string parent;
  std::string text;
  bool json = false;
};

// Nothing if `text` is not a duration such as 60s.
std::optional<int64_t> milliseconds_of(const std::string& text) {
  // Any time far from now will do: a point in time is then no duration that is allowed.
  constexpr int64_t now_us = 8'000'000'000'000'000;
  auto since = parse_since(text, now_us);
  auto lifetime_us = since ? now_us - *since : 0;
  return lifetime_us > 0 && lifetime_us <= max_capsule_lifetime_us ? std::optional{lifetime_us / 1'000} : std::nullopt;
}

std::string grant_text(const json& grant) {
  auto result =
    fmt::format("id       {}\nagent    {}\ntier     {}\nscopes   {}\nissued   {}\nexpires  {}\n",
                grant["id"].get<std::string>(), grant["holder"].get<std::string>(), grant["tier"].get<std::string>(),
                fmt::join(grant["scopes"].get<std::vector<std::string>>(), " "), grant["issued"].get<std::string>(),
                grant["expires"].get<std::string>());
  if (grant.contains("ancestors"))
    result += fmt::format("from     {}\n", fmt::join(grant["ancestors"].get<std::vector<std::string>>(), " "));
  return result
         + fmt::format("policy   {}\nstore    {}\n", grant["policy"].get<std::string>(),
                       grant["store"].get<std::string>());
}

int issue(const capsule_options& options) {
  auto lifetime = milliseconds_of(options.expires);
  if (!lifetime)
    return usage_error("--expires: write a duration: 60s, 10m, 2h, 3d; at most 30d", options.json);
  json params{{"holder", options.holder},
              {"tier", options.tier},
              {"scopes", options.scopes},
              {"expires_ms", *lifetime},
              {"agent", agent_name({})}};
  if (!options.parent.empty())
    params["parent"] = options.parent;
  auto store = open_client(options.root, {});
  if (!store)
    return fail(store.error(), options.json);
  auto answer = (*store)->call("capsule.issue", std::move(params));
  if (!answer)
    return fail(answer.error(), options.json);
  return options.json ? finish_json(*answer) : finish((*answer)["capsule"].get<std::string>() + "\n");
}

// Reads it without asking the store.
int show(const capsule_options& options) {
  auto parsed = parse_capsule(options.text);
  if (!parsed)
    return fail(parsed.error(), options.json);
  auto grant = as_json(parsed->content);
  if (options.json)
    return finish_json(grant);
  note("the signature was not checked; sluice capsule verify checks it");
  return finish(grant_text(grant));
}

int ask(const capsule_options& options, const char* method) {
  auto store = open_existing(options.root);
  if (!store)
    return fail(store.error(), options.json);
  auto answer = (*store)->call(method, {{"capsule", options.text}, {"agent", agent_name({})}});
  if (!answer)
    return fail(answer.error(), options.json);
  return options.json ? finish_json(*answer) : finish(grant_text(*answer));
}

int verify(const capsule_options& options) { return ask(options, "capsule.verify"); }

int revoke(const capsule_options& options) { return ask(options, "capsule.revoke"); }

} // namespace

void declare_capsule(CLI::App& command, action& chosen) {
  auto options = std::make_shared<capsule_options>();
  command.require_subcommand(1);
  auto add = [&](const char* name, const char* description, int (*run)(const capsule_options&)) {
    auto* sub = command.add_subcommand(name, description);
    sub->add_flag("--json", options->json, "Print one JSON document, on failure too");
    sub->final_callback([options, run, &chosen] { chosen = [options, run] { return run(*options); }; });
    return sub;
  };
  auto add_root = [&](CLI::App* sub) {
    sub->add_option("--root", options->root, "Folder of the store [.]")->type_name("ROOT");
  };
  auto* issuer = add("issue", "Issue a capsule, and print it", issue);
  add_root(issuer);
  issuer->add_option("--agent", options->holder, "The agent that may use it; * stands for any characters")
    ->required()
    ->check(not_empty("an agent"));
  issuer
    ->add_option("--scope", options->scopes, "What it may call: DB:OPERATION, both names or patterns; may be repeated")
    ->type_name("DB:OPERATION")
    ->required();
  issuer->add_option("--tier", options->tier, "Its trust: untrusted, basic, verified or core")
    ->required()
    ->check(CLI::IsMember({"untrusted", "basic", "verified", "core"}));
  issuer->add_option("--expires", options->expires, "How long it is valid: 60s, 10m, 2h, 3d; at most 30d")
    ->type_name("TIME")
    ->required();
  issuer->add_option("--parent", options->parent, "Derive it from this capsule; it may then only be narrower")
    ->type_name("CAPSULE")
    ->check(not_empty("a capsule"));
  auto add_capsule = [&](CLI::App* sub) {
    sub->add_option("CAPSULE", options->text, "The text of the capsule, which begins with sluice1.")->required();
    return sub;
  };
  add_capsule(add("show", "Show what a capsule says, without asking the store", show));
  add_root(add_capsule(add("verify", "Check whether a capsule is valid in the store", verify)));
  add_root(add_capsule(add("revoke", "Revoke a capsule, and all that are derived from it", revoke)));
  command.footer(
    "Exit status: 0 done, and of verify: it is valid; 1 refused, with the check that failed; 2 wrong usage.");
}

} // namespace sluice::cli
