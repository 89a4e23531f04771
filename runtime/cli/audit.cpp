#include "actors/base/counted.hpp"
#include "messages/agent_key.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/table.hpp"
#include "runtime/json/hex.hpp"
#include "runtime/json/json.hpp"
#include "runtime/json/time_argument.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/sqlite/files/file_guard.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace sluice::cli {

namespace {

// Records per request while exporting.
constexpr uint64_t page_size = 1'000;

// Of the hash of a capsule.
constexpr size_t shown_digits = 16;

struct audit_options {
  std::string root = ".";
  std::string agent;
  std::string db;
  std::string status;
  std::string since;
  std::string before;
  uint64_t limit = 1'000;
  bool json = false;
  bool jsonl = false;
};

int64_t now_us() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

// The statuses that a record can have: of a request, of a change to a file, and the error codes.
std::vector<std::string> record_statuses() {
  std::vector<std::string> result{"committed", "replayed", "ok"};
  for (auto change : sqlite::all_file_changes)
    result.emplace_back(sqlite::to_string(change));
  for (const auto& code : detail::errc_names)
    result.emplace_back(code.name);
  return result;
}

caf::expected<audit_query> as_query(const audit_options& options) {
  audit_query query;
  query.agent = options.agent;
  query.db = options.db;
  query.status = options.status;
  if (options.since.empty())
    return query;
  auto since = parse_since(options.since, now_us());
  if (!since)
    return std::move(since.error());
  query.since_us = *since;
  return query;
}

std::string tables_text(const audit_record& record) {
  return record.tables ? fmt::format("{}", fmt::join(*record.tables, ", ")) : std::string{};
}

std::string as_text(const audit_page& page) {
  constexpr auto right = alignment::right;
  table result{{{"SEQ", right},
                {"TIME"},
                {"AGENT"},
                {"DATABASE"},
                {"TYPE"},
                {"STATUS"},
                {"COMMIT", right},
                {"MS", right},
                {"COUNT", right},
                {"TABLES"},
                {"KEY"},
                {"CAPSULE"},
                {"REASON"}}};
  for (const auto& record : page.records)
    result.add({std::to_string(record.seq), iso_time(record.ts_us), record.agent, record.db,
                std::string{to_string(record.type)}, record.recovered ? record.status + " (recovered)" : record.status,
                record.commit_seq ? std::to_string(record.commit_seq) : "",
                fmt::format("{:.1f}", static_cast<double>(record.latency_us) / 1000), std::to_string(record.count),
                tables_text(record), std::string{given_key(record.key)},
                record.grant ? to_hex(record.grant->capsule_hash).substr(0, shown_digits) : "", record.reason});
  return result.empty() ? "no records\n" : result.text();
}

std::string as_lines(const audit_page& page) {
  std::string result;
  for (const auto& record : page.records)
    result += dump(as_json(record, page.store_root)) + "\n";
  return result;
}

// A broker lists 10,000 at once, and this command requests one more than it shows.
constexpr uint64_t max_listed = 9'999;

caf::expected<audit_page> ask(client& store, const audit_query& query) {
  if (named_agent().empty())
    return store.audit(query);
  auto answer = store.call("audit.list", with_agent(rpc::params_of(query), "caller"));
  return answer ? rpc::audit_page_from_json(*answer) : std::move(answer.error());
}

// One record more than requested shows whether there are older ones.
caf::expected<audit_page> newest(client& store, audit_query query, uint64_t limit, bool& cut) {
  query.newest = true;
  query.limit = limit + 1;
  auto page = ask(store, query);
  if (!page)
    return page;
  cut = page->records.size() > limit;
  if (cut)
    page->records.erase(page->records.begin(), page->records.end() - static_cast<std::ptrdiff_t>(limit));
  return page;
}

int list(client& store, const audit_query& query, const audit_options& options) {
  bool cut = false;
  auto page = newest(store, query, options.limit, cut);
  if (!page)
    return fail(page.error(), options.json);
  if (cut)
    note(
      fmt::format("truncated: the list ends at {}; --limit shows more, export all", counted(options.limit, "record")));
  if (options.jsonl)
    return status_of(print_json(as_lines(*page)));
  if (!options.json)
    return finish(as_text(*page));
  auto document = as_json(*page);
  document["truncated"] = cut;
  return finish_json(document);
}

caf::expected<audit_verdict> ask_for_verdict(client& store) {
  if (named_agent().empty())
    return store.verify_audit();
  auto answer = store.call("audit.verify", with_agent(nlohmann::json::object()));
  return answer ? rpc::audit_verdict_from_json(*answer) : std::move(answer.error());
}

int verify(client& store, const audit_options& options) {
  auto verdict = ask_for_verdict(store);
  if (!verdict)
    return fail(verdict.error(), options.json);
  if (verdict->intact())
    return options.json
             ? finish_json(as_json(*verdict))
             : finish(fmt::format("intact: {}, head {}\n", counted(verdict->records, "record"), verdict->head));
  auto error =
    verdict->broken > 0 ? make_failure(
      errc::corrupt, fmt::format("audit record {} is broken: {} ({}, {})", verdict->first_broken, verdict->reason,
                                 counted(verdict->broken, "broken place"), counted(verdict->records, "record")))
                        : make_failure(errc::ledger_damaged, "");
  for (const auto& problem : verdict->problems)
    error.message += (error.message.empty() ? "" : "; ") + problem;
  if (!options.json)
    return fail(error, false);
  auto document = as_json(*verdict);
  document.update(error_document(error));
  fail(error, false);
  finish_json(document);
  return failed;
}

// Repeats until no old record is left, or none can be removed now.
int prune(client& store, int64_t before_us, const audit_options& options) {
  uint64_t removed = 0;
  for (;;) {
    auto answer = store.call("audit.prune", with_agent({{"before_us", before_us}}));
    if (!answer)
      return fail(answer.error(), options.json);
    auto now = answer->at("removed").get<uint64_t>();
    removed += now;
    if (now > 0 && answer->at("more").get<bool>())
      continue;
    auto first = answer->at("first_seq").get<uint64_t>();
    if (options.json)
      return finish_json({{"removed", removed}, {"first_seq", first}});
    return finish(fmt::format("removed {}; the audit begins with record {}\n", counted(removed, "record"), first));
  }
}

int run_prune(const audit_options& options) {
  auto before = parse_since(options.before, now_us());
  if (!before)
    return usage_error("--before: " + describe(before.error()).message, options.json);
  auto store = open_existing(options.root);
  return store ? prune(**store, *before, options) : fail(store.error(), options.json);
}

class progress {
public:
  // Shown on a terminal, unless the records themselves are written there.
  progress() : shown_(isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO)) {}
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress() {
    if (shown_ && count_ > 0)
      fmt::print(stderr, "\n");
  }

