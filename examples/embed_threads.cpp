// A host of plain threads: four workers write to one SQLite file through one broker, without lock errors.
//
//   embed_threads [FOLDER]

#include "runtime/broker/broker.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <thread>
#include <vector>

namespace {

void work(const sluice::database& db, int number) {
  auto agent = fmt::format("worker-{}", number);
  for (int task = 0; task < 100; ++task) {
    // Returns when the row is on disk.
    auto done = db.write(agent, "INSERT INTO tasks (worker, task) VALUES (?, ?)", {number, task});
    if (!done)
      fmt::print("{}: {}\n", agent, sluice::describe(done.error()).message);
  }
}

int run(const std::filesystem::path& folder) {
  sluice::broker_config config;
  config.root = folder;
  auto broker = sluice::broker::open(config);
  if (!broker) {
    fmt::print("cannot open the store: {}\n", sluice::describe(broker.error()).message);
    return 1;
  }
  auto db = broker->open_database("tasks.db");
  if (!db || !db->write("host", "CREATE TABLE IF NOT EXISTS tasks (worker INTEGER NOT NULL, task INTEGER NOT NULL)"))
    return 1;

  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i)
    workers.emplace_back(work, std::cref(*db), i);
  for (auto& worker : workers)
    worker.join();

  // With a future, the thread can do other work meanwhile.
  sluice::read_request count;
  count.agent = "host";
  count.query.sql = "SELECT worker, count(*) FROM tasks GROUP BY worker";
  auto answer = db->read_async(count).get();
  if (!answer)
    return 1;
  for (size_t i = 0; i < answer->rows->size(); ++i)
    fmt::print("worker {} has {} tasks\n", *answer->rows->at(i, 0).integer(), *answer->rows->at(i, 1).integer());

  auto status = db->status();
  fmt::print("{} writes in {} commits\n", status.committed_requests, status.commits);
  return 0;
}

} // namespace

int main(int argc, char** argv) { return run(argc > 1 ? argv[1] : "."); }
