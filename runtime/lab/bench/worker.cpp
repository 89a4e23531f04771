#include "runtime/lab/bench/worker.hpp"

#include "runtime/client/client.hpp"
#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/socket_bound.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

namespace sluice::bench {

namespace {

using operation = std::function<bool()>;

operation put_rows(client& way) {
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
}

operation through_broker(work task, client& way) {
  if (task == work::broker_write)
    return [&way, agent = "process-" + std::to_string(getpid())] {
      return way.write(insert_request(agent, getpid())).engaged();
    };
  if (task == work::broker_put)
    return put_rows(way);
  return [&way, task, walk = row_walk{getpid()}]() mutable {
    return way.read(select_request("reader", task == work::broker_read_cached ? 1 : walk.next())).engaged();
  };
}

operation through_bound(work task, socket_bound_client& way) {
  switch (task) {
  case work::bound_write: return [&way] { return way.write_row(); };
  case work::bound_read_cached: return [&way] { return way.read_cached(); };
  default: return [&way, walk = row_walk{getpid()}]() mutable { return way.read_row(walk.next()); };
  }
}

measurement directly(work task, const std::filesystem::path& root,
                     const std::function<measurement(const operation&, const operation&)>& run) {
  auto db = open_raw(root / items_file, std::chrono::seconds{5});
  auto select = must(sqlite::prepared_statement::prepare(db, select_row));
  if (task == work::direct_read) {
    auto each = [&select, walk = row_walk{getpid()}]() mutable { return read_raw(select, walk.next()); };
    return run(each, each);
  }
  must(db.exec(task == work::direct_write_full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
  auto insert = must(sqlite::prepared_statement::prepare(db, insert_row));
  // A read opens the files, too, and does not wait for the locks of the others.
  return run([&select] { return static_cast<bool>(select.run()); }, [&insert] { return insert_raw(insert, getpid()); });
}

} // namespace

measurement work_alone(work task, const std::filesystem::path& root,
                       const std::function<measurement(const operation& first, const operation& each)>& run) {
  switch (task) {
  case work::direct_write_full:
  case work::direct_write_normal:
  case work::direct_read: return directly(task, root, run);
  case work::bound_write:
  case work::bound_read:
  case work::bound_read_cached: {
    socket_bound_client way{root};
    auto each = through_bound(task, way);
    return run(each, each);
  }
  default: {
    client_options options;
    options.require_broker = true;
    auto way = must(open_client(root, std::move(options)));
    auto each = through_broker(task, *way);
    return run(each, each);
  }
  }
}

} // namespace sluice::bench
