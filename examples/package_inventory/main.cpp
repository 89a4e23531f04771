// Eight agents load this machine's package inventory into one SQLite file, through one broker, while others read; then
// eight direct connections do the same without one.
//
//   package_inventory [FOLDER [STATUS_FILE]]

#include "examples/package_inventory/inventory.hpp"
#include "runtime/broker/broker.hpp"
#include "runtime/cli/rowset_text.hpp"

#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace {

using namespace inventory;

constexpr size_t agents = 8;

const sluice::sql_text totals_by_section{select_totals};
const sluice::sql_text most_needed{select_most_needed};

// A package and its dependencies go in together or not at all; the key makes a repeated run change nothing.
sluice::write_request request_for(const package& package, const std::string& agent) {
  static const sluice::sql_text into_packages{insert_package};
  static const sluice::sql_text into_depends{insert_depends};
  sluice::write_request request;
  request.agent = agent;
  request.statements.push_back(
    {into_packages,
     {package.name, package.architecture, package.version, package.section, package.summary, package.installed_kib}});
  for (const auto& other : package.depends)
    request.statements.push_back({into_depends, {package.name, package.architecture, other}});
  return request;
}

void write_share(const sluice::database& db, const std::vector<package>& packages, size_t first, load_report& own) {
  auto agent = fmt::format("loader-{}", first + 1);
  for (size_t i = first; i < packages.size(); i += agents) {
    auto begin = std::chrono::steady_clock::now();
    auto done = db.write(request_for(packages[i], agent));
    own.latencies_us.push_back(
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
    if (done) {
      ++own.written;
      continue;
    }
    ++own.failed;
    auto error = sluice::describe(done.error());
    own.lock_errors += error.code == sluice::errc::busy;
    fmt::print(stderr, "{}: {}: {}\n", packages[i].name, to_string(error.code), error.message);
  }
}

uint64_t read_until(const sluice::database& db, const std::atomic<bool>& stop, std::string agent) {
  uint64_t reads = 0;
  while (!stop)
    for (const auto* query : {&totals_by_section, &most_needed})
      reads += db.read(agent, *query).engaged();
  return reads;
}

load_report load_through(const sluice::database& db, const std::vector<package>& packages, uint64_t& reads) {
  std::vector<load_report> parts(agents);
  std::vector<std::thread> loaders;
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> read_count{0};
  std::vector<std::thread> lookers;
  for (int i = 0; i < 2; ++i)
    lookers.emplace_back([&, i] { read_count += read_until(db, stop, fmt::format("reader-{}", i + 1)); });
  auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < agents; ++i)
    loaders.emplace_back([&, i] { write_share(db, packages, i, parts[i]); });
  for (auto& thread : loaders)
    thread.join();
  load_report total;
  total.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  stop = true;
  for (auto& thread : lookers)
    thread.join();
  reads = read_count;
  for (auto& part : parts) {
    total.written += part.written;
    total.failed += part.failed;
    total.lock_errors += part.lock_errors;
    total.latencies_us.insert(total.latencies_us.end(), part.latencies_us.begin(), part.latencies_us.end());
  }
  return total;
}

void show_query(const sluice::database& db, const sluice::sql_text& sql) {
  if (auto answer = db.read("reader", sql))
    fmt::print("{}\n", sluice::cli::as_table(*answer->rows));
}

void show_load(const char* name, const load_report& report) {
  fmt::print("  {:<28} {:>7.2f} s {:>8} {:>8} {:>12} {:>8.1f} ms {:>8.1f} ms {:>8.1f} ms\n", name, report.seconds,
             report.written, report.failed, report.lock_errors, quantile(report.latencies_us, 0.5) / 1e3,
             quantile(report.latencies_us, 0.99) / 1e3, quantile(report.latencies_us, 1) / 1e3);
}

void show_broker(const sluice::broker& broker, const sluice::database& db, uint64_t reads) {
  auto status = db.status();
  auto cache = broker.status().cache;
  fmt::print("writes {}, commits {}, requests per commit {:.1f}, lock errors {}\n", status.committed_requests,
             status.commits, static_cast<double>(status.committed_requests) / static_cast<double>(status.commits),
             status.retry.lock_errors);
  auto answered = cache.hits + cache.joined + cache.misses;
  fmt::print("reads {}, of which {:.1f} % from the cache, {} joined, {} ran a query\n", reads,
             answered > 0 ? 100.0 * static_cast<double>(cache.hits) / static_cast<double>(answered) : 0.0, cache.joined,
             cache.misses);
}

int run(const std::filesystem::path& folder, const std::filesystem::path& status_file) {
  auto packages = read_status_file(status_file);
  if (packages.empty()) {
    fmt::print(stderr, "no packages in {}\n", status_file.string());
    return 1;
  }
  sluice::broker_config config;
  config.root = folder;
  auto broker = sluice::broker::open(config);
  if (!broker) {
    fmt::print(stderr, "{}\n", sluice::describe(broker.error()).message);
    return 1;
  }
  auto db = broker->open_database("packages.db");
  if (!db)
    return 1;
  for (auto* sql : {create_packages, create_depends})
    if (auto made = db->write("host", sql); !made) {
      fmt::print(stderr, "{}\n", sluice::describe(made.error()).message);
      return 1;
    }

  fmt::print("{} packages, {} agents writing, 2 reading, one file, synchronous=FULL\n\n", packages.size(), agents);
  uint64_t reads = 0;
  auto ours = load_through(*db, packages, reads);
  show_broker(*broker, *db, reads);
  fmt::print("\n");
  show_query(*db, totals_by_section);
  show_query(*db, most_needed);
  auto verdict = broker->verify_audit();
  if (verdict)
    fmt::print("audit: {} records, {}\n\n", verdict->records, verdict->intact() ? "chain intact" : "BROKEN");

  auto theirs = load_directly(packages, folder / "direct.db", agents);
  fmt::print("  {:<28} {:>9} {:>8} {:>8} {:>12} {:>11} {:>11} {:>11}\n", "", "time", "written", "failed", "lock errors",
             "p50", "p99", "max");
  show_load("through sluice", ours);
  show_load("8 direct connections", theirs);
  fmt::print("\nsluice took 1/{:.1f} of the time, with the slowest write at 1/{:.1f}; both had 2 readers beside them\n",
             theirs.seconds / ours.seconds, quantile(theirs.latencies_us, 1) / quantile(ours.latencies_us, 1));
  auto good = ours.failed == 0 && ours.lock_errors == 0 && verdict && verdict->intact();
  return good ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) { return run(argc > 1 ? argv[1] : ".", argc > 2 ? argv[2] : "/var/lib/dpkg/status"); }
