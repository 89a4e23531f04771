#include "actors/base/counted.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_text.hpp"
#include "runtime/cli/table.hpp"
#include "runtime/cli/terminal_text.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

namespace sluice::cli {

namespace {

using nlohmann::json;

// This many fit on a screen; --json lists all of them.
constexpr size_t slow_shown = 5;

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

// A counter of the status, with its noun in singular and plural; without a plural both are the same.
struct count_words {
  const char* member;
  std::string_view singular;
  std::string_view plural = singular;
};

// A list of the counts above zero.
std::string counts_text(const json& status, std::initializer_list<count_words> all) {
  std::string result;
  for (const auto& words : all)
    if (auto count = status.at(words.member).get<uint64_t>(); count > 0)
      result += (result.empty() ? "" : ", ") + counted(count, words.singular, words.plural);
  return result.empty() ? "nothing yet" : result;
}

std::string leader_text(const json& status) {
  const auto& leader = status.at("leader");
  if (leader.at("in_process").get<bool>())
    return "none; this command led it for the moment";
  return fmt::format("pid {}, for {}, {} of actors", leader.at("pid").get<int64_t>(),
                     duration_text(status.at("uptime_ms").get<uint64_t>() * 1'000),
                     counted(status.at("restarts").get<uint64_t>(), "restart"));
}

std::string cache_text(const json& status) {
  if (!status.at("enabled").get<bool>())
    return "off";
  auto count = [&](const char* name) { return status.at(name).get<uint64_t>(); };
  return fmt::format("{}, {}; {}, {} joined, {}; {} invalidated, {} evicted",
                     counted(count("entries"), "entry", "entries"), size_text(count("bytes")),
                     counted(count("hits"), "hit"), count("joined"), counted(count("misses"), "miss", "misses"),
                     count("invalidated"), count("evicted"));
}

std::string answers_text(const json& answers, const json& cursors) {
  return fmt::format("{} of {} taken by rows; {} of {} open", size_text(answers.at("bytes").get<uint64_t>()),
                     size_text(answers.at("max_bytes").get<uint64_t>()), cursors.at("open").get<uint64_t>(),
                     counted(cursors.at("max").get<uint64_t>(), "cursor"));
}

std::string commits_text(const json& status) {
  return fmt::format("{} in all, {:.1f} writes each; {} queued", status.at("commits").get<uint64_t>(),
                     status.at("requests_per_commit").get<double>(), status.at("queued").get<uint64_t>());
}

std::string buffer_text(const json& status) {
  return fmt::format("{} of {} pending, {}; {}", status.at("pending").get<uint64_t>(),
                     counted(status.at("max_pending").get<uint64_t>(), "row"),
                     status.at("journal").get<bool>() ? "journaled" : "in memory",
                     counts_text(status, {{"puts", "put", "puts"},
                                          {"merged", "merged"},
                                          {"flushed_rows", "flushed"},
                                          {"overloaded", "refused"},
                                          {"failed_flushes", "failed flush", "failed flushes"},
                                          {"set_aside", "set aside"}}));
}

std::string failing_text(const json& status) {
  return status.at("failing").get<bool>() ? "; FAILING: " + status.at("last_error").get<std::string>() : "";
}

std::string log_text(const json& status) {
  return counts_text(status, {{"written", "written"},
                              {"queued", "queued"},
                              {"dropped", "dropped"},
                              {"lost", "lost"},
                              {"cut", "cut"},
                              {"pruned", "pruned"}})
         + failing_text(status);
}

std::string audit_text(const json& status) {
  return counts_text(status,
                     {{"written", "written"}, {"pending", "pending"}, {"recovered", "recovered"}, {"lost", "lost"}})
         + failing_text(status);
}

std::string retry_text(const json& status) {
  if (status.at("lock_errors").get<uint64_t>() == 0)
    return "no lock was refused";
  return counts_text(status, {{"lock_errors", "lock error", "lock errors"},
                              {"retries", "retry", "retries"},
                              {"successes_after_retry", "succeeded after"},
                              {"failures", "gave up"}})
         + fmt::format("; waits: {} mean, {} longest; {:.1f} % refused in five minutes",
                       duration_text(status.at("mean_wait_ms").get<uint64_t>() * 1'000),
                       duration_text(status.at("max_wait_ms").get<uint64_t>() * 1'000),
                       100 * status.at("error_rate_5m").get<double>());
}

// A broker of an earlier version has none.
std::string policy_summary(const json& status) {
  auto policy = status.value("policy", json::object());
  auto text = policy.value("summary", std::string{"none: the owner of the folder may do everything"});
  auto mistake = policy.value("mistake", std::string{});
  return mistake.empty() ? text : text + "; NOT IN FORCE: " + mistake;
}

std::string databases_text(const json& databases) {
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

// One line of it, for a table.
std::string slow_text(const json& status) {
  constexpr auto right = alignment::right;
  const auto& slow = status.at("slow");
  table result{{{"SLOWEST", right},
                {"QUEUE", right},
                {"LOCK", right},
                {"EXECUTE", right},
                {"COMMIT", right},
                {"AGENT"},
                {"DATABASE"},
                {"SQL"}}};
  for (size_t i = 0; i < std::min(slow_shown, slow.size()); ++i) {
    auto time = [&](const char* name) { return duration_text(slow[i].at(name).get<uint64_t>()); };
    auto text = [&](const char* name) { return slow[i].at(name).get<std::string>(); };
    result.add({time("total_us"), time("queue_us"), time("lock_us"), time("execute_us"), time("commit_us"),
                text("agent"), text("db"), short_sql(text("sql"))});
  }
  return result.empty() ? "" : "\n" + result.text();
}

std::string status_text(const json& status) {
  std::string result;
  auto add = [&](const char* name, const std::string& text) {
    result += fmt::format("{:<9} {}\n", name, printable(text));
  };
  add("store", status.at("store_root").get<std::string>());
  add("leader", leader_text(status));
  add("commits", commits_text(status.at("totals")));
  add("cache", cache_text(status.at("cache")));
  add("answers", answers_text(status.at("answers"), status.at("cursors")));
  add("buffer", buffer_text(status.at("buffer")));
  add("log", log_text(status.at("log")));
  add("audit", audit_text(status.at("audit")));
  add("locks", retry_text(status.at("retry")));
  add("policy", policy_summary(status));
  if (status.at("host_retry").at("lock_errors").get<uint64_t>() > 0)
    add("hosts", retry_text(status.at("host_retry")));
  add("slow", counted(status.at("slow_warnings").get<uint64_t>(), "request") + " over the limits");
  return result + "\n" + databases_text(status.at("databases")) + running_text(status) + slow_text(status);
}

int run(const status_options& options) {
  auto store = open_existing(options.root);
  if (!store)
    return fail(store.error(), options.json);
  auto status = status_for_agent(**store);
  if (!status)
    return fail(status.error(), options.json);
  return options.json ? finish_json(*status) : finish(status_text(*status));
}

} // namespace

void declare_status(CLI::App& command, action& chosen) {
  auto options = std::make_shared<status_options>();
  command.add_option("ROOT", options->root, "Folder of the store [.]");
  command.add_flag("--json", options->json, "Print one JSON document, on failure too");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
