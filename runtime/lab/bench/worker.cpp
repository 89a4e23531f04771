#include "runtime/lab/bench/worker.hpp"

#include "runtime/client/client.hpp"
#include "runtime/lab/bench/bench_fixture.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <unistd.h>

namespace sluice::bench {

namespace {

using operation = std::function<bool()>;

// Steps through the rows so that neighbours in time are none in the file.
int64_t next_row(int64_t& at) { return (at = (at + 7'919) % rows_to_read) + 1; }

operation through_broker(work kind, client& way) {
  if (kind == work::broker_write)
    return [&way, agent = "process-" + std::to_string(getpid())] {
      return way.write(insert_request(agent, getpid())).engaged();
    };
  if (kind == work::broker_put)
    return [&way, id = int64_t{getpid()} << 32]() mutable {
      return way
        .call("buffer.put", {{"db", items_file},
                             {"table", "items"},
                             {"operation", "upsert"},
                             {"key", {{"id", ++id}}},
                             {"values", {{"agent", getpid()}, {"body", row_body}}},
                             {"agent", "background"},
                             {"wait_ms", 30'000}})
        .engaged();
    };
  return [&way, kind, at = int64_t{getpid()}]() mutable {
    static const sql_text sql{select_row};
    read_request request;
    request.db = items_file;
    request.agent = "reader";
    request.query = {sql, {kind == work::broker_read_cached ? int64_t{1} : next_row(at)}};
    return way.read(std::move(request)).engaged();
  };
}

operation direct(work kind, sqlite::connection& db, sqlite::prepared_statement& statement) {
  if (kind != work::direct_read) {
    must(db.exec(kind == work::direct_write_full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
    return [&statement] { return insert_raw(statement, getpid()); };
  }
  return [&statement, at = int64_t{getpid()}]() mutable {
    statement.bind(1, next_row(at));
    auto row = statement.step();
    auto good = row && *row;
    statement.reset();
    return good;
  };
}

bool is_direct(work kind) {
  return kind == work::direct_write_full || kind == work::direct_write_normal || kind == work::direct_read;
}

template <class T> void put(const T* data, size_t count) {
  if (std::fwrite(data, sizeof(T), count, stdout) != count)
    throw std::runtime_error{"a benchmark worker cannot report"};
}

measurement work_until_done(const operation& each, std::chrono::milliseconds duration) {
  // The first call opens all files.
  if (!each())
    throw std::runtime_error{"a benchmark worker's first request failed"};
  std::puts("ready");
  std::fflush(stdout);
  std::getchar();
  measurement own;
  timed_loop(bench_clock::now() + duration, own, each);
  return own;
}

} // namespace

int run_worker(work kind, const std::filesystem::path& root, std::chrono::milliseconds duration) {
  measurement own;
  if (is_direct(kind)) {
    auto db = open_raw(root / items_file, std::chrono::seconds{5});
    auto statement = must(sqlite::prepared_statement::prepare(db, kind == work::direct_read ? select_row : insert_row));
    own = work_until_done(direct(kind, db, statement), duration);
  } else {
    client_options options;
    options.require_broker = true;
    auto way = must(open_client(root, std::move(options)));
    own = work_until_done(through_broker(kind, *way), duration);
  }
  const uint64_t head[]{own.operations, own.errors, own.latencies_us.size()};
  put(head, std::size(head));
  put(own.latencies_us.data(), own.latencies_us.size());
  return std::fflush(stdout) == 0 ? 0 : 1;
}

} // namespace sluice::bench
