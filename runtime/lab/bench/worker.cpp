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

constexpr const char* update_row = "UPDATE items SET agent = ? WHERE id = ?";
constexpr const char* count_rows = "SELECT max(id) FROM items";

// Processes with neighbouring numbers are far from each other in the file.
row_walk walk_of_this_process(int64_t rows) { return row_walk{getpid() * int64_t{1'000'003}, rows}; }

operation update_rows(client& way) {
  read_request count;
  count.db = items_file;
  count.agent = "bench";
  count.query = {sql_text{count_rows}, {}};
  auto rows = must(way.read(count)).rows->at(0, 0).integer();
  if (!rows)
    throw std::runtime_error{"the table to update is empty"};
  return [&way, agent = "process-" + std::to_string(getpid()), walk = walk_of_this_process(*rows)]() mutable {
    static const sql_text sql{update_row};
    write_request request;
    request.db = items_file;
    request.agent = agent;
    request.statements.push_back({sql, {int64_t{getpid()}, walk.next()}});
    return way.write(std::move(request)).engaged();
  };
}

operation through_broker(work task, client& way) {
  if (task == work::broker_write)
    return [&way, agent = "process-" + std::to_string(getpid())] {
      return way.write(insert_request(agent, getpid())).engaged();
    };
  if (task == work::broker_put)
    return put_rows(way);
  if (task == work::broker_update)
    return update_rows(way);
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
  must(db.exec(task != work::direct_write_normal ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
  auto insert = must(sqlite::prepared_statement::prepare(db, insert_row));
  if (task == work::direct_update) {
    auto count = must(sqlite::prepared_statement::prepare(db, count_rows));
    must(count.step());
    auto rows = count.integer(0);
    count.reset();
    auto update = must(sqlite::prepared_statement::prepare(db, update_row));
    return run([&select] { return static_cast<bool>(select.run()); },
               [&update, walk = walk_of_this_process(rows)]() mutable {
                 update.bind(1, int64_t{getpid()});
                 update.bind(2, walk.next());
                 auto done = update.step();
                 update.reset();
                 return done.engaged();
               });
  }
  // The first operation is a read: it opens the files and does not wait for the locks of other workers.
  return run([&select] { return static_cast<bool>(select.run()); }, [&insert] { return insert_raw(insert, getpid()); });
}

} // namespace

measurement work_alone(work task, const std::filesystem::path& root,
                       const std::function<measurement(const operation& first, const operation& each)>& run) {
  switch (task) {
  case work::direct_write_full:
  case work::direct_write_normal:
  case work::direct_update:
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
