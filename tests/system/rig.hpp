#pragma once

#include "runtime/broker.hpp"
#include "runtime/sqlite/connection.hpp"
#include "runtime/sqlite/statement.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>
#include <vector>

namespace sluice::test {

/// A broker with defaults on `root`; `change` may set what the test needs.
template <class Change> broker open_broker(const std::filesystem::path& root, Change change) {
  broker_config config;
  config.root = root;
  change(config);
  auto result = broker::open(config);
  if (!result)
    FAIL(describe(result.error()).message);
  return std::move(*result);
}

inline broker open_broker(const std::filesystem::path& root) {
  return open_broker(root, [](broker_config&) {});
}

/// The value, or a failed test with what went wrong.
template <class T> T must(caf::expected<T> x) {
  if (!x)
    FAIL(std::string{to_string(describe(x.error()).code)} + ": " + describe(x.error()).message);
  return std::move(*x);
}

/// Asks a file without a broker; the first column of every row.
inline std::vector<value> column_of(const std::filesystem::path& file, const std::string& sql) {
  auto db = must(sqlite::connection::open(file, {}));
  auto stmt = must(sqlite::prepared_statement::prepare(db, sql));
  std::vector<value> result;
  while (must(stmt.step()))
    result.push_back(stmt.column(0));
  return result;
}

inline int64_t integer_of(const std::filesystem::path& file, const std::string& sql) {
  auto rows = column_of(file, sql);
  REQUIRE(rows.size() == 1);
  REQUIRE(rows[0].integer());
  return *rows[0].integer();
}

inline void require_sound(const std::filesystem::path& file) {
  auto rows = column_of(file, "PRAGMA integrity_check");
  REQUIRE(rows.size() == 1);
  REQUIRE(rows[0] == value{"ok"});
}

/// A size that CI keeps small and a person may raise: `SLUICE_SOAK=20` makes soak tests twenty times as long.
inline int soak(int size) {
  auto* factor = std::getenv("SLUICE_SOAK");
  return size * (factor ? std::max(1, std::atoi(factor)) : 1);
}

} // namespace sluice::test
