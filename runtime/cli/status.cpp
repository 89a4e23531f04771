#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/table.hpp"
#include "runtime/json.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::cli {

namespace {

struct status_options {
  std::string root = ".";
  bool json = false;
};

std::string size_text(uint64_t bytes) {
  constexpr std::array units{"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024)
    return fmt::format("{} B", bytes);
  auto size = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; size >= 1024 && unit + 1 < units.size(); ++unit)
    size /= 1024;
  return fmt::format("{:.1f} {}", size, units[unit]);
}

std::string cache_text(const cache_status& x) {
  if (!x.enabled)
    return "off";
  return fmt::format("{} entries, {}; {} hits, {} joined, {} misses; {} invalidated, {} evicted", x.entries,
                     size_text(x.bytes), x.hits, x.joined, x.misses, x.invalidated, x.evicted);
}

std::string databases_text(const store_status& x) {
  constexpr auto right = alignment::right;
  table result{{{"DATABASE"},
                {"STATE"},
                {"SIZE", right},
                {"WAL", right},
                {"LAST COMMIT", right},
                {"QUEUED", right},
                {"COMMITS", right},
                {"WRITES", right},
                {"REPLAYED", right},
                {"FAILED", right},
                {"REFUSED", right},
                {"FOREIGN", right},
                {"LOCK ERRORS", right},
                {"RESTARTS", right}}};
  auto number = [](uint64_t n) { return std::to_string(n); };
  for (const auto& db : x.broker.databases) {
    auto file = std::find_if(x.files.begin(), x.files.end(), [&](const auto& f) { return f.name == db.name; });
    auto sizes = file == x.files.end() ? database_file{} : *file;
    result.add({db.name, db.quarantined ? "quarantined" : "ok", size_text(sizes.bytes), size_text(sizes.wal_bytes),
                number(db.last_commit_seq), number(db.queued), number(db.commits), number(db.committed_requests),
                number(db.replayed_requests), number(db.failed_requests), number(db.overloaded),
                number(db.foreign_commits), number(db.retry.lock_errors), number(db.restarts)});
  }
  return result.empty() ? "no databases\n" : result.text();
}

std::string as_text(const store_status& x) {
  auto leader = x.in_process ? "none; this command led it for the moment" : fmt::format("pid {}", x.leader_pid);
  return fmt::format("store     {}\nleader    {}\ncache     {}\nrestarts  {}\n\n{}", x.broker.root, leader,
                     cache_text(x.broker.cache), x.broker.restarts, databases_text(x));
}

int run(const status_options& options) {
  auto store = open_existing(options.root);
  if (!store)
    return fail(store.error(), options.json);
  auto status = (*store)->status();
  if (!status)
    return fail(status.error(), options.json);
  return options.json ? finish_json(as_json(*status)) : finish(as_text(*status));
}

} // namespace

void declare_status(CLI::App& command, action& chosen) {
  auto options = std::make_shared<status_options>();
  command.add_option("ROOT", options->root, "Folder of the store [.]");
  command.add_flag("--json", options->json, "Print one JSON document, on failure too");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
