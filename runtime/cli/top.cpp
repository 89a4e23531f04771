#include "actors/base/counted.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/live_broker.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/raw_terminal.hpp"
#include "runtime/cli/request_text.hpp"
#include "runtime/cli/table.hpp"
#include "runtime/cli/terminal_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <unistd.h>

namespace sluice::cli {

namespace {

using nlohmann::json;
using steady = std::chrono::steady_clock;

constexpr auto to_the_right = alignment::right;
constexpr size_t agents_shown = 10;

struct top_options {
  std::string root = ".";
  double interval_s = 1;
  uint64_t count = 0;
};

// Counts since the last snapshot, per second; negative at the first.
class rates {
public:
  rates(const json& before, const json& now, double seconds) : before_(before), now_(now), seconds_(seconds) {}

  double of(const json::json_pointer& where) const {
    return seconds_ > 0 ? (number(now_, where) - number(before_, where)) / seconds_ : -1;
  }

private:
  static double number(const json& object, const json::json_pointer& where) {
    return object.contains(where) ? object.at(where).get<double>() : 0;
  }

  const json& before_;
  const json& now_;
  double seconds_;
};

// Nothing is known about the time before the first snapshot.
std::string per_second(double rate) { return rate < 0 ? "-" : fmt::format("{:.0f}/s", rate); }

std::string micros(double us) { return us >= 1e4 ? fmt::format("{:.1f} ms", us / 1e3) : fmt::format("{:.0f} us", us); }

std::string head(const json& now, const rates& rate) {
  const auto& leader = now.at("leader");
  const auto& door = now.at("front_door");
  const auto& cache = now.at("cache");
  auto hits = cache.at("hits").get<double>() + cache.at("joined").get<double>();
  auto reads = hits + cache.at("misses").get<double>();
  using p = json::json_pointer;
  return fmt::format(
    "sluice {} on {}, pid {}{}\n"
    "{}, {}; {} requests, {} failed\n"
    "cache {:.1f} % of reads, {}; {} hits, {} joined, {} misses\n",
    leader.at("version").get<std::string>(), printable(now.at("store_root").get<std::string>()),
    leader.at("pid").get<int64_t>(), leader.at("transient").get<bool>() ? ", transient" : "",
    counted(door.at("connections").get<uint64_t>(), "connection"),
    counted(door.at("subscriptions").get<uint64_t>(), "subscription"), per_second(rate.of(p{"/front_door/requests"})),
    per_second(rate.of(p{"/front_door/failed"})), reads > 0 ? 100 * hits / reads : 0,
    counted(cache.at("entries").get<uint64_t>(), "entry", "entries"), per_second(rate.of(p{"/cache/hits"})),
    per_second(rate.of(p{"/cache/joined"})), per_second(rate.of(p{"/cache/misses"})));
}

// The counters of a database in the last snapshot, by its name.
json find_database(const json& status, const std::string& name) {
  for (const auto& db : status.value("databases", json::array()))
    if (db.at("name") == name)
      return db;
  return json::object();
}

std::string databases(const json& before, const json& now, double seconds) {
  table databases{{{"DATABASE"},
                   {"QUEUED", to_the_right},
                   {"COMMITS", to_the_right},
                   {"WRITES", to_the_right},
                   {"PER COMMIT", to_the_right},
                   {"FAILED", to_the_right},
                   {"LAST COMMIT", to_the_right},
                   {"STATE"}}};
  for (const auto& db : now.at("databases")) {
    auto name = db.at("name").get<std::string>();
    auto old = find_database(before, name);
    rates rate{old, db, old.empty() ? 0 : seconds};
    using p = json::json_pointer;
    auto commits = rate.of(p{"/commits"});
    auto writes = rate.of(p{"/committed_requests"});
    databases.add({name, std::to_string(db.at("queued").get<uint64_t>()), per_second(commits), per_second(writes),
                   commits > 0 ? fmt::format("{:.1f}", writes / commits) : "-",
                   per_second(rate.of(p{"/failed_requests"})), std::to_string(db.at("last_commit_seq").get<uint64_t>()),
                   db.at("quarantined").get<bool>() ? "quarantined" : "ok"});
  }
  return databases.empty() ? "no databases\n" : databases.text();
}

std::string background(const json& now, const rates& rate) {
  const auto& buffer = now.at("buffer");
  const auto& log = now.at("log");
  using p = json::json_pointer;
  return fmt::format("buffer {} of {} pending, {} set aside; {} puts, {} rows flushed\n"
                     "log {} queued; {} written, {} dropped\n\n",
                     buffer.at("pending").get<uint64_t>(), counted(buffer.at("max_pending").get<uint64_t>(), "row"),
                     buffer.at("set_aside").get<uint64_t>(), per_second(rate.of(p{"/buffer/puts"})),
                     per_second(rate.of(p{"/buffer/flushed_rows"})), log.at("queued").get<uint64_t>(),
                     per_second(rate.of(p{"/log/written"})), per_second(rate.of(p{"/log/dropped"})));
}

std::string latencies(const json& now) {
  table methods{{{"METHOD"},
                 {"REQUESTS", to_the_right},
                 {"P50", to_the_right},
                 {"P99", to_the_right},
                 {"P99.9", to_the_right},
                 {"MAX", to_the_right}}};
  for (const auto& [method, each] : now.at("front_door").at("latency_us").items())
    methods.add({method, std::to_string(each.at("count").get<uint64_t>()), micros(each.at("p50").get<double>()),
                 micros(each.at("p99").get<double>()), micros(each.at("p99_9").get<double>()),
                 micros(each.at("max").get<double>())});
  return methods.empty() ? "" : "\nin the last 10 to 20 s:\n" + methods.text();
}

std::string agents(const json& now) {
  table agents{{{"AGENT"}, {"REQUESTS", to_the_right}, {"FAILED", to_the_right}, {"LAST SEEN", to_the_right}}};
  const auto& all = now.at("front_door").at("agents");
  for (size_t i = 0; i < std::min(agents_shown, all.size()); ++i)
    agents.add({all[i].at("agent").get<std::string>(), std::to_string(all[i].at("requests").get<uint64_t>()),
                std::to_string(all[i].at("failed").get<uint64_t>()),
                fmt::format("{:.1f} s ago", all[i].at("idle_ms").get<double>() / 1e3)});
  return agents.empty() ? "" : fmt::format("\n{} in the last minute:\n", counted(all.size(), "agent")) + agents.text();
}

int run(const top_options& options) {
  auto leader = connect_to_broker(options.root);
  if (!leader)
    return fail(leader.error(), false);
  raw_terminal terminal;
  auto interval = std::chrono::milliseconds{static_cast<int64_t>(options.interval_s * 1e3)};
  json before = json::object();
  auto looked_at = steady::now();
  for (uint64_t frames = 0; options.count == 0 || frames < options.count; ++frames) {
    auto now = status_for_agent(**leader);
    if (!now)
      return fail(now.error(), false);
    auto at = steady::now();
    auto seconds = before.empty() ? 0 : std::chrono::duration<double>(at - looked_at).count();
    rates rate{before, *now, seconds};
    auto frame = head(*now, rate) + background(*now, rate) + databases(before, *now, seconds) + running_text(*now)
                 + latencies(*now) + agents(*now);
    auto sent = terminal.is_one() ? print_raw(terminal.frame(frame + "\nq to quit\n")) : print(frame + "\n");
    if (sent != delivery::complete)
      return status_of(sent);
    before = std::move(*now);
    looked_at = at;
    if (frames + 1 != options.count && terminal.wait_for_quit(interval))
      return done;
  }
  return done;
}

} // namespace

void declare_top(CLI::App& command, action& chosen) {
  auto options = std::make_shared<top_options>();
  command.add_option("ROOT", options->root, "Folder of the store [.]");
  command.add_option("--interval", options->interval_s, "Seconds between two snapshots")
    ->check(CLI::Range(0.1, 3'600.0))
    ->capture_default_str();
  command.add_option("--count", options->count, "Stop after so many snapshots; 0 goes on until q or the broker ends")
    ->capture_default_str();
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
