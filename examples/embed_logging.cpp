// A host that logs with spdlog into the store's log database, and repeats a call of its own while the database is
// locked.
//
//   embed_logging [FOLDER]

#include "runtime/broker/broker.hpp"
#include "runtime/broker/log_sink.hpp"
#include "runtime/broker/retry.hpp"

#include <fmt/core.h>
#include <spdlog/logger.h>

#include <filesystem>

namespace {

int run(const std::filesystem::path& folder) {
  sluice::broker_config config;
  config.root = folder;
  auto broker = sluice::broker::open(config);
  if (!broker) {
    fmt::print("cannot open the store: {}\n", sluice::describe(broker.error()).message);
    return 1;
  }

  // Costs well under a microsecond per line; another thread writes them to the file.
  spdlog::logger log{"scanner", sluice::make_log_sink(*broker, "scan-7")};
  log.info("scan begun");
  log.warn("{} is no book", "notes.txt");

  auto db = broker->open_database("books.db");
  if (!db)
    return 1;
  // The broker's writer retries until the deadline of the request; this retries for longer.
  sluice::retry_policy patient;
  patient.attempts = 10;
  patient.deadline = std::chrono::minutes{1};
  sluice::retry_options options;
  options.counters = &broker->retries(); // for `sluice status`
  auto made = sluice::retry(
    patient, [&] { return db->write("scan-7", "CREATE TABLE IF NOT EXISTS books (title TEXT NOT NULL)"); }, options);
  if (!made) {
    auto error = sluice::describe(made.error());
    log.error("no table after {} tries in {} ms: {}", error.attempts, error.waited_ms, error.message);
    return 1;
  }

  sluice::log_query worth_reading;
  worth_reading.least = sluice::log_level::warning;
  auto page = broker->recent_logs(worth_reading);
  if (!page)
    return 1;
  for (const auto& entry : page->entries)
    fmt::print("{} {} [{}]: {}\n", to_string(entry.level), entry.source, entry.agent, entry.message);
  return 0;
}

} // namespace

int main(int argc, char** argv) { return run(argc > 1 ? argv[1] : "."); }
