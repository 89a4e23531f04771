#include "runtime/lab/bench/server_process.hpp"

#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/socket_bound.hpp"
#include "runtime/os/heap_policy.hpp"
#include "runtime/server/front_door.hpp"
#include "runtime/sqlite/core/allocation_bound.hpp"

#include <array>
#include <cstdio>
#include <unistd.h>

namespace sluice::bench {

namespace {

server_report report_of(broker& leader, const database& db) {
  server_report result;
  result.used = resource_usage::now();
  auto counts = counts_of(db);
  result.commits = counts.commits;
  result.committed_rows = counts.requests;
  auto buffer = leader.status().buffer;
  result.flushes = buffer.flushes;
  result.flushed_rows = buffer.flushed_rows;
  return result;
}

bool send_report(const server_report& report) {
  return std::fwrite(&report, sizeof report, 1, stdout) == 1 && std::fflush(stdout) == 0;
}

// As `sluice serve` sets up its process.
int serve_broker(synchronous_mode mode, const std::filesystem::path& root) {
  raise_descriptor_limit();
  heap_policy::give_memory_back();
  broker_config config;
  config.root = root;
  config.synchronous = mode;
  sqlite::install_allocation_bound();
  sqlite::limit_memory(config.page_memory_bytes, config.max_sqlite_bytes);
  auto leader = must(broker::open(config));
  auto db = must(leader.open_database(items_file));
  must(db.write("bench", create_table));
  auto door = must(front_door::open(leader, {}));
  std::puts("ready");
  std::fflush(stdout);
  for (char command = 0; read(STDIN_FILENO, &command, 1) == 1;) {
    uint64_t kept = 0;
    if (command == 'f') {
      auto flushed = must(leader.buffer().flush());
      kept = flushed.kept + flushed.set_aside;
    }
    auto report = report_of(leader, db);
    report.kept_rows = kept;
    if (!send_report(report))
      return 1;
  }
  door->stop();
  return leader.shutdown() ? 1 : 0;
}

std::vector<std::string> command_of(server_kind kind, const std::filesystem::path& root) {
  return {"/proc/self/exe", "bench-server", root.string(), std::to_string(static_cast<int>(kind))};
}

} // namespace

server_process::server_process(server_kind kind, const std::filesystem::path& root) : process_(command_of(kind, root)) {
  std::array<char, 6> ready{};
  process_.read_exactly(ready.data(), ready.size());
}

server_process::~server_process() {
  process_.close_input();
  process_.wait();
}

server_report server_process::report() { return ask('r'); }

server_report server_process::report_flushed() { return ask('f'); }

server_report server_process::ask(char command) {
  process_.write({&command, 1});
  server_report result;
  process_.read_exactly(&result, sizeof result);
  return result;
}

int run_server(server_kind kind, const std::filesystem::path& root) {
  switch (kind) {
  case server_kind::broker_full: return serve_broker(synchronous_mode::full, root);
  case server_kind::broker_normal: return serve_broker(synchronous_mode::normal, root);
  case server_kind::bound_full: return serve_socket_bound(synchronous_mode::full, root);
  default: return serve_socket_bound(synchronous_mode::normal, root);
  }
}

} // namespace sluice::bench
