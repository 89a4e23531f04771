#include "runtime/lab/bench/worker.hpp"

#include "runtime/client/client.hpp"
#include "runtime/lab/bench/rig.hpp"

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

operation through_broker(work what, client& way) {
  if (what == work::broker_write)
    return [&way, agent = "process-" + std::to_string(getpid())] {
      return way.write(insert_request(agent, getpid())).engaged();
    };
  if (what == work::broker_put)
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
  return [&way, what, at = int64_t{getpid()}]() mutable {
    static const sql_text sql{select_row};
    read_request request;
    request.db = items_file;
    request.agent = "reader";
    request.query = {sql, {what == work::broker_read_cached ? int64_t{1} : next_row(at)}};
    return way.read(std::move(request)).engaged();
  };
}

operation direct(work what, sqlite::connection& db, sqlite::prepared_statement& statement) {
  if (what != work::direct_read) {
    must(db.exec(what == work::direct_write_full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
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

bool is_direct(work what) {
  return what == work::direct_write_full || what == work::direct_write_normal || what == work::direct_read;
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

int run_worker(work what, const std::filesystem::path& root, std::chrono::milliseconds duration) {
  measurement own;
  if (is_direct(what)) {
    auto db = open_raw(root / items_file, std::chrono::seconds{5});
    auto statement = must(sqlite::prepared_statement::prepare(db, what == work::direct_read ? select_row : insert_row));
    own = work_until_done(direct(what, db, statement), duration);
  } else {
    client_options options;
    options.require_broker = true;
    auto way = must(open_client(root, std::move(options)));
    own = work_until_done(through_broker(what, *way), duration);
  }
  const uint64_t head[]{own.operations, own.errors, own.latencies_us.size()};
  put(head, std::size(head));
  put(own.latencies_us.data(), own.latencies_us.size());
  return std::fflush(stdout) == 0 ? 0 : 1;
}

} // namespace sluice::bench
