// Measures the single steps of a request. Quote ratios of the results, because machines differ.

#include "actors/shared/result_cache.hpp"
#include "actors/shared/write_quota.hpp"
#include "runtime/os/machine_clock.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace sluice;

read_request point_read(int64_t id) {
  read_request request;
  request.agent = "bench";
  request.query = {"SELECT body FROM items WHERE id = ?", {id}};
  request.limits = {10'000, 8 << 20, std::chrono::milliseconds{5'000}};
  return request;
}

read_result one_row() {
  auto rows = rowset{std::make_shared<const rowset::column_names>(rowset::column_names{"body"})};
  rows.append(std::string(90, 'x'));
  read_result result;
  result.rows = std::make_shared<const rowset>(std::move(rows));
  return result;
}

void hit_in_a_full_table(benchmark::State& state) {
  machine_clock time;
  database_context context{"app.db"};
  result_cache hits{{true, std::chrono::hours{1}, 1ULL << 30}};
  dependencies tables{&context.versions().changed_at("items")};
  for (int64_t id = 0; id < state.range(0); ++id) {
    auto request = point_read(id);
    hits.insert(context, request, request.limits, one_row(), tables, context.versions().now(), time.now());
  }
  auto request = point_read(state.range(0) / 2);
  for (auto _ : state)
    benchmark::DoNotOptimize(hits.find(context, request, request.limits, time.now()));
}
BENCHMARK(hit_in_a_full_table)->Arg(1)->Arg(1'000)->Arg(100'000);

void admit_and_release(benchmark::State& state) {
  static write_quota queue{{}};
  write_request request;
  request.agent = "agent-" + std::to_string(state.thread_index());
  for (auto _ : state) {
    benchmark::DoNotOptimize(queue.admit(request, clock::steady::max()));
    queue.release(*request.ticket);
  }
}
BENCHMARK(admit_and_release)->Threads(1)->Threads(4);

void copy_a_request(benchmark::State& state) {
  auto request = point_read(1);
  for (auto _ : state)
    benchmark::DoNotOptimize(read_request{request});
}
BENCHMARK(copy_a_request);

} // namespace
