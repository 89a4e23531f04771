#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/table.hpp"

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

std::string cache_text(const nlohmann::json& x) {
  if (!x.at("enabled").get<bool>())
    return "off";
  auto count = [&](const char* name) { return x.at(name).get<uint64_t>(); };
  return fmt::format("{} entries, {}; {} hits, {} joined, {} misses; {} invalidated, {} evicted", count("entries"),
                     size_text(count("bytes")), count("hits"), count("joined"), count("misses"), count("invalidated"),
                     count("evicted"));
}

std::string databases_text(const nlohmann::json& databases) {
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
  for (const auto& db : databases) {
    auto count = [&](const char* name) { return db.at(name).get<uint64_t>(); };
    auto number = [&](const char* name) { return std::to_string(count(name)); };
    result.add({db.at("name").get<std::string>(), db.at("quarantined").get<bool>() ? "quarantined" : "ok",
                size_text(count("file_bytes")), size_text(count("wal_file_bytes")), number("last_commit_seq"),
                number("queued"), number("commits"), number("committed_requests"), number("replayed_requests"),
                number("failed_requests"), number("overloaded"), number("foreign_commits"),
                std::to_string(db.at("retry").at("lock_errors").get<uint64_t>()), number("restarts")});
  }
  return result.empty() ? "no databases\n" : result.text();
}

std::string as_text(const nlohmann::json& x) {
  const auto& leader = x.at("leader");
  auto who = leader.at("in_process").get<bool>() ? "none; this command led it for the moment"
                                                 : fmt::format("pid {}", leader.at("pid").get<int64_t>());
  return fmt::format("store     {}\nleader    {}\ncache     {}\nrestarts  {}\n\n{}",
                     x.at("store_root").get<std::string>(), who, cache_text(x.at("cache")),
                     x.at("restarts").get<uint64_t>(), databases_text(x.at("databases")));
}

int run(const status_options& options) {
  auto store = open_existing(options.root);
  if (!store)
    return fail(store.error(), options.json);
  auto status = (*store)->status();
  if (!status)
    return fail(status.error(), options.json);
  return options.json ? finish_json(*status) : finish(as_text(*status));
}

} // namespace

void declare_status(CLI::App& command, action& chosen) {
  auto options = std::make_shared<status_options>();
  command.add_option("ROOT", options->root, "Folder of the store [.]");
  command.add_flag("--json", options->json, "Print one JSON document, on failure too");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