  void add(size_t count) {
    count_ += count;
    if (shown_)
      fmt::print(stderr, "\r{} exported", counted(count_, "record"));
  }

private:
  bool shown_;
  size_t count_ = 0;
};

// Passes every record to `take`, a page at a time, until it returns false.
template <class Take> caf::error for_each_page(client& store, audit_query query, Take take) {
  progress stats;
  query.limit = page_size;
  for (;;) {
    auto page = ask(store, query);
    if (!page)
      return std::move(page.error());
    if (page->records.empty())
      return caf::none;
    query.after_seq = page->records.back().seq;
    stats.add(page->records.size());
    if (!take(*page))
      return caf::none;
  }
}

int export_lines(client& store, const audit_query& query) {
  int status = done;
  auto failed = for_each_page(store, query, [&](const audit_page& page) {
    auto sent = print_json(as_lines(page));
    status = status_of(sent);
    return sent == delivery::complete;
  });
  return failed ? fail(failed, false) : status;
}

int export_document(client& store, const audit_query& query) {
  audit_page all;
  auto failed = for_each_page(store, query, [&](audit_page& page) {
    all.store_root = page.store_root;
    std::move(page.records.begin(), page.records.end(), std::back_inserter(all.records));
    return true;
  });
  return failed ? fail(failed, true) : finish_json(as_json(all));
}

using audit_command = int (*)(client&, const audit_query&, const audit_options&);

int run(const audit_options& options, audit_command command) {
  auto query = as_query(options);
  if (!query)
    return usage_error("--since: " + describe(query.error()).message, options.json);
  auto store = open_existing(options.root);
  return store ? command(**store, *query, options) : fail(store.error(), options.json);
}

void add_filters(CLI::App& command, audit_options& to) {
  command.add_option("--agent", to.agent, "Only what this agent asked for; the whole name")
    ->check(not_empty("an agent"));
  command.add_option("--db", to.db, "Only this database");
  command
    .add_option("--status", to.status,
                "Only this outcome: committed, replayed, ok, a change to a file, or an error code")
    ->type_name("STATUS")
    ->check([](const std::string& status) {
      auto all = record_statuses();
      return std::find(all.begin(), all.end(), status) != all.end()
               ? std::string{}
               : fmt::format("{} is not a status; use one of {}", status, fmt::join(all, ", "));
    });
  command.add_option("--since", to.since, "Only since then: 2024-02-29T12:00:00Z (UTC), or 30s, 10m, 2h, 3d ago")
    ->type_name("TIME");
}

} // namespace

void declare_audit(CLI::App& command, action& chosen) {
  auto options = std::make_shared<audit_options>();
  command.add_option("ROOT", options->root, "Folder of the store [.]");
  command.require_subcommand(1);
  auto add = [&](const char* name, const char* description, audit_command kind) {
    auto* sub = command.add_subcommand(name, description)->fallthrough();
    sub->final_callback([options, kind, &chosen] { chosen = [options, kind] { return run(*options, kind); }; });
    return sub;
  };
  auto* lister = add("list", "The newest records, oldest first", list);
  add_filters(*lister, *options);
  lister->add_option("--limit", options->limit, "At most this many [1000]")
    ->type_name("N")
    ->check(CLI::Range(uint64_t{1}, max_listed));
  auto* json = lister->add_flag("--json", options->json, "Print one JSON document, on failure too");
  lister->add_flag("--jsonl", options->jsonl, "Print a JSON document per record")->excludes(json);
  add("verify", "Recompute the hash chain and name the first broken record",
      [](client& store, const audit_query&, const audit_options& given) { return verify(store, given); })
    ->add_flag("--json", options->json, "Print one JSON document, on failure too");
  auto* exporter = add("export", "Every record, a JSON document per line",
                       [](client& store, const audit_query& query, const audit_options& given) {
                         return given.json ? export_document(store, query) : export_lines(store, query);
                       });
  add_filters(*exporter, *options);
  auto* pruner =
    command.add_subcommand("prune", "Remove old records; a signed anchor takes their place")->fallthrough();
  pruner->final_callback([options, &chosen] { chosen = [options] { return run_prune(*options); }; });
  pruner
    ->add_option("--before", options->before,
                 "Those older than that: 2024-02-29T12:00:00Z (UTC), or 30s, 10m, 2h, 3d ago")
    ->type_name("TIME")
    ->required();
  pruner->add_flag("--json", options->json, "Print one JSON document, on failure too");
  exporter->add_flag("--json", options->json, "Print one JSON document instead, on failure too");
}

} // namespace sluice::cli
