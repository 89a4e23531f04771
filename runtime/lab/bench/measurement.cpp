#include "runtime/lab/bench/measurement.hpp"

#include <algorithm>
#include <latch>
#include <thread>

namespace sluice::bench {

double quantile(std::vector<float>& values, double q) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  auto index = static_cast<size_t>(q * static_cast<double>(values.size() - 1));
  return static_cast<double>(values[index]);
}

measurement run_threads(std::string contender, size_t threads, std::chrono::milliseconds duration,
                        const std::function<void(bench_clock::time_point, measurement&)>& loop) {
  std::vector<measurement> parts(threads);
  std::vector<std::thread> workers;
  std::latch ready{static_cast<ptrdiff_t>(threads) + 1};
  bench_clock::time_point stop_at;
  for (auto& own : parts)
    workers.emplace_back([&] {
      ready.arrive_and_wait();
      loop(stop_at, own);
    });
  auto begin = bench_clock::now();
  stop_at = begin + duration;
  ready.arrive_and_wait();
  for (auto& worker : workers)
    worker.join();
  measurement total;
  total.contender = std::move(contender);
  total.seconds = std::chrono::duration<double>(bench_clock::now() - begin).count();
  for (const auto& part : parts) {
    total.operations += part.operations;
    total.errors += part.errors;
    total.latencies_us.insert(total.latencies_us.end(), part.latencies_us.begin(), part.latencies_us.end());
  }
  return total;
}

void timed_loop(bench_clock::time_point stop_at, measurement& own, const std::function<bool()>& operation) {
  for (auto begin = bench_clock::now(); begin < stop_at;) {
    auto good = operation();
    auto end = bench_clock::now();
    good ? ++own.operations : ++own.errors;
    own.latencies_us.push_back(std::chrono::duration<float, std::micro>(end - begin).count());
    begin = end;
  }
}

} // namespace sluice::bench
