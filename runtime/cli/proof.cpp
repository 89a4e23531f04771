#include "runtime/capsule/proof.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/table.hpp"
#include "runtime/json/hex.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>
#include <system_error>

namespace sluice::cli {

namespace {

using nlohmann::json;

// Of a public key of Ed25519.
constexpr size_t key_bytes = 32;

struct proof_options {
  std::string db;
  std::string commits;
  std::string output;
  std::string verify;
  std::string key;
  bool json = false;
};

struct promote_options {
  std::string root = ".";
  std::string file;
  bool list = false;
  bool json = false;
};

std::string system_message() { return std::generic_category().message(errno); }

caf::expected<std::string> read_proof(const std::string& name) {
  std::ifstream in{name, std::ios::binary};
  std::string text;
  // One byte more shows that it is too long.
  text.resize(in ? max_proof_bytes + 1 : 0);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in.is_open() || in.bad())
    return make_error(errc::io_error, fmt::format("cannot read {}: {}", name, system_message()));
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

// N or N..M.
std::optional<std::pair<uint64_t, uint64_t>> commits_of(std::string_view text) {
  auto number = [](std::string_view digits) -> std::optional<uint64_t> {
    uint64_t result = 0;
    auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), result);
    return failed == std::errc{} && end == digits.data() + digits.size() && result > 0 ? std::optional{result}
                                                                                       : std::nullopt;
  };
  auto dots = text.find("..");
  auto first = number(text.substr(0, dots));
  auto last = dots == std::string_view::npos ? first : number(text.substr(dots + 2));
  return first && last && *first <= *last ? std::optional{std::pair{*first, *last}} : std::nullopt;
}

json summary_of(const proof& content, std::string_view text) {
  return {{"db", content.db},
          {"first", content.commits.front().seq},
          {"last", content.commits.back().seq},
          {"capsules", content.capsules.size()},
          {"head", to_hex(content.commits.back().hash)},
          {"policy", to_hex(content.policy)},
          {"store", to_hex(content.store)},
          {"key", to_hex(content.key)},
          {"proof", to_hex(proof_hash(text))}};
}

std::string range_text(const json& of) {
  auto first = of["first"].get<uint64_t>();
  auto last = of["last"].get<uint64_t>();
  return first == last ? fmt::format("commit {}", first) : fmt::format("commits {} to {}", first, last);
}

int verify(const proof_options& options) {
  auto text = read_proof(options.verify);
  if (!text)
    return fail(text.error(), options.json);
  auto content = open_proof(*text);
  if (!content)
    return fail(content.error(), options.json);
  auto summary = summary_of(*content, *text);
  if (!options.key.empty() && summary["key"] != options.key)
    return fail(proof_refusal(errc::wrong_store, "key", "it is signed with another key than the given one"),
                options.json);
  if (options.json)
    return finish_json(summary);
  if (options.key.empty())
    note("compare the key with that of the store, which you must know from elsewhere; --key compares it");
  return finish(fmt::format("valid: {} of {}\nkey     {}\nhead    {}\npolicy  {}\n", range_text(summary), content->db,
                            summary["key"].get<std::string>(), summary["head"].get<std::string>(),
                            summary["policy"].get<std::string>()));
}

int write_proof(const proof_options& options, const std::string& text) {
  std::ofstream out{options.output, std::ios::binary | std::ios::trunc};
  out << text;
  out.close();
  if (!out)
    return fail(make_error(errc::io_error, fmt::format("cannot write {}: {}", options.output, system_message())),
                options.json);
  auto content = open_proof(text);
  if (!content)
    return fail(content.error(), options.json);
  auto summary = summary_of(*content, text);
  return options.json ? finish_json(summary)
                      : finish(fmt::format("{}: {} of {}\n", options.output, range_text(summary), content->db));
}

int make(const proof_options& options) {
  auto commits = commits_of(options.commits);
  if (!commits)
    return usage_error("--commit: write N, or N..M with the lower number first", options.json);
  auto place = locate(options.db);
  if (!place)
    return usage_error(describe(place.error()).message, options.json);
  auto store = open_existing(place->root);
  if (!store)
    return fail(store.error(), options.json);
  auto answer = (*store)->call(
    "proof", {{"db", place->name}, {"first", commits->first}, {"last", commits->second}, {"agent", agent_name({})}});
  if (!answer)
    return fail(answer.error(), options.json);
  return write_proof(options, (*answer)["proof"].get<std::string>());
}

