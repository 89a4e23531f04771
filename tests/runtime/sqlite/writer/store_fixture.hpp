#pragma once

#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/reader/read_store.hpp"
#include "runtime/sqlite/writer/write_store.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace sluice::test {

using std::chrono::milliseconds;

constexpr auto no_deadline = clock::steady::max();

inline write_request request_of(std::vector<statement> statements, std::string key = {}) {
  write_request x;
  x.statements = std::move(statements);
  x.agent = "alice";
  x.request_id = "request-1";
  x.idempotency_key = std::move(key);
  return x;
}

inline write_request request_of(const char* sql, parameters params = {}) {
  return request_of({statement{sql, std::move(params)}});
}

template <class T> failure failure_of(const caf::expected<T>& x) {
  REQUIRE(!x);
  return describe(x.error());
}

template <class T> T must(caf::expected<T> x) {
  if (!x)
    FAIL("unexpected " << to_string(describe(x.error()).code) << ": " << describe(x.error()).message);
  return std::move(*x);
}

inline void must(const caf::expected<void>& x) {
  if (!x)
    FAIL("unexpected " << to_string(describe(x.error()).code) << ": " << describe(x.error()).message);
}

inline std::vector<std::string> sorted(const std::vector<std::string>& names) {
  auto result = names;
  std::sort(result.begin(), result.end());
  return result;
}

inline std::vector<std::string> sorted(const table_set& tables) {
  return tables ? sorted(*tables) : std::vector<std::string>{};
}

/// A database file of its own with the store of a writer and of a reader.
struct store_fixture {
  temp_dir folder;
  std::filesystem::path file = folder / "app.db";
  broker_config config;
  std::shared_ptr<sqlite::file_guard> files;
  std::unique_ptr<write_store> store;
  std::unique_ptr<read_store> reader;

  explicit store_fixture(broker_config cfg = {}, std::chrono::nanoseconds quiet_time = std::chrono::seconds{2})
    : config(std::move(cfg)) {
    config.busy_timeout = milliseconds{0};
    sqlite::file_guard::settings x;
    x.path = file;
    x.name = file.filename().string();
    x.quiet_time = quiet_time;
    files = std::make_shared<sqlite::file_guard>(std::move(x));
    store = sqlite::make_write_store(file, config, machine_time(), {}, files);
    reader = sqlite::make_read_store(file, config, machine_time(), {}, files);
  }

  /// Commits one request by itself.
  write_result write(const write_request& request) {
    auto begun = must(store->begin());
    auto done = must(store->execute(request, no_deadline));
    write_result result;
    result.request_id = request.request_id;
    result.commit_seq = begun.next_seq;
    result.results = std::move(done.results);
    if (!request.idempotency_key.empty() || request.migration)
      must(store->remember(request, result));
    ledger_entry entry{&request, &result, done.tables};
    must(store->commit(begun.next_seq, commit_us, std::span{&entry, 1}));
    last_done = std::move(done);
    return result;
  }

  write_result write(const char* sql, parameters params = {}) { return write(request_of(sql, std::move(params))); }

  /// Executes one request that fails, and drops the transaction.
  failure refuse(const write_request& request, clock::steady deadline = no_deadline) {
    must(store->begin());
    auto error = failure_of(store->execute(request, deadline));
    survived = store->in_transaction();
    store->rollback();
    return error;
  }

  failure refuse(const char* sql, parameters params = {}) { return refuse(request_of(sql, std::move(params))); }

  caf::expected<executed_read> try_read(const char* sql, parameters params = {}, read_limits limits = generous()) {
    read_request request;
    request.query = {sql, std::move(params)};
    return reader->run(request, limits);
  }

  executed_read read(const char* sql, parameters params = {}, read_limits limits = generous()) {
    return must(try_read(sql, std::move(params), limits));
  }

  value read_one(const char* sql, parameters params = {}) {
    auto result = read(sql, std::move(params));
    REQUIRE(result.result.rows->size() == 1);
    return result.result.rows->at(0, 0);
  }

  static read_limits generous() { return {10'000, 8U << 20U, milliseconds{60'000}}; }

  /// A connection of an external program.
  sqlite::connection external_process() {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    options.busy_timeout = milliseconds{0};
    return must(sqlite::connection::open(file, options));
  }

  /// The time of the next commit.
  int64_t commit_us = 1'000;
  /// The effects of the last `write`, without its results.
  executed_write last_done;
  /// Whether the transaction was still there after the last `refuse`.
  bool survived = false;
};

/// A fixture with a table `t(id INTEGER PRIMARY KEY, a UNIQUE)`.
struct table_fixture : store_fixture {
  table_fixture() { write("CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE)"); }
};

/// Commits the statements executed since `begun`, as those of `request`.
inline caf::expected<void> commit_of(write_store& store, const begun_transaction& begun, const write_request& request) {
  static const write_result none;
  ledger_entry entry{&request, &none, nullptr};
  return store.commit(begun.next_seq, 1'000, std::span{&entry, 1});
}

} // namespace sluice::test
