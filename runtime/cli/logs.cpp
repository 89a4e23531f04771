#include "actors/base/counted.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/live_broker.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/terminal_text.hpp"
#include "runtime/json/json.hpp"
#include "runtime/json/time_argument.hpp"
#include "runtime/server/rpc/codec.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <poll.h>
#include <unistd.h>

namespace sluice::cli {

namespace {

constexpr uint64_t max_listed_entries = 10'000;
constexpr std::chrono::milliseconds poll_interval{500};

struct logs_options {
  std::string root = ".";
  std::string level;
  std::string agent;
  std::string source;
  std::string contains;
  std::string since;
  uint64_t limit = 100;
  bool json = false;
  bool jsonl = false;
  bool follow = false;
};

caf::expected<log_query> as_query(const logs_options& options) {
  log_query query;
  query.least = log_level_of(options.level).value_or(log_level::trace);
  query.agent = options.agent;
  query.source = options.source;
  query.contains = options.contains;
  query.limit = options.limit;
  if (options.since.empty())
    return query;
  auto now = std::chrono::system_clock::now().time_since_epoch();
  auto since = parse_since(options.since, std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  if (!since)
    return std::move(since.error());
  query.since_us = *since;
  return query;
}

caf::expected<log_page> ask(client& store, const log_query& query) {
  auto answer = store.call("logs.recent", with_agent(rpc::params_of(query), "caller"));
  return answer ? rpc::log_page_from_json(*answer) : std::move(answer.error());
}

std::string as_line(const log_entry& entry) {
  auto agent = entry.agent.empty() ? std::string{} : fmt::format(" [{}]", printable(entry.agent));
  auto source = entry.source.empty() ? std::string{} : printable(entry.source) + ": ";
  return fmt::format("{} {:<8}{} {}{}\n", iso_time(entry.ts_us), to_string(entry.level), agent, source,
                     printable(entry.message));
}

std::string as_lines(const log_page& page, bool jsonl) {
  std::string result;
  for (const auto& entry : page.entries)
    result += jsonl ? dump(as_json(entry)) + "\n" : as_line(entry);
  return result;
}

delivery show(const log_page& page, bool jsonl) {
  if (jsonl)
    return print_json(as_lines(page, true));
  return print(page.entries.empty() ? "no entries\n" : as_lines(page, false));
}

int list(client& store, const log_query& query, const logs_options& options) {
  auto page = ask(store, query);
  if (!page)
    return fail(page.error(), options.json);
  auto status = options.json ? finish_json(as_json(*page)) : status_of(show(*page, options.jsonl));
  if (!page->truncated)
    return status;
  return finish_cut(status, fmt::format("truncated: {} have more than 8 MiB, and the list has the newest {}; ask "
                                        "for fewer, or for some with --contains, --source or --level",
                                        counted(query.limit, "entry", "entries"), page->entries.size()));
}

// Ctrl-C ends the command normally; a second one ends the process.
class interruption {
public:
  interruption() {
    struct sigaction action {};
    action.sa_handler = [](int) { came_ = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (auto number : {SIGINT, SIGTERM, SIGHUP})
      sigaction(number, &action, nullptr);
  }

  bool came() const noexcept { return came_ != 0; }

private:
  static inline volatile std::sig_atomic_t came_ = 0;
};

// Sleeps; false when the command must end, because of a signal or because its output is not read any more.
bool wait_for_more(const interruption& signals) {
  pollfd reader{STDOUT_FILENO, 0, 0};
  auto ready = poll(&reader, 1, static_cast<int>(poll_interval.count()));
  return !signals.came() && !(ready > 0 && (reader.revents & (POLLERR | POLLNVAL)) != 0);
}

// The id of the newest entry of any kind.
caf::expected<uint64_t> newest_id(client& store) {
  log_query any;
  any.limit = 1;
  auto page = ask(store, any);
  if (!page)
    return std::move(page.error());
  return page->entries.empty() ? 0 : page->entries.back().id;
}

int follow(client& store, log_query query, const logs_options& options) {
  interruption signals;
  for (;;) {
    auto newest = newest_id(store);
    if (!newest)
      return signals.came() ? done : fail(newest.error(), false);
    // Ids start again in a new file.
    if (*newest < query.after_id)
      query.after_id = 0;
    auto page = ask(store, query);
    if (!page)
      return signals.came() ? done : fail(page.error(), false);
    if (!page->entries.empty())
      if (auto sent = show(*page, options.jsonl); sent != delivery::complete)
        return status_of(sent);
    auto last = page->entries.empty() ? 0 : page->entries.back().id;
    // More entries may exist than fit into one answer.
    query.after_id = query.newest || page->entries.empty() ? std::max(*newest, last) : last;
    query.newest = false;
    query.limit = max_listed_entries;
    if (!wait_for_more(signals))
      return done;
  }
}

int run(const logs_options& options) {
  auto query = as_query(options);
  if (!query)
    return usage_error("--since: " + describe(query.error()).message, options.json);
  // A follower must not lead the store and exclude other processes, so it needs a broker.
  auto store = options.follow ? connect_to_broker(options.root) : open_existing(options.root);
  if (!store)
    return fail(store.error(), options.json);
  return options.follow ? follow(**store, *query, options) : list(**store, *query, options);
}

} // namespace

void declare_logs(CLI::App& command, action& chosen) {
  auto options = std::make_shared<logs_options>();
  command.add_option("ROOT", options->root, "Folder of the store [.]");
  command.add_option("--level", options->level, "This level and more severe ones")
    ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "critical"}));
  command.add_option("--agent", options->agent, "Only entries of this agent")->check(not_empty("an agent"));
  command.add_option("--source", options->source, "Only entries of this source, a part of a program");
  command.add_option("--contains", options->contains, "Only messages with this in them")->type_name("TEXT");
  command.add_option("--since", options->since, "Only since then: 2024-02-29T12:00:00Z (UTC), or 30s, 10m, 2h, 3d ago")
    ->type_name("TIME");
  command.add_option("--limit", options->limit, "At most this many, the newest [100]")
    ->type_name("N")
    ->check(CLI::Range(uint64_t{1}, max_listed_entries));
  auto* json = command.add_flag("--json", options->json, "Print one JSON document, on failure too");
  command.add_flag("--jsonl", options->jsonl, "Print a JSON document per entry")->excludes(json);
  command.add_flag("-f,--follow", options->follow, "Follow: print new entries until Ctrl-C")->excludes(json);
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
