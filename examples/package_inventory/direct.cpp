#include "examples/package_inventory/inventory.hpp"
#include "messages/error.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace inventory {

namespace {

using sluice::sqlite::connection;
using sluice::sqlite::prepared_statement;

connection open(const std::filesystem::path& file) {
  sluice::sqlite::connection_options options;
  options.mode = sluice::sqlite::open_mode::read_write_create;
  options.busy_timeout = std::chrono::milliseconds{50};
  options.auto_checkpoint_pages = 1'000;
  // Even opening a database can find it locked.
  for (int i = 0; i < 1'000; ++i)
    if (auto db = connection::open(file, options))
      return std::move(*db);
  throw std::runtime_error{"the database stayed locked"};
}

prepared_statement prepare(connection& db, const char* sql) {
  for (int i = 0; i < 1'000; ++i)
    if (auto stmt = prepared_statement::prepare(db, sql))
      return std::move(*stmt);
  throw std::runtime_error{"cannot prepare a statement"};
}

// One package with its dependencies, in one transaction.
caf::expected<void> insert(connection& db, prepared_statement& into_packages, prepared_statement& into_depends,
                           const package& package) {
  if (auto begun = db.exec("BEGIN"); !begun)
    return begun;
  const std::string* texts[] = {&package.name, &package.architecture, &package.version, &package.section,
                                &package.summary};
  for (int i = 0; i < 5; ++i)
    into_packages.bind_text(i + 1, *texts[i]);
  into_packages.bind(6, package.installed_kib);
  if (auto done = into_packages.run(); !done)
    return done;
  for (const auto& other : package.depends) {
    into_depends.bind_text(1, package.name);
    into_depends.bind_text(2, package.architecture);
    into_depends.bind_text(3, other);
    if (auto done = into_depends.run(); !done)
      return done;
  }
  return db.exec("COMMIT");
}

void work(const std::vector<package>& packages, const std::filesystem::path& file, size_t first, size_t step,
          load_report& own) {
  auto db = open(file);
  auto into_packages = prepare(db, insert_package);
  auto into_depends = prepare(db, insert_depends);
  for (size_t i = first; i < packages.size(); i += step) {
    auto begin = std::chrono::steady_clock::now();
    for (;;) {
      auto done = insert(db, into_packages, into_depends, packages[i]);
      if (done)
        break;
      into_packages.reset();
      into_depends.reset();
      if (db.in_transaction())
        static_cast<void>(db.exec("ROLLBACK"));
      if (sluice::code_of(done.error()) != sluice::errc::busy) {
        ++own.failed;
        break;
      }
      ++own.lock_errors;
    }
    ++own.written;
    own.latencies_us.push_back(
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
  }
}

void read_until(const std::filesystem::path& file, const std::atomic<bool>& stop) {
  auto db = open(file);
  prepared_statement queries[]{prepare(db, select_totals), prepare(db, select_most_needed)};
  while (!stop)
    for (auto& query : queries) {
      for (auto row = query.step(); row && *row;)
        row = query.step();
      query.reset();
    }
}

} // namespace

load_report load_directly(const std::vector<package>& packages, const std::filesystem::path& file, size_t agents) {
  {
    auto db = open(file);
    for (auto* sql : {create_packages, create_depends})
      if (!db.exec(sql))
        throw std::runtime_error{"cannot create the tables"};
  }
  std::vector<load_report> parts(agents);
  std::vector<std::thread> threads;
  std::atomic<bool> stop{false};
  std::vector<std::thread> lookers;
  for (int i = 0; i < 2; ++i)
    lookers.emplace_back([&] { read_until(file, stop); });
  auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < agents; ++i)
    threads.emplace_back([&, i] { work(packages, file, i, agents, parts[i]); });
  for (auto& thread : threads)
    thread.join();
  load_report total;
  total.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  stop = true;
  for (auto& thread : lookers)
    thread.join();
  for (auto& part : parts) {
    total.written += part.written - part.failed;
    total.failed += part.failed;
    total.lock_errors += part.lock_errors;
    total.latencies_us.insert(total.latencies_us.end(), part.latencies_us.begin(), part.latencies_us.end());
  }
  return total;
}

} // namespace inventory
