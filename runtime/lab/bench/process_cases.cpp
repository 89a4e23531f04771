#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/cases.hpp"
#include "runtime/lab/bench/process.hpp"
#include "runtime/lab/bench/worker.hpp"
#include "runtime/server/front_door.hpp"
#include "runtime/server/metrics.hpp"

#include <algorithm>
#include <cstdlib>

namespace sluice::bench {

namespace {

using namespace std::chrono_literals;

// A broker with a front door, in this process: what worker processes find when they look for a leader.
class served_store {
public:
  served_store(const std::filesystem::path& root, synchronous_mode mode)
    : leader_(must(broker::open(config(root, mode)))) {
    auto db = must(leader_.open_database(items_file));
    must(db.write("bench", create_table));
    door_ = must(front_door::open(leader_, {}));
  }

  database items() { return must(leader_.open_database(items_file)); }
  broker& leader() noexcept { return leader_; }

private:
  static broker_config config(const std::filesystem::path& root, synchronous_mode mode) {
    broker_config config;
    config.root = root;
    config.synchronous = mode;
    return config;
  }

  broker leader_;
  std::unique_ptr<front_door> door_;
};

const char* name_of(synchronous_mode mode) { return mode == synchronous_mode::full ? "FULL" : "NORMAL"; }

std::string plural(size_t count) { return std::to_string(count) + (count == 1 ? " process" : " processes"); }

// How long a command takes from its start to its end, again and again.
measurement repeat(std::string contender, const bench_options& options, const std::function<void()>& before,
                   const std::vector<std::string>& command) {
  measurement result;
  result.contender = std::move(contender);
  auto stop_at = bench_clock::now() + options.duration;
  while (bench_clock::now() < stop_at || result.operations < 5) {
    before();
    auto begin = bench_clock::now();
    auto status = child_process{command}.wait();
    auto took = std::chrono::duration<double>(bench_clock::now() - begin).count();
    status == 0 ? ++result.operations : ++result.errors;
    if (result.errors > 5)
      throw std::runtime_error{result.contender + " fails"};
    result.seconds += took;
    result.latencies_us.push_back(static_cast<float>(took * 1e6));
  }
  return result;
}

double ratio_of_medians(measurement& a, measurement& b) {
  return quantile(a.latencies_us, 0.5) / quantile(b.latencies_us, 0.5);
}

} // namespace

case_report process_writers(const bench_options& options, size_t processes, synchronous_mode mode) {
  case_report report;
  report.name = plural(processes) + ", one row each in a loop, synchronous=" + name_of(mode);
  {
    scratch_folder folder{options.folder};
    served_store store{folder.path(), mode};
    report.contenders.push_back(
      run_processes("sluice, through the socket", processes, work::broker_write, folder.path(), options.duration));
    auto status = store.items().status();
    report.contenders.back().rows_per_commit =
      static_cast<double>(status.committed_requests) / static_cast<double>(std::max<uint64_t>(1, status.commits));
  }
  if (mode == synchronous_mode::full) {
    scratch_folder folder{options.folder};
    served_store store{folder.path(), mode};
    report.contenders.push_back(
      run_processes("sluice, buffer.put", processes, work::broker_put, folder.path(), options.duration));
    auto last = must(store.leader().buffer().flush());
    auto status = store.leader().status().buffer;
    report.contenders.back().errors += last.kept + last.set_aside;
    report.contenders.back().rows_per_commit =
      static_cast<double>(status.flushed_rows) / static_cast<double>(std::max<uint64_t>(1, status.flushes));
  }
  {
    scratch_folder folder{options.folder};
    open_raw(folder.path() / items_file, 5s);
    auto kind = mode == synchronous_mode::full ? work::direct_write_full : work::direct_write_normal;
    report.contenders.push_back(
      run_processes("direct, WAL, busy_timeout 5 s", processes, kind, folder.path(), options.duration));
    report.contenders.back().rows_per_commit = 1;
  }
  if (processes == 16 && mode == synchronous_mode::full) {
    auto& ours = report.contenders.front();
    auto& direct = report.contenders.back();
    report.goals = {{"times direct SQLite", ours.per_second() / direct.per_second(), 5, false},
                    {"of direct SQLite's p99.9",
                     quantile(ours.latencies_us, 0.999) / quantile(direct.latencies_us, 0.999), 0.05, true},
                    {"errors", static_cast<double>(ours.errors), 0, true}};
  }
  return report;
}

case_report cost_of_metrics(const bench_options& options) {
  case_report report;
  report.name = "one process reading a cached row through the socket, and the counting of an answer";
  scratch_folder folder{options.folder};
  {
    auto db = open_raw(folder.path() / items_file, 5s);
    fill(db);
  }
  {
    served_store store{folder.path(), synchronous_mode::full};
    report.contenders.push_back(
      run_processes("a cached read, counted", 1, work::broker_read_cached, folder.path(), options.duration));
  }
  metrics counted;
  auto stop_at = bench_clock::now() + options.duration;
  auto begin = bench_clock::now();
  measurement counting;
  counting.contender = "the counting alone";
  while (bench_clock::now() < stop_at)
    for (int i = 0; i < 1'000; ++i, ++counting.operations)
      counted.observe("read", "ok", std::chrono::microseconds{i});
  counting.seconds = std::chrono::duration<double>(bench_clock::now() - begin).count();
  report.contenders.push_back(std::move(counting));
  return report;
}

case_report process_readers(const bench_options& options, size_t processes) {
  case_report report;
  report.name = plural(processes) + " reading single rows";
  scratch_folder folder{options.folder};
  {
    auto db = open_raw(folder.path() / items_file, 5s);
    fill(db);
  }
  {
    served_store store{folder.path(), synchronous_mode::full};
    report.contenders.push_back(
      run_processes("sluice, cached", processes, work::broker_read_cached, folder.path(), options.duration));
    report.contenders.push_back(
      run_processes("sluice, uncached", processes, work::broker_read, folder.path(), options.duration));
  }
  report.contenders.push_back(
    run_processes("direct, prepared", processes, work::direct_read, folder.path(), options.duration));
  return report;
}

case_report cold_commands(const bench_options& options) {
  scratch_folder folder{options.folder};
  auto file = (folder.path() / items_file).string();
  open_raw(file, 5s);
  auto insert = "INSERT INTO items (agent, body) VALUES (1, 'x')";
  std::vector<std::string> exec{"/proc/self/exe", "exec", file, insert, "--agent", "bench"};
  case_report report;
  report.name = "one write per command, from its start to its end";
  {
    served_store store{folder.path(), synchronous_mode::full};
    report.contenders.push_back(repeat(
      "sluice exec, broker running", options, [] {}, exec));
  }
  // A broker that leaves at once, so that the next command has to start one.
  setenv("SLUICE_LINGER_MS", "1", 1);
  setenv("SLUICE_PROGRAM", "/proc/self/exe", 1);
  auto lock = folder.path() / ".sluice" / "broker.lock";
  auto until_gone = [&] {
    while (std::filesystem::exists(lock))
      std::this_thread::sleep_for(1ms);
  };
  report.contenders.push_back(repeat("sluice exec, starting a broker", options, until_gone, exec));
  until_gone();
  unsetenv("SLUICE_LINGER_MS");
  unsetenv("SLUICE_PROGRAM");
  report.contenders.push_back(repeat("sqlite3", options, [] {}, {"sqlite3", file, insert}));
  report.goals = {{"times the sqlite3 program, with a running broker",
                   ratio_of_medians(report.contenders[0], report.contenders[2]), 2, true}};
  return report;
}

} // namespace sluice::bench
