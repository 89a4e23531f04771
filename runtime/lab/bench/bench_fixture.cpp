#include "runtime/lab/bench/bench_fixture.hpp"

#include <cstdlib>

namespace sluice::bench {

scratch_folder::scratch_folder(const std::filesystem::path& where) {
  auto name = (where / "sluice-bench-XXXXXX").string();
  if (!mkdtemp(name.data()))
    throw std::runtime_error{"cannot make a folder in " + where.string()};
  path_ = name;
}

scratch_folder::~scratch_folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

sqlite::connection open_raw(const std::filesystem::path& file, std::chrono::milliseconds busy_timeout) {
  sqlite::connection_options options;
  options.mode = sqlite::open_mode::read_write_create;
  options.auto_checkpoint_pages = 1'000;
  auto db = must(sqlite::connection::open(file, options));
  // Our own connections never wait longer than half a second; those that we are compared with may.
  must(db.exec(("PRAGMA busy_timeout = " + std::to_string(busy_timeout.count())).c_str()));
  must(db.exec(create_table));
  return db;
}

void fill(sqlite::connection& db) {
  auto insert = must(sqlite::prepared_statement::prepare(db, insert_row));
  must(db.exec("BEGIN IMMEDIATE"));
  for (int64_t i = 0; i < rows_to_read; ++i)
    insert_raw(insert, i);
  must(db.exec("COMMIT"));
}

bool insert_raw(sqlite::prepared_statement& insert, int64_t agent) {
  insert.bind(1, agent);
  insert.bind_text(2, row_body);
  auto done = insert.step();
  insert.reset();
  return done.engaged();
}

broker open_broker(const std::filesystem::path& root) {
  broker_config config;
  config.root = root;
  return must(broker::open(config));
}

write_request insert_request(const std::string& agent, int64_t number) {
  static const sql_text sql{insert_row};
  write_request request;
  request.db = items_file;
  request.agent = agent;
  request.statements.push_back({sql, {number, row_body}});
  return request;
}

measurement run_actors(std::string contender, caf::actor_system& system, size_t agents,
                       std::chrono::milliseconds duration,
                       const std::function<void(caf::event_based_actor*, size_t, std::function<void(bool)>)>& next) {
  std::vector<measurement> parts(agents);
  auto begin = bench_clock::now();
  auto stop_at = begin + duration;
  caf::scoped_actor host{system};
  for (size_t i = 0; i < agents; ++i)
    host->spawn<caf::monitored>([&next, stop_at, i, own = &parts[i]](caf::event_based_actor* self) {
      // The loop owns itself through the continuation of the request under way.
      auto loop = std::make_shared<std::function<void()>>();
      *loop = [&next, self, stop_at, i, own, weak = std::weak_ptr{loop}] {
        auto start = bench_clock::now();
        if (start >= stop_at)
          return;
        next(self, i, [own, start, again = weak.lock()](bool good) {
          good ? ++own->operations : ++own->errors;
          own->latencies_us.push_back(std::chrono::duration<float, std::micro>(bench_clock::now() - start).count());
          (*again)();
        });
      };
      (*loop)();
    });
  for (size_t i = 0; i < agents; ++i)
    host->receive([](const caf::down_msg&) {});
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

} // namespace sluice::bench
