// Writes one row per key, from several threads, and prints a line on standard output after each acknowledgement. The
// crash test kills it and starts it again with the same keys.
//
//   keyed_writer FOLDER FIRST LAST

#include "runtime/broker/broker.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

bool write_key(const sluice::database& db, int number) {
  sluice::write_request request;
  request.agent = "writer-" + std::to_string(number % 4);
  request.idempotency_key = "key-" + std::to_string(number);
  request.request_id = "request-" + std::to_string(number);
  request.statements.push_back({"INSERT INTO log (n) VALUES (?)", {number}});
  auto done = db.write(request);
  if (!done) {
    std::fprintf(stderr, "%d: %s\n", number, sluice::describe(done.error()).message.c_str());
    return false;
  }
  auto line = std::to_string(number) + "\n";
  return ::write(STDOUT_FILENO, line.data(), line.size()) > 0;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 4)
    return 2;
  sluice::broker_config config;
  config.root = argv[1];
  auto broker = sluice::broker::open(config);
  if (!broker)
    return 1;
  auto db = broker->open_database("app.db");
  if (!db || !db->write("writer", "CREATE TABLE IF NOT EXISTS log (n INTEGER NOT NULL)"))
    return 1;
  std::atomic<int> next{std::atoi(argv[2])};
  const int last = std::atoi(argv[3]);
  std::atomic<bool> good{true};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (auto n = next++; n <= last; n = next++)
        if (!write_key(*db, n))
          good = false;
    });
  for (auto& thread : threads)
    thread.join();
  return good ? 0 : 1;
}
