#include "runtime/lab/bench/process.hpp"
#include "runtime/lab/bench/worker.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>

namespace sluice::bench {

namespace {

struct head {
  uint64_t operations = 0;
  uint64_t errors = 0;
  uint64_t latencies = 0;
};

void add_report(child_process& from, measurement& to, std::vector<uint64_t>& shares) {
  head counts;
  from.read_exactly(&counts, sizeof counts);
  to.operations += counts.operations;
  to.errors += counts.errors;
  shares.push_back(counts.operations);
  auto old = to.latencies_us.size();
  to.latencies_us.resize(old + counts.latencies);
  from.read_exactly(to.latencies_us.data() + old, counts.latencies * sizeof(float));
}

} // namespace

measurement run_processes(std::string contender, size_t count, work kind, const std::filesystem::path& root,
                          std::chrono::milliseconds duration) {
  std::vector<std::unique_ptr<child_process>> workers;
  for (size_t i = 0; i < count; ++i)
    workers.push_back(std::make_unique<child_process>(
      std::vector<std::string>{"/proc/self/exe", "bench-worker", root.string(), std::to_string(static_cast<int>(kind)),
                               std::to_string(duration.count())}));
  for (auto& worker : workers) {
    std::array<char, 6> ready{};
    worker->read_exactly(ready.data(), ready.size());
  }
  auto begin = bench_clock::now();
  for (auto& worker : workers)
    worker->write("go\n");
  measurement total;
  total.contender = std::move(contender);
  std::vector<uint64_t> shares;
  for (auto& worker : workers)
    add_report(*worker, total, shares);
  total.seconds = std::chrono::duration<double>(bench_clock::now() - begin).count();
  auto mean = static_cast<double>(total.operations) / static_cast<double>(count);
  total.fairness = mean > 0 ? static_cast<double>(*std::min_element(shares.begin(), shares.end())) / mean : 0;
  return total;
}

} // namespace sluice::bench
