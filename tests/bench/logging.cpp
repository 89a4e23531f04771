// Measures the cost of a log call for its caller. Another thread empties the queue, as the log actor does.

#include "runtime/broker/log_sink.hpp"
#include "runtime/os/machine_clock.hpp"

#include <benchmark/benchmark.h>
#include <spdlog/logger.h>

#include <atomic>
#include <filesystem>
#include <optional>
#include <thread>

namespace {

using namespace sluice;

constexpr std::string_view a_line = "scanned 1,024 files in /srv/library/incoming, 12 of them new, in 318 ms";

// A broker on a folder of its own, with its log actor and its file.
class bench_fixture {
public:
  bench_fixture() {
    auto pattern = (std::filesystem::temp_directory_path() / "sluice-bench-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    broker_config config;
    config.root = folder_;
    host.emplace(std::move(*broker::open(config)));
  }

  bench_fixture(const bench_fixture&) = delete;
  bench_fixture& operator=(const bench_fixture&) = delete;

  ~bench_fixture() {
    host.reset();
    std::filesystem::remove_all(folder_);
  }

  std::optional<broker> host;

private:
  std::filesystem::path folder_;
};

std::optional<bench_fixture> shared;

void begin(const benchmark::State&) { shared.emplace(); }
void end(const benchmark::State&) { shared.reset(); }

void report(benchmark::State& state) {
  if (state.thread_index() != 0)
    return;
  auto status = shared->host->status().log;
  auto pushed = static_cast<double>(status.written + status.dropped + status.queued);
  state.counters["dropped_%"] = pushed > 0 ? 100 * static_cast<double>(status.dropped) / pushed : 0;
}

// The callers log without a pause, faster than the file can be written, so most entries are dropped.
void log_call_in_a_flood(benchmark::State& state) {
  auto out = shared->host->logs();
  for (auto _ : state)
    out.log(log_level::info, "scanner", a_line, "alice");
  report(state);
}
BENCHMARK(log_call_in_a_flood)->Threads(1)->Threads(8)->Setup(begin)->Teardown(end);

// The queue alone, without a thread that empties it.
void log_call_into_the_queue(benchmark::State& state) {
  static log_queue queue{{}, std::make_shared<machine_clock>()};
  for (auto _ : state)
    queue.push(log_level::info, "scanner", a_line, "alice");
}
BENCHMARK(log_call_into_the_queue)->Threads(1)->Threads(8);

void log_call_by_spdlog(benchmark::State& state) {
  spdlog::logger log{"scanner", make_log_sink(*shared->host)};
  auto n = 0;
  for (auto _ : state)
    log.info("scanned {} files in {}, {} of them new, in {} ms", ++n, "/srv/library/incoming", 12, 318);
  report(state);
}
BENCHMARK(log_call_by_spdlog)->Threads(1)->Threads(8)->Setup(begin)->Teardown(end);

// A long message in a language with many characters beyond ASCII, cut.
void log_call_with_a_long_message(benchmark::State& state) {
  static log_queue queue{{}, std::make_shared<machine_clock>()};
  std::string text;
  while (text.size() < 20'000)
    text += "Gr\xc3\xbc\xc3\x9f dich, \xe4\xb8\x96\xe7\x95\x8c ";
  for (auto _ : state)
    queue.push(log_level::info, "scanner", text, "alice");
}
BENCHMARK(log_call_with_a_long_message);

} // namespace
