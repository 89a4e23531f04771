#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/process.hpp"
#include "runtime/lab/bench/worker.hpp"
#include "runtime/os/descriptor.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace sluice::bench {

namespace {

// The head of a report by one worker, or of the sum of all; the latencies follow it.
struct report_head {
  uint64_t operations = 0;
  uint64_t completed = 0;
  uint64_t errors = 0;
  uint64_t latencies = 0;
  // The fewest operations of one process.
  uint64_t fewest = 0;
  double elapsed = 0;
  resource_usage used{};
};

void read_all(int fd, void* to, size_t size) {
  auto* at = static_cast<char*>(to);
  while (size > 0) {
    auto got = read(fd, at, size);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      throw std::runtime_error{"a benchmark worker ended early"};
    at += got;
    size -= static_cast<size_t>(got);
  }
}

void write_all(int fd, const void* from, size_t size) {
  const auto* at = static_cast<const char*>(from);
  while (size > 0) {
    auto put = write(fd, at, size);
    if (put < 0 && errno == EINTR)
      continue;
    if (put <= 0)
      throw std::runtime_error{"a benchmark worker cannot report"};
    at += put;
    size -= static_cast<size_t>(put);
  }
}

void send_all(int fd, const report_head& head, const std::vector<float>& latencies) {
  write_all(fd, &head, sizeof head);
  write_all(fd, latencies.data(), latencies.size() * sizeof(float));
}

// Appends the latencies.
report_head receive_all(int fd, std::vector<float>& latencies) {
  report_head head;
  read_all(fd, &head, sizeof head);
  auto old = latencies.size();
  latencies.resize(old + head.latencies);
  read_all(fd, latencies.data() + old, head.latencies * sizeof(float));
  return head;
}

// Runs in the worker's process: reports that it is ready, waits for the start time, works, and reports the results.
void run_one(work task, const std::filesystem::path& root, std::chrono::milliseconds duration, int start, int report) {
  report_head head;
  auto result = work_alone(task, root, [&](const std::function<bool()>& first, const std::function<bool()>& each) {
    if (!first())
      throw std::runtime_error{"a benchmark worker's first request failed"};
    write_all(report, "r", 1);
    int64_t start_at = 0;
    read_all(start, &start_at, sizeof start_at);
    bench_clock::time_point begin{std::chrono::nanoseconds{start_at}};
    std::this_thread::sleep_until(begin);
    auto before = resource_usage::now();
    measurement own;
    timed_loop(begin + duration, own, each);
    head.used = resource_usage::now() - before;
    head.elapsed = std::chrono::duration<double>(bench_clock::now() - begin).count();
    return own;
  });
  head.operations = head.fewest = result.operations;
  head.completed = result.completed;
  head.errors = result.errors;
  head.latencies = result.latencies_us.size();
  send_all(report, head, result.latencies_us);
}

struct child_worker {
  pid_t pid = -1;
  descriptor report;
};

std::pair<descriptor, descriptor> open_pipe() {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0)
    throw std::system_error{errno, std::generic_category(), "no pipe to a benchmark worker"};
  return {descriptor{ends[0]}, descriptor{ends[1]}};
}

child_worker fork_worker(const std::function<void(int report)>& work) {
  auto [from, to] = open_pipe();
  auto pid = fork();
  if (pid < 0)
    throw std::system_error{errno, std::generic_category(), "a benchmark worker cannot be started"};
  if (pid == 0) {
    try {
      work(to.get());
    } catch (const std::exception& error) {
      std::fprintf(stderr, "sluice bench-worker: %s\n", error.what());
      _exit(1);
    }
    _exit(0);
  }
  return {pid, std::move(from)};
}

} // namespace

int run_workers(size_t count, work task, const std::filesystem::path& root, std::chrono::milliseconds duration) {
  raise_descriptor_limit();
  auto start = open_pipe();
  std::vector<child_worker> workers;
  for (size_t i = 0; i < count; ++i)
    workers.push_back(fork_worker([&](int report) {
      // With the write end open in a worker, no worker would notice that the parent process has ended.
      start.second.reset();
      run_one(task, root, duration, start.first.get(), report);
    }));
  for (auto& worker : workers) {
    char ready = 0;
    read_all(worker.report.get(), &ready, 1);
  }
  write_all(STDOUT_FILENO, "ready\n", 6);
  int64_t start_at = 0;
  read_all(STDIN_FILENO, &start_at, sizeof start_at);
  for (size_t i = 0; i < count; ++i)
    write_all(start.second.get(), &start_at, sizeof start_at);
  report_head total;
  total.fewest = std::numeric_limits<uint64_t>::max();
  std::vector<float> latencies;
  for (auto& worker : workers) {
    auto head = receive_all(worker.report.get(), latencies);
    total.operations += head.operations;
    total.completed += head.completed;
    total.errors += head.errors;
    total.fewest = std::min(total.fewest, head.fewest);
    total.elapsed = std::max(total.elapsed, head.elapsed);
    total.used += head.used;
  }
  total.latencies = latencies.size();
  send_all(STDOUT_FILENO, total, latencies);
  for (const auto& worker : workers)
    waitpid(worker.pid, nullptr, 0);
  return 0;
}

measurement run_processes(size_t count, work task, const std::filesystem::path& root,
                          std::chrono::milliseconds duration, const std::function<void()>& ready) {
  child_process workers{std::vector<std::string>{"/proc/self/exe", "bench-worker", root.string(),
                                                 std::to_string(static_cast<int>(task)),
                                                 std::to_string(duration.count()), std::to_string(count)}};
  std::array<char, 6> said{};
  workers.read_exactly(said.data(), said.size());
  ready();
  // The start time is far enough ahead that every worker has received it: waking a thousand processes takes a while.
  auto start_at = (bench_clock::now() + std::chrono::milliseconds{5 + count / 32}).time_since_epoch();
  auto nanoseconds = int64_t{std::chrono::duration_cast<std::chrono::nanoseconds>(start_at).count()};
  workers.write({reinterpret_cast<const char*>(&nanoseconds), sizeof nanoseconds});
  report_head head;
  workers.read_exactly(&head, sizeof head);
  measurement total;
  total.latencies_us.resize(head.latencies);
  workers.read_exactly(total.latencies_us.data(), head.latencies * sizeof(float));
  total.operations = head.operations;
  total.completed = head.completed;
  total.errors = head.errors;
  total.seconds = std::chrono::duration<double>(duration).count();
  total.elapsed = head.elapsed;
  total.clients = head.used;
  total.fairness =
    ratio(static_cast<double>(head.fewest), static_cast<double>(head.operations) / static_cast<double>(count));
  return total;
}

} // namespace sluice::bench
