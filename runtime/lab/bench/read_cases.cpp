#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/cases.hpp"
#include "runtime/lab/bench/goals.hpp"

#include <fmt/format.h>

#include <mutex>

namespace sluice::bench {

namespace {

using namespace std::chrono_literals;

struct read_broker {
  explicit read_broker(const std::filesystem::path& root) {
    fill_file(root / items_file);
    host.emplace(open_broker(root));
    db.emplace(must(host->open_database(items_file)));
  }

  std::optional<broker> host;
  std::optional<database> db;
};

struct read_connection {
  explicit read_connection(const std::filesystem::path& file)
    : db(must(sqlite::connection::open(file, {}))), select(must(sqlite::prepared_statement::prepare(db, select_row))) {}

  sqlite::connection db;
  sqlite::prepared_statement select;
};

// Calls are too short to be timed one by one.
template <class Operation> measurement mean_of(std::chrono::milliseconds duration, Operation operation) {
  measurement result;
  auto begin = bench_clock::now();
  while (bench_clock::now() - begin < duration)
    for (int i = 0; i < 1'000; ++i)
      operation() ? ++result.operations : ++result.errors;
  result.completed = result.operations;
  result.seconds = result.elapsed = std::chrono::duration<double>(bench_clock::now() - begin).count();
  return result;
}

session open_cached(const std::filesystem::path& folder) {
  auto store = std::make_shared<read_broker>(folder);
  return [store](const bench_round& round) {
    auto request = select_request("bench", 42);
    return mean_of(round.duration, [&] {
      auto answer = store->db->read(request);
      return answer && answer->rows->size() == 1;
    });
  };
}

session open_prepared(const std::filesystem::path& folder) {
  fill_file(folder / items_file);
  auto store = std::make_shared<read_connection>(folder / items_file);
  return
    [store](const bench_round& round) { return mean_of(round.duration, [&] { return read_raw(store->select, 42); }); };
}

read_request fresh_request(const std::string& agent, int64_t id) {
  auto request = select_request(agent, id);
  request.freshness = freshness::fresh;
  return request;
}

std::vector<row_walk> walks_of(size_t count) {
  std::vector<row_walk> result;
  for (size_t i = 0; i < count; ++i)
    result.emplace_back(static_cast<int64_t>(i * 631));
  return result;
}

contender actors_reading(size_t count) {
  return {"sluice, actors", contender_kind::sluice, [count](const std::filesystem::path& folder) -> session {
            auto store = std::make_shared<read_broker>(folder);
            auto walks = std::make_shared<std::vector<row_walk>>(walks_of(count));
            return [=](const bench_round& round) {
              return run_actors(store->host->system(), count, 1, round.duration,
                                [&](caf::event_based_actor* self, size_t i, std::function<void(bool)> done) {
                                  store->db->read(self, fresh_request("agent", (*walks)[i].next()))
                                    .then([done](const read_result& answer) { done(answer.rows->size() == 1); },
                                          [done](const caf::error&) { done(false); });
                                });
            };
          }};
}

contender threads_reading(size_t count) {
  return {"sluice, threads", contender_kind::sluice, [count](const std::filesystem::path& folder) -> session {
            auto store = std::make_shared<read_broker>(folder);
            auto walks = std::make_shared<std::vector<row_walk>>(walks_of(count));
            return [=](const bench_round& round) {
              return run_threads(count, round.duration,
                                 [&](size_t i, bench_clock::time_point stop_at, measurement& own) {
                                   timed_loop(stop_at, own, [&] {
                                     auto answer = store->db->read(fresh_request("thread", (*walks)[i].next()));
                                     return answer && answer->rows->size() == 1;
                                   });
                                 });
            };
          }};
}

contender connections_reading(size_t count) {
  return {"threads, a connection and a prepared statement each", contender_kind::direct,
          [count](const std::filesystem::path& folder) -> session {
            fill_file(folder / items_file);
            auto stores = std::make_shared<std::vector<read_connection>>();
            for (size_t i = 0; i < count; ++i)
              stores->emplace_back(folder / items_file);
            auto walks = std::make_shared<std::vector<row_walk>>(walks_of(count));
            return [=](const bench_round& round) {
              return run_threads(
                count, round.duration, [&](size_t i, bench_clock::time_point stop_at, measurement& own) {
                  timed_loop(stop_at, own, [&] { return read_raw((*stores)[i].select, (*walks)[i].next()); });
                });
            };
          }};
}

contender mutex_around_one_reader(size_t count) {
  return {"threads, a mutex around one connection", contender_kind::direct,
          [count](const std::filesystem::path& folder) -> session {
            fill_file(folder / items_file);
            auto store = std::make_shared<read_connection>(folder / items_file);
            auto mutex = std::make_shared<std::mutex>();
            auto walks = std::make_shared<std::vector<row_walk>>(walks_of(count));
            return [=](const bench_round& round) {
              return run_threads(count, round.duration,
                                 [&](size_t i, bench_clock::time_point stop_at, measurement& own) {
                                   timed_loop(stop_at, own, [&] {
                                     std::lock_guard guard{*mutex};
                                     return read_raw(store->select, (*walks)[i].next());
                                   });
                                 });
            };
          }};
}

} // namespace

bench_case cached_reads() {
  bench_case result;
  result.name = "cached-read";
  result.title = "the same point read again and again, one thread";
  result.contenders = {{"sluice, hit table", contender_kind::sluice, open_cached},
                       {"prepared statement", contender_kind::direct, open_prepared}};
  result.goals = {time_goal("of the time of a prepared point read", 0, 1, 0.05)};
  return result;
}

bench_case uncached_reads(size_t agents) {
  bench_case result;
  result.name = fmt::format("uncached-reads-{}", agents);
  result.title = fmt::format("{} agents in one process read rows that are not cached", agents);
  result.contenders = {actors_reading(agents), threads_reading(agents), connections_reading(agents),
                       mutex_around_one_reader(agents)};
  result.goals = {rate_goal("of as many threads with prepared SQLite", 0, 2, 0.5)};
  return result;
}

} // namespace sluice::bench
