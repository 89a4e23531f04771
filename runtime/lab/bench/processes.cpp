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
  head x;
  from.read_exactly(&x, sizeof x);
  to.operations += x.operations;
  to.errors += x.errors;
  shares.push_back(x.operations);
  auto old = to.latencies_us.size();
  to.latencies_us.resize(old + x.latencies);
  from.read_exactly(to.latencies_us.data() + old, x.latencies * sizeof(float));
}

} // namespace

measurement run_processes(std::string contender, size_t count, work what, const std::filesystem::path& root,
                          std::chrono::milliseconds duration) {
  std::vector<std::unique_ptr<child_process>> workers;
  for (size_t i = 0; i < count; ++i)
    workers.push_back(std::make_unique<child_process>(
      std::vector<std::string>{"/proc/self/exe", "bench-worker", root.string(), std::to_string(static_cast<int>(what)),
                               std::to_string(duration.count())}));
  for (auto& x : workers) {
    std::array<char, 6> ready{};
    x->read_exactly(ready.data(), ready.size());
  }
  auto begin = bench_clock::now();
  for (auto& x : workers)
    x->write("go\n");
  measurement total;
  total.contender = std::move(contender);
  std::vector<uint64_t> shares;
  for (auto& x : workers)
    add_report(*x, total, shares);
  total.seconds = std::chrono::duration<double>(bench_clock::now() - begin).count();
  auto mean = static_cast<double>(total.operations) / static_cast<double>(count);
  total.fairness = mean > 0 ? static_cast<double>(*std::min_element(shares.begin(), shares.end())) / mean : 0;
  return total;
}

} // namespace sluice::bench
