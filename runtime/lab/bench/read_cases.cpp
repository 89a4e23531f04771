#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/cases.hpp"

#include <mutex>

namespace sluice::bench {

namespace {

using namespace std::chrono_literals;

constexpr size_t readers = 16;

// Visits every row in an order that repeats only after all of them.
class row_walk {
public:
  explicit row_walk(int64_t start) : id_(start % rows_to_read) {}

  int64_t next() {
    id_ = (id_ + 7'919) % rows_to_read;
    return id_ + 1;
  }

private:
  int64_t id_;
};

void fill_file(const std::filesystem::path& file) {
  auto db = open_raw(file, 0ms);
  fill(db);
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
  request.agent = agent;
  request.query = {sql, {id}};
  return request;
}

// Calls are too short to be timed one by one.
template <class Operation>
measurement mean_of(std::string contender, std::chrono::milliseconds duration, Operation operation) {
  measurement result;
  result.contender = std::move(contender);
  auto begin = bench_clock::now();
  while (bench_clock::now() - begin < duration)
    for (int i = 0; i < 1'000; ++i)
      operation() ? ++result.operations : ++result.errors;
  result.seconds = std::chrono::duration<double>(bench_clock::now() - begin).count();
  return result;
}

sqlite::connection open_reader(const std::filesystem::path& file) { return must(sqlite::connection::open(file, {})); }

} // namespace

case_report cached_read(const bench_options& options) {
  scratch_folder folder{options.folder};
  auto file = folder.path() / "items.db";
  fill_file(file);
  case_report report;
  report.name = "the same point read again and again, one thread";
  {
    auto host = open_broker(folder.path());
    auto db = must(host.open_database("items.db"));
    auto request = select_request("bench", 42);
    report.contenders.push_back(mean_of("sluice, hit table", options.duration, [&] {
      auto answer = db.read(request);
      return answer && answer->rows->size() == 1;
    }));
  }
  auto db = open_reader(file);
  auto select = must(sqlite::prepared_statement::prepare(db, select_row));
  report.contenders.push_back(mean_of("prepared statement", options.duration, [&] { return read_raw(select, 42); }));
  report.goals = {{"of the time of a prepared point read",
                   report.contenders[0].mean_us() / report.contenders[1].mean_us(), 0.1, true}};
  return report;
}

case_report uncached_reads(const bench_options& options) {
  scratch_folder folder{options.folder};
  auto file = folder.path() / "items.db";
  fill_file(file);
  case_report report;
  report.name = std::to_string(readers) + " agents read rows that are not cached";
  {
    auto host = open_broker(folder.path());
    auto db = must(host.open_database("items.db"));
    std::vector<row_walk> walks;
    for (size_t i = 0; i < readers; ++i)
      walks.emplace_back(static_cast<int64_t>(i * 631));
    report.contenders.push_back(run_actors("sluice, " + std::to_string(readers) + " actors", host.system(), readers,
                                           options.duration,
                                           [&](caf::event_based_actor* self, size_t i, std::function<void(bool)> done) {
                                             auto request = select_request("agent", walks[i].next());
                                             request.freshness = freshness::fresh;
                                             db.read(self, std::move(request))
                                               .then([done](const read_result& x) { done(x.rows->size() == 1); },
                                                     [done](const caf::error&) { done(false); });
                                           }));
  }
  report.contenders.push_back(run_threads("prepared SQLite, a connection per thread", readers, options.duration,
                                          [&](bench_clock::time_point stop_at, measurement& own) {
                                            auto db = open_reader(file);
                                            auto select = must(sqlite::prepared_statement::prepare(db, select_row));
                                            row_walk walk{631};
                                            timed_loop(stop_at, own, [&] { return read_raw(select, walk.next()); });
                                          }));
  auto shared = open_reader(file);
  auto shared_select = must(sqlite::prepared_statement::prepare(shared, select_row));
  std::mutex mutex;
  report.contenders.push_back(run_threads("mutex around one connection", readers, options.duration,
                                          [&](bench_clock::time_point stop_at, measurement& own) {
                                            row_walk walk{631};
                                            timed_loop(stop_at, own, [&] {
                                              std::lock_guard guard{mutex};
                                              return read_raw(shared_select, walk.next());
                                            });
                                          }));
  report.goals = {{"of as many threads with prepared SQLite",
                   report.contenders[0].per_second() / report.contenders[1].per_second(), 0.5, false}};
  return report;
}

} // namespace sluice::bench
