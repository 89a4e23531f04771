#include "runtime/lab/bench/measurement.hpp"

#include <latch>
#include <thread>

namespace sluice::bench {

void measurement::note(bool is_good, bench_clock::time_point begin, bench_clock::time_point end,
                       bench_clock::time_point stop_at) {
  if (is_good) {
    ++completed;
    operations += end <= stop_at ? 1 : 0;
  } else {
    ++errors;
  }
  latencies_us.push_back(std::chrono::duration<float, std::micro>(end - begin).count());
}

void measurement::add(const measurement& part) {
  operations += part.operations;
  completed += part.completed;
  errors += part.errors;
  latencies_us.insert(latencies_us.end(), part.latencies_us.begin(), part.latencies_us.end());
}

double measurement::per_second() const {
  // In a round that is shorter than one operation, no operation ends in time: the rate is then that of the late ones.
  return operations > 0 ? ratio(static_cast<double>(operations), seconds)
                        : ratio(static_cast<double>(completed), elapsed);
}

double quantile(const std::vector<float>& sorted, double q) {
  if (sorted.empty())
    return 0;
  return static_cast<double>(sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1))]);
}

double ratio(double a, double b) { return b > 0 ? a / b : 0; }

measurement run_threads(size_t threads, std::chrono::milliseconds duration,
                        const std::function<void(size_t, bench_clock::time_point, measurement&)>& loop) {
  std::vector<measurement> parts(threads);
  std::vector<std::thread> workers;
  std::latch ready{static_cast<ptrdiff_t>(threads) + 1};
  bench_clock::time_point stop_at;
  for (size_t i = 0; i < threads; ++i)
    workers.emplace_back([&, i] {
      ready.arrive_and_wait();
      loop(i, stop_at, parts[i]);
    });
  auto begin = bench_clock::now();
  stop_at = begin + duration;
  ready.arrive_and_wait();
  for (auto& worker : workers)
    worker.join();
  measurement total;
  total.seconds = std::chrono::duration<double>(duration).count();
  total.elapsed = std::chrono::duration<double>(bench_clock::now() - begin).count();
  for (const auto& part : parts)
    total.add(part);
  return total;
}

void timed_loop(bench_clock::time_point stop_at, measurement& own, const std::function<bool()>& operation) {
  auto begin = bench_clock::now();
  do {
    auto good = operation();
    auto end = bench_clock::now();
    own.note(good, begin, end, stop_at);
    begin = end;
  } while (begin < stop_at);
}

} // namespace sluice::bench
