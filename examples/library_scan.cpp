// A library scan: eight workers bring the files of a real directory tree into one SQLite file, while a status writer
// writes their progress every 100 ms. It runs three times: on direct connections, with writes that wait for
// their COMMIT, and through the write-behind buffer.
//
//   library_scan [FOLDER [TREE [FILES]]]

#include "runtime/broker/broker.hpp"
#include "runtime/broker/log_sink.hpp"
#include "runtime/broker/retry.hpp"
#include "runtime/broker/write_buffer.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;
using steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr size_t workers = 8;
constexpr const char* create_files =
  "CREATE TABLE files (path TEXT PRIMARY KEY, bytes INTEGER NOT NULL, modified INTEGER NOT NULL)";
constexpr const char* create_scan = "CREATE TABLE scan (id INTEGER PRIMARY KEY, found INTEGER NOT NULL)";
constexpr const char* insert_file = "INSERT INTO files (path, bytes, modified) VALUES (?, ?, ?)";
constexpr const char* set_status =
  "INSERT INTO scan (id, found) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET found = excluded.found";

struct file {
  std::string path;
  int64_t bytes = 0;
  int64_t modified = 0;
};

std::vector<file> list_files(const fs::path& tree, size_t at_most) {
  std::vector<file> result;
  std::error_code skipped;
  for (fs::recursive_directory_iterator i{tree, fs::directory_options::skip_permission_denied, skipped}, end;
       i != end && result.size() < at_most; i.increment(skipped))
    if (i->is_regular_file(skipped) && !i->is_symlink(skipped)) {
      auto modified = i->last_write_time(skipped).time_since_epoch();
      result.push_back({i->path().string(), static_cast<int64_t>(i->file_size(skipped)),
                        std::chrono::duration_cast<std::chrono::seconds>(modified).count()});
    }
  return result;
}

/// One way of writing. Each worker, and the status writer, makes its own.
struct strategy {
  const char* name;
  std::function<std::function<bool(const file&)>(size_t worker)> open_worker;
  std::function<std::function<bool(int64_t found)>()> open_status;
  /// Returns when everything is on disk.
  std::function<bool()> finish = [] { return true; };
};

struct report {
  size_t written = 0;
  size_t failed = 0;
  double seconds = 0;
  std::vector<double> status_ms;
};

// Every 100 ms until the scan is over, and once more at its end.
void write_status(const strategy& way, const std::atomic<int64_t>& found, std::mutex& mutex,
                  std::condition_variable& ended, const bool& over, report& to) {
  auto write = way.open_status();
  for (auto last = false; !last;) {
    auto begin = steady::now();
    to.failed += !write(found);
    to.status_ms.push_back(std::chrono::duration<double, std::milli>(steady::now() - begin).count());
    std::unique_lock lock{mutex};
    last = over;
    ended.wait_until(lock, begin + 100ms, [&] { return over; });
  }
}

report scan(const std::vector<file>& files, const strategy& way) {
  report total;
  std::atomic<int64_t> found{0};
  std::atomic<size_t> failed{0};
  std::mutex mutex;
  std::condition_variable ended;
  auto over = false;
  std::vector<std::thread> threads;
  auto begin = steady::now();
  std::thread status{[&] { write_status(way, found, mutex, ended, over, total); }};
  for (size_t worker = 0; worker < workers; ++worker)
    threads.emplace_back([&, worker] {
      auto write = way.open_worker(worker);
      for (auto i = worker; i < files.size(); i += workers)
        write(files[i]) ? ++found : static_cast<int64_t>(++failed);
    });
  for (auto& thread : threads)
    thread.join();
  failed += !way.finish();
  total.seconds = std::chrono::duration<double>(steady::now() - begin).count();
  {
    std::lock_guard lock{mutex};
    over = true;
  }
  ended.notify_one();
  status.join();
  total.written = static_cast<size_t>(found);
  total.failed += failed;
  return total;
}

template <class T> T must(caf::expected<T> result) {
  return result ? std::move(*result) : throw std::runtime_error{sluice::describe(result.error()).message};
}

sluice::sqlite::connection_options own_connection() {
  sluice::sqlite::connection_options options;
  options.mode = sluice::sqlite::open_mode::read_write_create;
  options.auto_checkpoint_pages = 1'000;
  return options;
}

// Direct connections, with the library's retry around each call.
struct direct_connection {
  sluice::sqlite::connection db;
  sluice::sqlite::prepared_statement insert;
  sluice::sqlite::prepared_statement status;

  static direct_connection open(const fs::path& path, sluice::retry_counters& counters) {
    auto patient = [&](auto call) { return must(sluice::retry({20}, call, {.counters = &counters})); };
    auto db = patient([&] { return sluice::sqlite::connection::open(path, own_connection()); });
    auto insert = patient([&] { return sluice::sqlite::prepared_statement::prepare(db, insert_file); });
    auto status = patient([&] { return sluice::sqlite::prepared_statement::prepare(db, set_status); });
    return {std::move(db), std::move(insert), std::move(status)};
  }
};

bool run(sluice::sqlite::prepared_statement& statement, sluice::retry_counters& counters) {
  auto done = sluice::retry({},
                            [&] {
                              auto stepped = statement.step();
                              statement.reset();
                              return stepped;
                            },
                            {.counters = &counters});
  return done.engaged();
}

