#include "runtime/lab/bench/bench_fixture.hpp"

#include "runtime/os/descriptor.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>
#include <utility>

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
  // `connection` limits the busy timeout to half a second; direct contenders wait longer.
  must(db.exec(("PRAGMA busy_timeout = " + std::to_string(busy_timeout.count())).c_str()));
  must(db.exec(create_table));
  return db;
}

void fill_file(const std::filesystem::path& file) {
  auto db = open_raw(file, std::chrono::milliseconds{0});
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

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

void sync_file(const std::filesystem::path& file) {
  descriptor opened{open(file.c_str(), O_RDWR | O_CLOEXEC)};
  if (fdatasync(opened.get()) != 0)
    throw std::system_error{errno, std::generic_category(), "cannot sync " + file.string()};
}

broker open_broker(const std::filesystem::path& root, synchronous_mode mode) {
  broker_config config;
  config.root = root;
  config.synchronous = mode;
  return must(broker::open(config));
}

bool read_raw(sqlite::prepared_statement& select, int64_t id) {
  select.bind(1, id);
  auto row = select.step();
  auto good = row && *row && !select.column(0).is_null();
  select.reset();
  return good;
}

read_request select_request(const std::string& agent, int64_t id) {
  static const sql_text sql{select_row};
  read_request request;
  request.db = items_file;
  request.agent = agent;
  request.query = {sql, {id}};
  return request;
}

write_request insert_request(const std::string& agent, int64_t number) {
  static const sql_text sql{insert_row};
  write_request request;
  request.db = items_file;
  request.agent = agent;
  request.statements.push_back({sql, {number, row_body}});
  return request;
}

measurement run_actors(caf::actor_system& system, size_t agents, size_t in_flight, std::chrono::milliseconds duration,
                       const std::function<void(caf::event_based_actor*, size_t, std::function<void(bool)>)>& next) {
  std::vector<measurement> parts(agents);
  auto begin = bench_clock::now();
  auto stop_at = begin + duration;
  caf::scoped_actor host{system};
  for (size_t i = 0; i < agents; ++i)
    host->spawn<caf::monitored>([&next, stop_at, in_flight, i, own = &parts[i]](caf::event_based_actor* self) {
      // The loop owns itself through the continuations of the requests under way.
      auto loop = std::make_shared<std::function<void()>>();
      *loop = [&next, self, stop_at, i, own, weak = std::weak_ptr{loop}, has_begun = false]() mutable {
        auto start = bench_clock::now();
        if (std::exchange(has_begun, true) && start >= stop_at)
          return;
        next(self, i, [own, start, stop_at, again = weak.lock()](bool good) {
          own->note(good, start, bench_clock::now(), stop_at);
          (*again)();
        });
      };
      for (size_t n = 0; n < in_flight; ++n)
        (*loop)();
    });
  for (size_t i = 0; i < agents; ++i)
    host->receive([](const caf::down_msg&) {});
  measurement total;
  total.seconds = std::chrono::duration<double>(duration).count();
  total.elapsed = std::chrono::duration<double>(bench_clock::now() - begin).count();
  for (const auto& part : parts)
    total.add(part);
  return total;
}

measurement write_by_actors(broker& host, const database& db, size_t agents, size_t in_flight,
                            std::chrono::milliseconds duration) {
  auto before = counts_of(db);
  auto result =
    run_actors(host.system(), agents, in_flight, duration,
               [&](caf::event_based_actor* self, size_t i, std::function<void(bool)> done) {
                 db.write(self, insert_request("agent-" + std::to_string(i), static_cast<int64_t>(i)))
                   .then([done](const write_result&) { done(true); }, [done](const caf::error&) { done(false); });
               });
  result.rows_per_commit = rows_per_commit(before, counts_of(db));
  result.stored_rows = result.completed;
  return result;
}

contender one_thread(std::string name, contender_kind kind,
                     std::function<bench_operation(const std::filesystem::path&)> open) {
  return {std::move(name), kind, [open = std::move(open)](const std::filesystem::path& folder) -> session {
            return [operation = open(folder)](const bench_round& round) {
              return run_threads(1, round.duration, [&](size_t, bench_clock::time_point stop_at, measurement& own) {
                timed_loop(stop_at, own, operation);
              });
            };
          }};
}

commit_counts counts_of(const database& db) {
  auto status = db.status();
  return {status.commits, status.committed_requests};
}

double rows_per_commit(const commit_counts& before, const commit_counts& after) {
  return ratio(static_cast<double>(after.requests - before.requests),
               static_cast<double>(after.commits - before.commits));
}

} // namespace sluice::bench