int list(client& store, const promote_options& options) {
  auto answer = store.call("promotions", {{"agent", agent_name({})}});
  if (!answer)
    return fail(answer.error(), options.json);
  if (options.json)
    return finish_json(*answer);
  table result{{{"ID", alignment::right}, {"TIME"}, {"AGENT"}, {"DATABASE"}, {"COMMITS"}, {"HEAD"}}};
  for (const auto& each : (*answer)["promotions"])
    result.add({std::to_string(each["id"].get<uint64_t>()), each["ts"], each["agent"], each["db"],
                fmt::format("{}..{}", each["first"].get<uint64_t>(), each["last"].get<uint64_t>()),
                each["head"].get<std::string>().substr(0, 16)});
  return finish(result.empty() ? "no promotions\n" : result.text());
}

int promote(const promote_options& options) {
  if (options.list == !options.file.empty())
    return usage_error("give FILE, or --list", options.json);
  auto text = options.list ? caf::expected<std::string>{std::string{}} : read_proof(options.file);
  if (!text)
    return fail(text.error(), options.json);
  // What no store would accept is refused here already.
  if (auto content = options.list ? caf::expected<proof>{proof{}} : open_proof(*text); !content)
    return fail(content.error(), options.json);
  auto store = open_existing(options.root);
  if (!store)
    return fail(store.error(), options.json);
  if (options.list)
    return list(**store, options);
  auto answer = (*store)->call("promote", {{"proof", *text}, {"agent", agent_name({})}});
  if (!answer)
    return fail(answer.error(), options.json);
  if (options.json)
    return finish_json(*answer);
  return finish(fmt::format("{}: {} of {}\n", (*answer)["again"].get<bool>() ? "promoted before" : "promoted",
                            range_text(*answer), (*answer)["db"].get<std::string>()));
}

} // namespace

void declare_proof(CLI::App& command, action& chosen) {
  auto options = std::make_shared<proof_options>();
  auto* db = command.add_option("--db", options->db, "Database file; the folder it lies in is the store");
  auto* commits = command.add_option("--commit", options->commits, "The commits to prove: N or N..M, at most 1,000")
                    ->type_name("N[..M]")
                    ->needs(db);
  auto* output = command.add_option("-o,--output", options->output, "The file to write")->type_name("FILE");
  db->needs(commits)->needs(output);
  auto* verifier =
    command.add_option("--verify", options->verify, "Check a proof without its store: hashes, capsules, signature")
      ->type_name("FILE")
      ->excludes(db);
  command.add_option("--key", options->key, "The public key that must have signed it, in hexadecimal")
    ->check(not_empty("a key"))
    ->type_name("HEX")
    ->check([](const std::string& text) {
      auto key = from_hex(text);
      return key && key->size() == key_bytes ? std::string{}
                                             : "write the 64 hexadecimal digits of a public key, a to f in lower case";
    })
    ->needs(verifier);
  command.add_flag("--json", options->json, "Print one JSON document, on failure too");
  command.parse_complete_callback([db, verifier] {
    if (db->count() == 0 && verifier->count() == 0)
      throw CLI::RequiredError{"--db DB --commit N[..M] -o FILE, or --verify FILE"};
  });
  command.footer(
    "A proof contains the whole commit records, with the rows that requests returned. Exit status: 0 done, "
    "or the proof is valid; 1 it is not, with the check that failed; 2 wrong usage.");
  command.final_callback(
    [options, &chosen] { chosen = [options] { return options->verify.empty() ? make(*options) : verify(*options); }; });
}

void declare_promote(CLI::App& command, action& chosen) {
  auto options = std::make_shared<promote_options>();
  command.add_option("FILE", options->file, "A proof, as sluice proof writes it");
  command.add_option("--root", options->root, "Folder of the store [.]")->type_name("ROOT");
  command.add_flag("--list", options->list, "List what was promoted");
  command.add_flag("--json", options->json, "Print one JSON document, on failure too");
  command.footer(
    "Exit status: 0 the store has accepted the proof; 1 it refuses it, with the check that failed; 2 wrong "
    "usage.");
  command.final_callback([options, &chosen] { chosen = [options] { return promote(*options); }; });
}

} // namespace sluice::cli