strategy direct(const fs::path& path, sluice::retry_counters& counters) {
  auto open = [path, &counters] {
    return std::make_shared<direct_connection>(direct_connection::open(path, counters));
  };
  strategy result;
  result.name = "8 direct connections";
  result.open_worker = [open, &counters](size_t) {
    return [own = open(), &counters](const file& f) {
      own->insert.bind_text(1, f.path);
      own->insert.bind(2, f.bytes);
      own->insert.bind(3, f.modified);
      return run(own->insert, counters);
    };
  };
  result.open_status = [open, &counters] {
    return [own = open(), &counters](int64_t found) {
      own->status.bind(1, found);
      return run(own->status, counters);
    };
  };
  return result;
}

std::function<std::function<bool(int64_t)>()> status_through(const sluice::database& db) {
  return [db] { return [db](int64_t found) { return db.write("status", set_status, {found}).engaged(); }; };
}

strategy through_writer(const sluice::database& db) {
  strategy result;
  result.name = "sluice, waiting for COMMIT";
  result.open_worker = [db](size_t worker) {
    return [db, agent = fmt::format("worker-{}", worker + 1)](const file& f) {
      return db.write(agent, insert_file, {f.path, f.bytes, f.modified}).engaged();
    };
  };
  result.open_status = status_through(db);
  return result;
}

strategy through_buffer(const sluice::write_buffer& buffer, const sluice::database& db) {
  strategy result;
  result.name = "sluice, write-behind buffer";
  result.open_worker = [buffer, name = db.name()](size_t worker) {
    return [buffer, name, agent = fmt::format("worker-{}", worker + 1)](const file& f) {
      sluice::buffer_put put;
      put.row = {name, "files", {{"path", f.path}}};
      put.values = {{"bytes", f.bytes}, {"modified", f.modified}};
      put.agent = agent;
      put.wait = 30s;
      return buffer.put(std::move(put)).engaged();
    };
  };
  result.open_status = status_through(db);
  result.finish = [buffer] {
    auto done = buffer.flush({});
    return done && done->kept == 0 && done->set_aside == 0;
  };
  return result;
}

void show(const strategy& way, const report& report, spdlog::logger& log) {
  auto sorted = report.status_ms;
  std::sort(sorted.begin(), sorted.end());
  auto p99 = sorted[static_cast<size_t>(0.99 * static_cast<double>(sorted.size() - 1))];
  fmt::print("  {:<28} {:>7} {:>7} {:>8.2f} s {:>8.0f}/s {:>7} {:>8.1f} ms {:>8.1f} ms\n", way.name, report.written,
             report.failed, report.seconds, static_cast<double>(report.written) / report.seconds, sorted.size(), p99,
             sorted.back());
  // Logging has a database of its own, and costs the caller next to nothing.
  log.info("{}: {} rows in {:.2f} s", way.name, report.written, report.seconds);
}

int run(const fs::path& folder, const fs::path& tree, size_t at_most) {
  auto files = list_files(tree, at_most);
  sluice::broker_config config;
  config.root = folder;
  auto broker = must(sluice::broker::open(config));
  spdlog::logger log{"scan", sluice::make_log_sink(broker)};
  auto prepare = [&](const char* name) {
    auto db = must(broker.open_database(name));
    for (auto* sql : {create_files, create_scan})
      must(db.write("host", sql));
    return db;
  };
  auto waiting = prepare("waiting.db");
  auto buffered = prepare("buffered.db");
  // The direct connections write to a file that no broker has open.
  auto direct_file = folder / "direct.db";
  for (auto* sql : {create_files, create_scan})
    must(sluice::sqlite::connection::open(direct_file, own_connection())).exec(sql);

  fmt::print("{} files below {}, {} workers, one file each, synchronous=FULL, a status write every 100 ms\n\n",
             files.size(), tree.string(), workers);
  fmt::print("  {:<28} {:>7} {:>7} {:>10} {:>10} {:>7} {:>11} {:>11}\n", "", "rows", "failed", "time", "rate", "status",
             "p99", "slowest");
  auto all_written = true;
  for (const auto& way :
       {direct(direct_file, broker.retries()), through_writer(waiting), through_buffer(broker.buffer(), buffered)}) {
    auto measured = scan(files, way);
    show(way, measured, log);
    if (way.name != std::string_view{"8 direct connections"})
      all_written &= measured.failed == 0 && measured.written == files.size();
  }
  auto count = must(buffered.read("host", "SELECT count(*) FROM files"));
  fmt::print("\n{} rows came out of the buffer; the direct connections met {} locks; {} log entries\n",
             *count.rows->at(0, 0).integer(), broker.status().host_retry.lock_errors,
             must(broker.recent_logs({})).entries.size());
  return all_written && *count.rows->at(0, 0).integer() == static_cast<int64_t>(files.size()) ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run(argc > 1 ? argv[1] : ".", argc > 2 ? argv[2] : "/usr", argc > 3 ? std::stoul(argv[3]) : 10'000);
  } catch (const std::exception& error) {
    fmt::print(stderr, "library_scan: {}\n", error.what());
    return 1;
  }
}
